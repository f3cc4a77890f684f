//! Finds the configuration and reads its files, includes and all, into one document. Judges no values.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::env::{Env, absolute_in};
use super::fault::{Fault, Wrong, did_you_mean, io_words, wrong};
use super::fields::Document;
use super::files::{Files, Overlay, Parsed};
use super::read::{Reader, Typed, Word};
use super::source::{At, Sources};
use super::walk::walk;
use crate::limits::CONFIG_FILES_MAX;

/// There is no configuration in any of the places.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no configuration found; looked for {}", list(.looked_for))]
pub struct NotFound {
    /// In the order of the search.
    pub looked_for: Vec<PathBuf>,
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    paths.join(", ")
}

/// Where a configuration is looked for, first to last: `explicit` alone when it is given. A command that
/// finds none would read the first.
#[must_use]
pub fn candidates(explicit: Option<&Path>, env: &Env) -> Vec<PathBuf> {
    if let Some(path) = explicit {
        return vec![path.to_owned()];
    }
    let absolute = |name: &str| {
        env.get(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let user = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    let mut paths = vec![
        PathBuf::from("jikimi.toml"),
        PathBuf::from("config/jikimi.toml"),
    ];
    paths.extend(user.map(|folder| folder.join("jikimi/jikimi.toml")));
    paths.push(PathBuf::from("/etc/jikimi/jikimi.toml"));
    paths
}

/// The configuration to read, as it is to be named: `explicit`, whether or not it is there, or the first of
/// the [`candidates`] that is.
///
/// # Errors
/// None of the places has one.
pub fn find(explicit: Option<&Path>, env: &Env) -> Result<PathBuf, NotFound> {
    let looked_for = candidates(explicit, env);
    let is_there = |path: &&PathBuf| explicit.is_some() || env.absolute(path).is_file();
    match looked_for.iter().find(is_there) {
        Some(path) => Ok(path.clone()),
        None => Err(NotFound { looked_for }),
    }
}

/// Everything read, and what was wrong with it by itself.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) sources: Sources,
    pub(super) document: Document,
    pub(super) faults: Vec<Fault>,
    pub(super) secret_variables: BTreeSet<String>,
    /// The main file was read and is TOML.
    pub(super) main_parses: bool,
}

/// A file to read.
struct Next {
    shown: PathBuf,
    path: PathBuf,
    /// Which `include` names it; none: the main file.
    asked_at: Option<At>,
}

/// Reads `main` and all it includes, as far as `files` does not know them.
pub(super) fn gather(main: &Path, env: &Env, files: &mut Files) -> Gathered {
    files.counts.scans += 1;
    let mut gathered = Gathered::default();
    let mut queue = VecDeque::from([Next {
        shown: main.to_owned(),
        path: env.absolute(main),
        asked_at: None,
    }]);
    while let Some(next) = queue.pop_front() {
        if gathered.sources.has(&next.path) {
            continue;
        }
        match files.parsed(&next.path, gathered.sources.next_number()) {
            Ok(parsed) => queue.extend(gathered.take_in(&next, &parsed, (env, &files.overlay))),
            Err(wrong) => gathered.unreadable(&next, wrong),
        }
    }
    files.keep(&gathered.sources.paths());
    gathered
}

impl Gathered {
    /// Reads one file's keys; the result is what it includes.
    fn take_in(
        &mut self,
        next: &Next,
        parsed: &Arc<Parsed>,
        (env, overlay): (&Env, &Overlay),
    ) -> Vec<Next> {
        let faults = self.sources.add(&next.shown, next.path.clone(), parsed);
        if next.asked_at.is_none() {
            self.main_parses = faults.is_empty();
        }
        self.faults.extend(faults);
        let mut reader = Reader::new(env, &self.sources);
        walk(&mut reader, &parsed.table, &mut self.document);
        let mut included = Vec::new();
        if let Some(field) = self.document.root.0.remove("include")
            && let Some(Typed::Words(words)) = field.value
        {
            for word in words {
                match matching(&word, &self.sources, overlay) {
                    Ok(files) => included.extend(files),
                    Err(wrong) => reader.fault(word.at, "include", wrong),
                }
                if self.sources.paths().len() + included.len() > CONFIG_FILES_MAX {
                    let right = format!("{CONFIG_FILES_MAX} at the most");
                    reader.fault(word.at, "include", wrong("these are too many files", right));
                    included.clear();
                    break;
                }
            }
        }
        let Reader {
            faults,
            secret_variables,
            ..
        } = reader;
        self.faults.extend(faults);
        self.secret_variables.extend(secret_variables);
        included
    }

    fn unreadable(&mut self, next: &Next, wrong: Wrong) {
        let fault = match next.asked_at {
            Some(at) => {
                let named = next.shown.display();
                let what = format!("{named}: {}", wrong.what);
                self.sources
                    .fault(at, "include", super::fault::wrong(what, wrong.right))
            }
            None => Some(Fault {
                file: next.shown.display().to_string(),
                line: 1,
                column: 1,
                key: "configuration".to_owned(),
                what: wrong.what,
                right: wrong.right,
            }),
        };
        self.faults.extend(fault);
    }
}

/// The files that an entry of `include` means, sorted by name.
fn matching(word: &Word, sources: &Sources, overlay: &Overlay) -> Result<Vec<Next>, Wrong> {
    let path = absolute_in(sources.folder(word.at), word.text.as_ref());
    let shown = sources.shown_folder(word.at).join(&word.text);
    let next = |path: PathBuf, shown: PathBuf| Next {
        shown,
        path,
        asked_at: Some(word.at),
    };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(wrong(
            "it names no file",
            "for example \"programs.d/*.toml\"",
        ));
    };
    let is_pattern = |text: &str| text.contains(['*', '?']);
    if is_pattern(&folder.to_string_lossy()) {
        return Err(wrong(
            "only the last part of a path can be a pattern",
            "for example \"programs.d/*.toml\"",
        ));
    }
    let name = name.to_string_lossy();
    if !is_pattern(&name) {
        return Ok(vec![next(path, shown)]);
    }
    let mut names = names_like(folder, &name)?;
    overlaid(&mut names, (folder, &name), overlay);
    Ok(names
        .into_iter()
        .map(|name| next(folder.join(&name), shown.with_file_name(&name)))
        .collect())
}

