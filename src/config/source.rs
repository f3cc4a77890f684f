//! Files as read: their text, and where in them something stands. Knows nothing of keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::{Fault, Wrong, io_words, wrong};
use super::files::Parsed;
use crate::limits::CONFIG_FILE_BYTES_MAX;

/// A place in a file of a [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct At {
    /// The number of the file.
    pub(super) file: usize,
    /// In bytes, from its start.
    pub(super) offset: usize,
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct Source {
    /// As it was named.
    shown: String,
    /// Absolute.
    pub(super) path: PathBuf,
    parsed: Arc<Parsed>,
    /// Lines with a syntax error, in order: what else is wrong there is its consequence.
    broken_lines: Vec<usize>,
}

/// The files of a configuration, the main one first.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<Source>);

impl Sources {
    /// The number of the next file.
    pub(super) fn next_number(&self) -> usize {
        self.0.len()
    }

    /// Takes the next file in; the result is what is wrong with its syntax.
    pub(super) fn add(&mut self, shown: &Path, path: PathBuf, parsed: &Arc<Parsed>) -> Vec<Fault> {
        let mut source = Source {
            shown: shown.display().to_string(),
            path,
            parsed: Arc::clone(parsed),
            broken_lines: Vec::new(),
        };
        let mut faults = Vec::new();
        for (offset, error) in &parsed.errors {
            let (line, column) = source.line_and_column(*offset);
            // Errors come in order, so the lines do too.
            if source.broken_lines.last() != Some(&line) {
                source.broken_lines.push(line);
                faults.push(Fault {
                    file: source.shown.clone(),
                    line,
                    column,
                    key: "syntax".to_owned(),
                    what: error.what.clone(),
                    right: error.right.clone(),
                });
            }
        }
        self.0.push(source);
        faults
    }

    /// The fault at `at`, unless a syntax error on its line explains it.
    pub(super) fn fault(&self, at: At, key: &str, wrong: Wrong) -> Option<Fault> {
        let source = &self.0[at.file];
        let (line, column) = source.line_and_column(at.offset);
        source
            .broken_lines
            .binary_search(&line)
            .is_err()
            .then(|| Fault {
                file: source.shown.clone(),
                line,
                column,
                key: key.to_owned(),
                what: wrong.what,
                right: wrong.right,
            })
    }

    /// `file:line` of `at`.
    pub(super) fn place(&self, at: At) -> String {
        let source = &self.0[at.file];
        format!("{}:{}", source.shown, source.line_and_column(at.offset).0)
    }

    /// The place of byte `offset` of the text `content`, whose quotes open at `at`; `at` where it is written in
    /// another way than it reads.
    pub(super) fn inside(&self, at: At, (content, offset): (&str, usize)) -> At {
        let file = &self.0[at.file].parsed.text;
        let written = file.get(at.offset..).unwrap_or_default();
        let is_long = written.starts_with("'''") || written.starts_with("\"\"\"");
        let mut start = if is_long { 3 } else { 1 };
        // A line break right behind three quotes is none of the text.
        for line_break in ["\r", "\n"] {
            let follows = written.get(start..).unwrap_or_default();
            if is_long && follows.starts_with(line_break) {
                start += 1;
            }
        }
        let before = content.get(..offset).unwrap_or(content);
        let is_there = written.get(start..).is_some_and(|w| w.starts_with(before));
        At {
            offset: at.offset + if is_there { start + before.len() } else { 0 },
            ..at
        }
    }

    /// The folder of the file `at` is in.
    pub(super) fn folder(&self, at: At) -> &Path {
        let path = &self.0[at.file].path;
        path.parent().unwrap_or(path)
    }

    /// The folder of the file `at` is in, as it was named.
    pub(super) fn shown_folder(&self, at: At) -> &Path {
        Path::new(&self.0[at.file].shown)
            .parent()
            .unwrap_or(Path::new(""))
    }

    /// The start of the main file.
    pub(super) fn start() -> At {
        At { file: 0, offset: 0 }
    }

    /// The files, absolute, in the order in which they were read.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.0.iter().map(|s| s.path.clone()).collect()
    }

    /// Whether `path` is among them.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.0.iter().any(|s| s.path == path)
    }

    /// Whether a syntax error hides part of the file `at` is in.
    pub(super) fn is_broken_at(&self, at: At) -> bool {
        !self.0[at.file].broken_lines.is_empty()
    }

    /// Whether a syntax error hides part of what was written.
    pub(super) fn is_broken(&self) -> bool {
        self.0.iter().any(|s| !s.broken_lines.is_empty())
    }
}

impl Source {
    /// From 1, the column in characters.
    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let Parsed {
            line_starts, text, ..
        } = &*self.parsed;
        let line = line_starts.partition_point(|start| *start <= offset);
        let start = line_starts[line - 1];
        let end = offset.min(text.len());
        let column = text.get(start..end).map_or(0, |t| t.chars().count());
        (line, column + 1)
    }
}

/// Where the lines of `text` begin.
pub(super) fn line_starts(text: &str) -> Vec<usize> {
    let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
    std::iter::once(0)
        .chain(breaks.map(|(i, _)| i + 1))
        .collect()
}

/// Reads a text file of bounded size. The error is a fragment after "cannot be read".
pub(super) fn read_text(path: &Path, bytes_max: u64) -> Result<String, Wrong> {
    use std::io::Read;
    let cannot = |e: &std::io::Error| {
        wrong(
            format!("cannot be read, {}", io_words(e)),
            "name a file that can be read",
        )
    };
    // Asked before opening: opening a pipe waits for somebody who writes to it.
    let meta = std::fs::metadata(path).map_err(|e| cannot(&e))?;
    if !meta.is_file() {
        return Err(wrong(
            "cannot be read, it is no regular file",
            "name a file that can be read",
        ));
    }
    let file = std::fs::File::open(path).map_err(|e| cannot(&e))?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| cannot(&e))?;
    if bytes.len() as u64 > bytes_max {
        let max = crate::text::size(bytes_max);
        return Err(wrong("it is too large", format!("{max} at the most")));
    }
    String::from_utf8(bytes).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = line_starts(&String::from_utf8_lossy(good)).len();
        wrong(
            format!("line {line} is not UTF-8 text"),
            "save the file as UTF-8",
        )
    })
}

/// Reads a configuration file.
pub(super) fn read_config(path: &Path) -> Result<String, Wrong> {
    read_text(path, CONFIG_FILE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_text_is_refused_with_its_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x.toml");
        std::fs::write(&path, b"a = 1\nb = \"\xff\"\n").expect("a file");
        let error = read_config(&path).expect_err("it is not UTF-8");
        assert_eq!(error.what, "line 2 is not UTF-8 text");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .expect("a pipe");
        let pipe = read_config(&folder.path().join("pipe")).expect_err("it is a pipe");
        assert_eq!(pipe.what, "cannot be read, it is no regular file");
        let folder = read_config(folder.path()).expect_err("it is a folder");
        assert_eq!(folder.what, "cannot be read, it is no regular file");
    }
}
