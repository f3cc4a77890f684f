//! What is different since the last run of an instance that did well: keys of its configuration, and the files its
//! command names. Owns what each run was made of; of runs under an earlier supervisor, what the database has of
//! them: their keys, not their files. Only looks at files.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ids::RunId;
use crate::limits;
use crate::model::clues::Change;
use crate::model::event::{Event, EventKind};
use crate::model::fingerprint::{Fingerprint, changed_keys};
use crate::model::name::InstanceName;
use crate::model::program::ProgramSpec;
use crate::model::record::RunStart;

/// Scripts, by the ends of their names: what an interpreter is given.
const SCRIPTS: [&str; 17] = [
    "py", "js", "mjs", "cjs", "ts", "rb", "pl", "php", "lua", "sh", "jar", "war", "dll", "exe",
    "wasm", "exs", "r",
];

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// What a run is made of.
#[derive(Clone, Debug)]
struct Made {
    run: RunId,
    /// None of a run that began under an earlier supervisor.
    spec: Option<Arc<ProgramSpec>>,
    /// Salted with the run.
    keys: Fingerprint,
    /// By the word of the command.
    files: BTreeMap<String, Stamp>,
}

#[derive(Debug)]
struct Known {
    is_ready: bool,
    recover_after: f64,
    made: Made,
    /// Of the last run that did well.
    good: Option<Made>,
}

/// What runs under earlier supervisors were made of.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// The last run of each instance that did well.
    pub good: Vec<RunStart>,
    /// Those that may be adopted.
    pub unfinished: Vec<RunStart>,
}

/// What the latest run of each instance is made of, and the last one that did well.
#[derive(Debug, Default)]
pub(super) struct Changes {
    known: HashMap<InstanceName, Known>,
    /// As far as there has been no run since.
    good: HashMap<InstanceName, Made>,
    unfinished: HashMap<RunId, Made>,
}

impl Changes {
    /// Goes on from what earlier supervisors left.
    pub fn after(earlier: Earlier) -> Self {
        let named = |start: RunStart| Some((start.instance.clone(), Made::stored(start)?));
        let living = |start: RunStart| Some((start.run, Made::stored(start)?));
        Self {
            known: HashMap::new(),
            good: earlier.good.into_iter().filter_map(named).collect(),
            unfinished: earlier.unfinished.into_iter().filter_map(living).collect(),
        }
    }

    /// Takes note of `event`; a crash of a run that had not done well is told what is different. `spec` is its
    /// program's, as far as it is configured.
    pub fn note(&mut self, event: &mut Event, spec: Option<Arc<ProgramSpec>>) {
        let (Some(instance), Some(run)) = (&event.instance, event.run) else {
            return;
        };
        let Some(spec) = spec else {
            // Nothing is kept of what has left the configuration.
            self.known.remove(instance);
            self.good.remove(instance);
            return;
        };
        match event.kind {
            EventKind::ProgramStarted => {
                let made = Made::now(run, Arc::clone(&spec));
                self.begin((instance.clone(), Some(made)), &spec);
            }
            EventKind::ProgramAdopted if event.facts.exit.is_none() => {
                let made = self.unfinished.remove(&run);
                self.begin((instance.clone(), made), &spec);
            }
            _ => {
                let known = self.known.get_mut(instance);
                if let Some(known) = known.filter(|known| known.made.run == run) {
                    known.note(event);
                }
            }
        }
    }

    fn begin(&mut self, (instance, made): (InstanceName, Option<Made>), spec: &ProgramSpec) {
        let earlier = self.good.remove(&instance);
        let good = self
            .known
            .remove(&instance)
            .map_or(earlier, |known| known.good);
        // Of one that goes on and is made of nobody knows what, nothing can be told afterwards.
        if let Some(made) = made {
            let known = Known {
                is_ready: made.spec.is_none(),
                recover_after: spec.recover_after.as_secs_f64(),
                made,
                good,
            };
            self.known.insert(instance, known);
        }
    }
}

impl Made {
    fn now(run: RunId, spec: Arc<ProgramSpec>) -> Self {
        Self {
            run,
            keys: Fingerprint::of(&spec, RunStart::salt(run).as_bytes()),
            files: files(&spec),
            spec: Some(spec),
        }
    }

