//! How the output of each program is kept, as the pump and the holder know it: told by the configuration, and written
//! to `pipes/keeping` for the holder. Removes nothing.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::Sender;
use parking_lot::RwLock;

use super::pipes::PIPES;
use super::segments::Source;
use crate::model::rotation::Rotation;

/// By the names of programs.
pub type Rules = HashMap<Arc<str>, Rotation>;

/// What the rules are, and who is told of a file that was put aside. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Keeping {
    rules: Arc<RwLock<Arc<Rules>>>,
    turned: Option<Sender<Source>>,
    /// Nobody looks after what was put aside but the pump itself.
    alone: Option<PathBuf>,
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(PIPES).join("keeping")
}

impl Keeping {
    /// The one whose word goes to `turned`.
    pub(super) fn telling(turned: Sender<Source>) -> Self {
        Self {
            turned: Some(turned),
            ..Self::default()
        }
    }

    /// The same rules, told of nothing.
    pub(super) fn quiet(&self) -> Self {
        Self {
            rules: Arc::clone(&self.rules),
            turned: None,
            alone: None,
        }
    }

    /// As the last supervisor wrote it down.
    pub(super) fn stored(state_dir: &Path) -> Self {
        let text = std::fs::read_to_string(path(state_dir)).unwrap_or_default();
        let rules: Rules = text.lines().filter_map(read).collect();
        let this = Self {
            alone: Some(state_dir.to_owned()),
            ..Self::default()
        };
        *this.rules.write() = Arc::new(rules);
        this
    }

    /// These are the rules from now on. They are written down, too: a fault there concerns the holder alone.
    pub(super) fn set(&self, state_dir: &Path, rules: Rules) {
        let mut text = String::new();
        for (name, rule) in &rules {
            write(&mut text, name, rule);
        }
        *self.rules.write() = Arc::new(rules);
        if let Err(e) = store(&path(state_dir), &text) {
            log::warn!("the holder does not know how output is kept: {e}");
        }
    }

    /// How the output of `program` is kept.
    pub(super) fn rule(&self, program: &str) -> Rotation {
        self.rules.read().get(program).copied().unwrap_or_default()
    }

    /// Whether anything was said of `program`.
    pub(super) fn knows(&self, program: &str) -> bool {
        self.rules.read().contains_key(program)
    }

    /// A file of `source` was put aside.
    pub(super) fn was_turned(&self, source: &Source) {
        if let Some(turned) = &self.turned {
            // Full: the next look at all of them finds it.
            let _ = turned.try_send(source.clone());
        }
        if let Some(state_dir) = &self.alone
            && self.knows(source.instance.program())
        {
            // Compressing is left to the next supervisor; a fault is seen by it, too.
            let _ = super::pack::trim(state_dir, source, self);
        }
    }
}

fn store(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text)?;
    std::fs::rename(&fresh, path)
}

/// A line: the name, bytes, milliseconds (0: none), files, whether they are compressed, bytes (0: none).
fn write(text: &mut String, name: &str, rule: &Rotation) {
    let age = rule.max_age.map_or(0, |age| age.as_millis());
    let total = rule.max_total.unwrap_or(0);
    let packed = u8::from(rule.is_packed);
    let _ = writeln!(
        text,
        "{name} {} {age} {} {packed} {total}",
        rule.max_size, rule.keep
    );
}

fn read(line: &str) -> Option<(Arc<str>, Rotation)> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let mut number = || words.next()?.parse::<u64>().ok();
    let rule = Rotation {
        max_size: number()?,
        max_age: number()
            .map(Duration::from_millis)
            .filter(|age| !age.is_zero()),
        keep: usize::try_from(number()?).ok()?,
        is_packed: number()? != 0,
        max_total: Some(number()?).filter(|total| *total > 0),
    };
    Some((name.into(), rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_read_back_by_the_holder_and_nonsense_is_passed_over() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join(PIPES)).expect("made");
        let rule = Rotation {
            max_size: 4_096,
            max_age: Some(Duration::from_hours(1)),
            keep: 2,
            is_packed: false,
            max_total: Some(99_999),
        };
        let rules = [("web".into(), rule), ("db".into(), Rotation::default())];
        Keeping::default().set(dir.path(), rules.into());
        let stored = Keeping::stored(dir.path());
        assert_eq!(stored.rule("web"), rule);
        assert!(stored.knows("db") && stored.rule("db") == Rotation::default());
        std::fs::write(path(dir.path()), "web\nweb x\n\u{0} 1 2\n").expect("written");
        assert!(!Keeping::stored(dir.path()).knows("web"));
    }
}