/// What the names would be with files that are not written yet, and without those that are to go.
fn overlaid(names: &mut Vec<String>, (folder, pattern): (&Path, &str), overlay: &Overlay) {
    let glob = wildmatch::WildMatch::new(pattern);
    for (path, text) in overlay {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if path.parent() != Some(folder) || !glob.matches(name) {
            continue;
        }
        names.retain(|known| known != name);
        if text.is_some() {
            names.push(name.to_owned());
        }
    }
    names.sort();
}

/// The regular files in `folder` whose names are like `pattern`; hidden ones only if it says so. A folder
/// that is not there has none.
fn names_like(folder: &Path, pattern: &str) -> Result<Vec<String>, Wrong> {
    let cannot = |e: &std::io::Error| {
        wrong(
            format!("the folder cannot be read, {}", io_words(e)),
            "a folder that can be read",
        )
    };
    let glob = wildmatch::WildMatch::new(pattern);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(cannot(&e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| cannot(&e))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let is_hidden = name.starts_with('.') && !pattern.starts_with('.');
        if !is_hidden && glob.matches(&name) && entry.path().is_file() {
            names.push(name);
        }
        if names.len() > CONFIG_FILES_MAX {
            break;
        }
    }
    names.sort();
    Ok(names)
}

/// The nearest of `known`, or all of them when they are few, after a name that is none of them.
pub(super) fn known_names<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(hint) = did_you_mean(name, known.clone()) {
        return hint;
    }
    let names: Vec<&str> = known.take(9).collect();
    match names.len() {
        0 => "there is none to name".to_owned(),
        1..=8 => format!("there is {}", names.join(", ")),
        _ => format!("there is {}, …", names[..8].join(", ")),
    }
}