    fn stored(start: RunStart) -> Option<Self> {
        Some(Self {
            run: start.run,
            spec: None,
            keys: start.made_of?,
            files: BTreeMap::new(),
        })
    }
}

impl Known {
    fn note(&mut self, event: &mut Event) {
        let up = event.facts.uptime_s.unwrap_or(0.0);
        let did_well = match event.kind {
            EventKind::ProgramReady => {
                self.is_ready = true;
                return;
            }
            EventKind::ProgramExited => true,
            EventKind::ProgramStopped => self.is_ready && up >= self.recover_after,
            EventKind::ProgramCrashed => self.is_ready && up >= limits::RUN_DID_WELL.as_secs_f64(),
            _ => return,
        };
        if did_well {
            self.good = Some(self.made.clone());
        } else if let (Some(good), EventKind::ProgramCrashed) = (&self.good, event.kind) {
            event.facts.changed = differing(good, &self.made);
        }
    }
}

fn differing(before: &Made, now: &Made) -> Vec<Change> {
    let Some(spec) = &now.spec else {
        return Vec::new();
    };
    let salt = RunStart::salt(before.run);
    let keys = changed_keys(&before.keys, &Fingerprint::of(spec, salt.as_bytes()));
    let keys = keys.into_iter().map(Change::Config);
    // A file of another command is told by the key of the command.
    let files = now.files.iter().filter(|(word, stamp)| {
        let earlier = before.files.get(*word);
        earlier.is_some_and(|earlier| earlier != *stamp)
    });
    let files = files.map(|(word, _)| Change::File(word.clone()));
    keys.chain(files).take(limits::EVENT_CHANGES).collect()
}

/// The files that the command names and a new version of it would replace: its program, and scripts.
fn files(spec: &ProgramSpec) -> BTreeMap<String, Stamp> {
    let words = spec.command.iter().flat_map(|word| {
        if word.contains(' ') {
            // The text of a shell.
            shlex::split(word).unwrap_or_default()
        } else {
            vec![word.clone()]
        }
    });
    let mut found = BTreeMap::new();
    for (at, word) in words.take(limits::CHANGE_WORDS).enumerate() {
        let is_script = Path::new(&word)
            .extension()
            .and_then(OsStr::to_str)
            .is_some_and(|end| SCRIPTS.contains(&end.to_ascii_lowercase().as_str()));
        let path = if word.contains('/') || is_script {
            Some(spec.directory.join(&word))
        } else {
            in_path(spec, &word).filter(|_| at == 0)
        };
        let must_run = at > 0 && !is_script;
        let stamp = path.and_then(|path| stamp(&path, must_run));
        found.extend(stamp.map(|stamp| (word, stamp)));
    }
    found
}

fn in_path(spec: &ProgramSpec, word: &str) -> Option<PathBuf> {
    let (_, path) = spec.environment.iter().find(|(name, _)| *name == "PATH")?;
    std::env::split_paths(path)
        .map(|folder| folder.join(word))
        .find(|path| path.is_file())
}

