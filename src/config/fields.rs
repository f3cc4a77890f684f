//! What a configuration says, key by key, before it is compared and completed. Fills in the table's defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::env::Env;
use super::keys;
use super::read::{Reader, Typed, Word};
use super::source::{At, Sources};
use super::syntax::parse_value;
use crate::model::stop::StopStep;

/// A key that was written.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Where the key stands.
    pub(super) at: At,
    /// Where its value stands.
    pub(super) value_at: At,
    /// Nothing when it is reported to be wrong.
    pub(super) value: Option<Typed>,
}

/// The keys of one table, by their path in the table of keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(pub(super) BTreeMap<&'static str, Field>);

/// A program, a target or a route.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Its name; a route has none.
    pub(super) name: String,
    /// As faults begin: `program.web`.
    pub(super) shown: String,
    /// Its header.
    pub(super) at: At,
    /// Its keys.
    pub(super) fields: Fields,
}

/// All files together.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Keys that stand once.
    pub(super) root: Fields,
    /// In the order of the files.
    pub(super) programs: Vec<Block>,
    /// In the order of the files.
    pub(super) targets: Vec<Block>,
    /// In the order of the files.
    pub(super) routes: Vec<Block>,
}

impl Fields {
    /// The value of `path`, or its default.
    pub(super) fn typed(&self, path: &str) -> Option<Typed> {
        self.written(path).cloned().or_else(|| default_of(path))
    }

    /// The value of `path` if it was written and is right.
    pub(super) fn written(&self, path: &str) -> Option<&Typed> {
        self.0.get(path)?.value.as_ref()
    }

    /// Where the value of `path` stands, if it was written.
    pub(super) fn place(&self, path: &str) -> Option<At> {
        self.0.get(path).map(|f| f.value_at)
    }

    /// Like [`Fields::switch`], with a default that the table does not know.
    pub(super) fn switch_or(&self, path: &str, default: bool) -> bool {
        match self.written(path) {
            Some(Typed::Switch(b)) => *b,
            _ => default,
        }
    }

    pub(super) fn switch(&self, path: &str) -> bool {
        match self.typed(path) {
            Some(Typed::Switch(b)) => b,
            other => mismatch(path, other.as_ref()),
        }
    }

    /// A whole number, in the bounds that the table gives its key.
    pub(super) fn integer<T: TryFrom<i64>>(&self, path: &str) -> T {
        match self.typed(path) {
            Some(Typed::Integer(i)) => match T::try_from(i) {
                Ok(i) => i,
                Err(_) => unreachable!("the bounds of {path} do not fit its type"),
            },
            other => mismatch(path, other.as_ref()),
        }
    }

    /// Like [`Fields::integer`], with a default that the table does not know.
    pub(super) fn integer_or<T: TryFrom<i64>>(&self, path: &str, default: T) -> T {
        match self.written(path) {
            Some(_) => self.integer(path),
            None => default,
        }
    }

    pub(super) fn number(&self, path: &str) -> f64 {
        match self.typed(path) {
            Some(Typed::Number(n)) => n,
            other => mismatch(path, other.as_ref()),
        }
    }

    pub(super) fn duration(&self, path: &str) -> Duration {
        match self.typed(path) {
            Some(Typed::Duration(d)) => d,
            other => mismatch(path, other.as_ref()),
        }
    }

    /// Like [`Fields::duration`], with a default that the table does not know.
    pub(super) fn duration_or(&self, path: &str, default: Duration) -> Duration {
        match self.written(path) {
            Some(Typed::Duration(d)) => *d,
            _ => default,
        }
    }

    /// The text of a key that has a default.
    pub(super) fn text(&self, path: &str) -> String {
        match self.typed(path) {
            Some(Typed::Word(word)) => word.text,
            other => mismatch(path, other.as_ref()),
        }
    }

    /// The text of a key that has none.
    pub(super) fn text_written(&self, path: &str) -> Option<String> {
        match self.written(path)? {
            Typed::Word(word) => Some(word.text.clone()),
            _ => None,
        }
    }

    pub(super) fn words(&self, path: &str) -> &[Word] {
        match self.written(path) {
            Some(Typed::Words(words) | Typed::Depends(words, _)) => words,
            _ => &[],
        }
    }

    /// The text of a key that has no default, with its place.
    pub(super) fn word(&self, path: &str) -> Option<&Word> {
        match self.written(path)? {
            Typed::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn limits(&self, path: &str) -> &[crate::model::os::Limit] {
        match self.written(path) {
            Some(Typed::Limits(limits)) => limits,
            _ => &[],
        }
    }

    pub(super) fn path(&self, path: &str) -> Option<(&Path, &Path)> {
        match self.written(path)? {
            Typed::Path { path, shown } => Some((path, shown)),
            _ => None,
        }
    }

    pub(super) fn path_or(&self, path: &str, default: impl FnOnce() -> PathBuf) -> PathBuf {
        self.path(path).map_or_else(default, |(p, _)| p.to_owned())
    }

    /// The steps of a key that has a default; none of one that has no default and was not written.
    pub(super) fn stops(&self, path: &str) -> Vec<StopStep> {
        match self.typed(path) {
            Some(Typed::Stops(steps)) => steps,
            None => Vec::new(),
            other => mismatch(path, other.as_ref()),
        }
    }

    pub(super) fn exit_codes(&self, path: &str) -> Vec<i32> {
        match self.typed(path) {
            Some(Typed::ExitCodes(codes)) => codes,
            other => mismatch(path, other.as_ref()),
        }
    }

    /// The codes of a key that has no default.
    pub(super) fn exit_codes_written(&self, path: &str) -> Vec<i32> {
        match self.written(path) {
            Some(Typed::ExitCodes(codes)) => codes.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn signals(&self, path: &str) -> Vec<crate::model::program::Signal> {
        match self.written(path) {
            Some(Typed::Signals(signals)) => signals.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn calendar(&self, path: &str) -> Option<crate::model::calendar::Calendar> {
        match self.written(path) {
            Some(Typed::Calendar(calendar)) => Some(calendar.clone()),
            _ => None,
        }
    }

    pub(super) fn rules(&self, path: &str) -> Vec<crate::model::rule::Rule> {
        match self.written(path) {
            Some(Typed::Rules(rules)) => rules.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn maintenance(
        &self,
        path: &str,
    ) -> Vec<crate::model::maintenance::MaintenanceSpec> {
        match self.written(path) {
            Some(Typed::Maintenance(windows)) => windows.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn template(&self, path: &str) -> Option<crate::model::template::Template> {
        match self.written(path) {
            Some(Typed::Template(template)) => Some(template.clone()),
            _ => None,
        }
    }

    pub(super) fn secrets(&self, path: &str) -> &[crate::secret::Secret] {
        match self.written(path) {
            Some(Typed::Secrets(secrets)) => secrets,
            _ => &[],
        }
    }
}

/// The table's default of `path`, read like any other value.
fn default_of(path: &str) -> Option<Typed> {
    let key = keys::row(path);
    let node = parse_value(key.default?)?;
    let (env, sources) = (Env::default(), Sources::default());
    Reader::new(&env, &sources).read(key, path, &node)
}

/// Only a mistake in the table leads here, and the test that loads nothing but defaults meets it.
fn mismatch(path: &str, found: Option<&Typed>) -> ! {
    let kind = found.map(std::mem::discriminant);
    unreachable!("{path} is read as another kind than the table says ({kind:?})")
}
