//! Rust source as the habits need it: without comments, with or without what stands in literals, and with or
//! without its own tests. No parser; it knows comments and literals, and that tests come last in a file.

use std::path::{Path, PathBuf};

/// One file of `src` or `tests`.
pub struct Source {
    /// From the top of the repository: `src/cli/run.rs`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Comments and the insides of literals are blanks; lines are where they were.
    pub code: String,
    /// Comments are blanks.
    pub spoken: String,
}

impl Source {
    /// `text` as if it stood at `path`.
    pub fn new(path: &str, text: &str) -> Self {
        let (code, spoken) = split(text);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            spoken,
        }
    }

    /// `cli` of `src/cli/run.rs`, `journal` of `src/journal.rs`.
    pub fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let first = inside.split('/').next().unwrap_or(inside);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Whether it is only there when tests are built.
    fn is_for_tests(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || name.ends_with("tests.rs")
            || matches!(name, "testing.rs" | "fixture.rs")
    }

    /// [`Source::code`] without tests.
    pub fn production(&self) -> &str {
        self.without_tests(&self.code)
    }

    /// [`Source::spoken`] without tests.
    pub fn spoken_production(&self) -> &str {
        self.without_tests(&self.spoken)
    }

    fn without_tests<'a>(&self, text: &'a str) -> &'a str {
        if self.is_for_tests() {
            return "";
        }
        let tests = ["#[cfg(test)]\nmod tests {", "#[cfg(all(test,"];
        let end = tests.iter().filter_map(|mark| self.code.find(mark)).min();
        &text[..end.unwrap_or(text.len())]
    }
}

/// `path:line` of every place in `text` where `needle` stands as a word of its own.
pub fn places(source: &Source, text: &str, needle: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let begins_as_word = needle.starts_with(is_word);
    let ends_as_word = needle.ends_with(is_word);
    text.match_indices(needle)
        .filter(|(at, _)| {
            let before = text[..*at].chars().next_back();
            let after = text[at + needle.len()..].chars().next();
            !(begins_as_word && before.is_some_and(is_word)
                || ends_as_word && after.is_some_and(is_word))
        })
        .map(|(at, _)| format!("{}:{}", source.path, text[..at].matches('\n').count() + 1))
        .collect()
}

/// The top of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of `src` and `tests`.
pub fn all() -> Vec<Source> {
    let files = files()
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "rs"));
    let sources: Vec<Source> = files
        .map(|path| {
            let text = std::fs::read_to_string(root().join(&path)).expect("source is text");
            Source::new(path.to_str().expect("our names are text"), &text)
        })
        .collect();
    assert!(sources.len() > 100, "the source was not found");
    sources
}

/// Every file of the repository, from its top.
pub fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).expect("our own folder") {
            let entry = entry.expect("our own folder");
            let path = folder.join(entry.file_name());
            let is_ours = ![".git", "target", ".jikimi"].contains(&path.to_str().unwrap_or(""));
            match entry.file_type().expect("our own file") {
                kind if kind.is_dir() && is_ours => folders.push(path),
                kind if kind.is_file() && is_ours => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// What is at a place of the text.
enum Piece {
    Code,
    Comment,
    /// With the lengths of its opening and closing quotes.
    Literal(usize, usize),
}

/// `text` twice: without comments and insides of literals, and without comments.
fn split(text: &str) -> (String, String) {
    let (mut code, mut spoken) = (String::new(), String::new());
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, length) = next(rest, code.chars().next_back());
        let (taken, after) = rest.split_at(length);
        match piece {
            Piece::Code => {
                code.push_str(taken);
                spoken.push_str(taken);
            }
            Piece::Comment => {
                code.push_str(&blank(taken));
                spoken.push_str(&blank(taken));
            }
            Piece::Literal(open, close) => {
                let close = length - close;
                code.push_str(&taken[..open]);
                code.push_str(&blank(&taken[open..close]));
                code.push_str(&taken[close..]);
                spoken.push_str(taken);
            }
        }
        rest = after;
    }
    (code, spoken)
}

/// As many bytes, none of which says anything, and the same line ends.
fn blank(text: &str) -> String {
    text.bytes()
        .map(|b| if b == b'\n' { '\n' } else { ' ' })
        .collect()
}

fn next(rest: &str, before: Option<char>) -> (Piece, usize) {
    let until = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |i| from + i);
    if rest.starts_with("//") {
        return (Piece::Comment, until("\n", 0));
    }
    if rest.starts_with("/*") {
        return (Piece::Comment, (until("*/", 2) + 2).min(rest.len()));
    }
    if rest.starts_with('"') {
        return (Piece::Literal(1, 1), quoted(rest));
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with('r') && !in_word || before == Some('b') && rest.starts_with('r') {
        let hashes = rest[1..].bytes().take_while(|b| *b == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let end = until(&close, hashes + 2) + close.len();
            return (Piece::Literal(hashes + 2, close.len()), end);
        }
    }
    if let Some(length) = character(rest) {
        return (Piece::Literal(1, 1), length);
    }
    (Piece::Code, rest.chars().next().map_or(1, char::len_utf8))
}

/// The length of a string literal at the beginning of `rest`.
fn quoted(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !is_escaped => return at + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    rest.len()
}

/// The length of a character literal at the beginning of `rest`; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if let Some(escape) = inside.strip_prefix('\\') {
        let first = escape.chars().next()?.len_utf8();
        return escape[first..].find('\'').map(|i| 2 + first + i + 1);
    }
    let first = inside.chars().next()?.len_utf8();
    inside[first..].starts_with('\'').then_some(first + 2)
}