/// Of a regular file; with `must_run` only of one that can be executed: data that a program is given changes all
/// the time.
fn stamp(path: &Path, must_run: bool) -> Option<Stamp> {
    let file = std::fs::metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)?;
    let can_run = file.mode() & 0o111 != 0;
    (can_run || !must_run).then(|| Stamp {
        inode: file.ino(),
        size: file.size(),
        modified: (file.mtime(), file.mtime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Wall;

    struct Story {
        changes: Changes,
        spec: ProgramSpec,
        run: RunId,
    }

    impl Story {
        fn new(directory: &Path, command: &[&str]) -> Self {
            let mut spec = ProgramSpec::fixture("web");
            spec.command = command.iter().map(|w| (*w).to_owned()).collect();
            spec.directory = directory.to_owned();
            spec.recover_after = Duration::from_secs(5);
            Self {
                changes: Changes::default(),
                spec,
                run: RunId::new(),
            }
        }

        fn event(&mut self, kind: EventKind, uptime_s: f64) -> Vec<String> {
            let mut event = Event::new(kind, Wall::from_millis(0));
            event.instance = Some(InstanceName::single("web"));
            event.run = Some(self.run);
            event.facts.uptime_s = Some(uptime_s);
            let spec = Some(Arc::new(self.spec.clone()));
            self.changes.note(&mut event, spec);
            event
                .facts
                .changed
                .iter()
                .map(ToString::to_string)
                .collect()
        }

        /// A run that is ready and ends like this; what is told of it.
        fn run(&mut self, end: EventKind, uptime_s: f64) -> Vec<String> {
            self.run = RunId::new();
            self.event(EventKind::ProgramStarted, 0.0);
            self.event(EventKind::ProgramReady, 0.0);
            self.event(end, uptime_s)
        }
    }

    #[test]
    fn a_crash_is_told_what_is_different_since_a_run_that_did_well() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("room");
        };
        write("app.py", "1");
        write("data.csv", "1");
        let mut story = Story::new(folder.path(), &["python3", "app.py", "./data.csv"]);
        let (crash, stop) = (EventKind::ProgramCrashed, EventKind::ProgramStopped);
        assert!(story.run(crash, 1.0).is_empty(), "nothing did well before");
        assert!(story.run(stop, 60.0).is_empty());
        assert!(story.run(crash, 1.0).is_empty(), "nothing is different");
        write("app.py", "22");
        write("data.csv", "22");
        let own = &mut story.spec.environment.own;
        own.insert("PORT".into(), "9".into());
        assert_eq!(story.run(crash, 1.0), ["environment.PORT", "app.py"]);
        assert_eq!(
            story.run(crash, 1.0),
            ["environment.PORT", "app.py"],
            "still"
        );
        assert!(
            story.run(crash, 3_600.0).is_empty(),
            "it did well for an hour"
        );
        assert!(
            story.run(crash, 1.0).is_empty(),
            "since then nothing is different"
        );
    }

    #[test]
    fn a_run_that_was_not_ready_or_just_began_did_not_do_well() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut story = Story::new(folder.path(), &["./server"]);
        let (crash, stop) = (EventKind::ProgramCrashed, EventKind::ProgramStopped);
        story.run(stop, 1.0);
        story.spec.command.push("--fast".to_owned());
        assert!(story.run(crash, 1.0).is_empty(), "stopped at once");
        story.run(EventKind::ProgramExited, 0.1);
        story.spec.command.push("--faster".to_owned());
        assert_eq!(
            story.run(crash, 1.0),
            ["command"],
            "one that ended well did"
        );
        let late = story.event(stop, 3_600.0);
        assert!(late.is_empty());
    }

    #[test]
    fn what_did_well_under_an_earlier_supervisor_still_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut story = Story::new(folder.path(), &["./server"]);
        let start = |story: &Story, run: RunId| RunStart {
            run,
            instance: InstanceName::single("web"),
            pid: 1,
            start_ticks: 1,
            boot_id: String::new(),
            at: Wall::from_millis(0),
            command: String::new(),
            pipes: vec![],
            made_of: Some(Fingerprint::of(&story.spec, RunStart::salt(run).as_bytes())),
        };
        let (good, adopted) = (start(&story, RunId::new()), RunId::new());
        story.spec.command.push("--fast".to_owned());
        let unfinished = vec![start(&story, adopted)];
        let good = vec![good];
        story.changes = Changes::after(Earlier { good, unfinished });
        let crash = EventKind::ProgramCrashed;
        assert_eq!(story.run(crash, 1.0), ["command"]);
        assert_eq!(story.run(crash, 1.0), ["command"], "still");
        story.run = adopted;
        story.event(EventKind::ProgramAdopted, 0.0);
        assert!(story.event(crash, 3_600.0).is_empty(), "it did well");
        assert!(
            story.run(crash, 1.0).is_empty(),
            "and nothing is different since"
        );
        story.spec.command.pop();
        assert_eq!(story.run(crash, 1.0), ["command"]);
    }

    #[test]
    fn the_program_of_a_shell_and_of_the_path_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("go.sh"), "1").expect("room");
        let story = Story::new(folder.path(), &["/bin/sh", "-c", "exec ./go.sh 'a b' $X"]);
        let found: Vec<String> = files(&story.spec).into_keys().collect();
        assert_eq!(found, ["./go.sh", "/bin/sh"]);
        let mut story = Story::new(folder.path(), &["sh", "none.py"]);
        let own = &mut story.spec.environment.own;
        own.insert("PATH".into(), "/nowhere:/bin:/usr/bin".into());
        let found: Vec<String> = files(&story.spec).into_keys().collect();
        assert_eq!(found, ["sh"]);
    }
}
