//! What of a program's configuration its runs are made of: a change there reaches a program only through another
//! run. Says which keys differ, between two configurations or between one and what was kept of an earlier one; never
//! keeps or shows a value.

use std::collections::{BTreeMap, BTreeSet};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::program::{Environment, ProgramSpec};

/// Bytes kept of a digest: enough to tell two values apart, too few to be sure of a guessed one.
const DIGEST_BYTES: usize = 8;

/// The keys a run was made of, each with a salted digest of its value, to be kept with the run. What has its default
/// is not in it, so that a key which a later version adds changes nothing by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(BTreeMap<String, String>);

impl Fingerprint {
    /// Of `spec`. Only fingerprints of one `salt` can be compared; the id of the run is a good one.
    #[must_use]
    pub fn of(spec: &ProgramSpec, salt: &[u8]) -> Self {
        let digests = parts(spec).into_iter().map(|(key, value)| {
            let digest = digest(salt, &key, &value);
            (key, digest)
        });
        Self(digests.collect())
    }
}

/// The keys in which two fingerprints of one salt differ, sorted: `command`, `environment.PORT`.
#[must_use]
pub fn changed_keys(old: &Fingerprint, new: &Fingerprint) -> Vec<String> {
    differing(&old.0, &new.0)
}

/// The keys for whose sake a run of `old` must give way to one of `new`, sorted; empty when it may go on.
#[must_use]
pub fn restart_keys(old: &ProgramSpec, new: &ProgramSpec) -> Vec<String> {
    differing(&parts(old), &parts(new))
}

fn differing<V: PartialEq>(old: &BTreeMap<String, V>, new: &BTreeMap<String, V>) -> Vec<String> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let is_changed = |key: &&String| old.get(*key) != new.get(*key);
    keys.into_iter().filter(is_changed).cloned().collect()
}

/// Every key that makes a run what it is, with its value. Without `..`: whoever adds a field to the specification
/// decides here whether a change of it needs another run.
fn parts(spec: &ProgramSpec) -> BTreeMap<String, Vec<u8>> {
    let ProgramSpec {
        command,
        directory,
        environment,
        os,
        // Who it is, and how many there are.
        name: _,
        instances: _,
        // Looked up when they are needed: a change takes effect while it runs.
        autostart: _,
        restart: _,
        success_exit_codes: _,
        ends: _,
        start_confirm: _,
        stop: _,
        stop_timeout: _,
        depends_on: _,
        backoff: _,
        restart_limit: _,
        recover_after: _,
        tags: _,
        metrics_interval: _,
        timing: _,
    } = spec;
    let mut parts = BTreeMap::new();
    parts.insert("command".to_owned(), list(command));
    let directory = directory.as_os_str().as_encoded_bytes().to_vec();
    parts.insert("directory".to_owned(), directory);
    add_environment(&mut parts, environment);
    for (key, value) in os.parts() {
        parts.insert(key.to_owned(), value.into_bytes());
    }
    parts
}

/// Its own variables one by one; of what it inherits only whether it does. What is inherited is the supervisor's
/// affair: another session of a shell, or one secret more that programs must not see, is no reason to restart all.
fn add_environment(parts: &mut BTreeMap<String, Vec<u8>>, environment: &Environment) {
    if environment.inherited.is_empty() {
        parts.insert("environment_clear".to_owned(), Vec::new());
    }
    for (name, value) in &environment.own {
        let key = format!("environment.{}", name.to_string_lossy());
        parts.insert(key, value.as_encoded_bytes().to_vec());
    }
}

/// Each with its length before it: two lists never read the same.
fn list(texts: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

fn digest(salt: &[u8], key: &str, value: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(salt).expect("HMAC takes a key of any length");
    mac.update(key.as_bytes());
    mac.update(&[0]);
    mac.update(value);
    let bytes = mac.finalize().into_bytes();
    let hex = bytes.iter().take(DIGEST_BYTES).map(|b| format!("{b:02x}"));
    hex.collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    /// A program with a variable of its own, one change made to it.
    fn with(change: impl FnOnce(&mut ProgramSpec)) -> ProgramSpec {
        let mut spec = ProgramSpec::fixture("web");
        spec.command = vec!["serve".to_owned(), "--port 1".to_owned()];
        spec.environment = Environment {
            inherited: Arc::new([("LANG".into(), "C".into())].into()),
            own: [("PORT".into(), "8080".into())].into(),
        };
        change(&mut spec);
        spec
    }

    fn variable(spec: &mut ProgramSpec, name: &str, value: &str) {
        let own = &mut spec.environment.own;
        own.insert(name.into(), value.into());
    }

    #[test]
    fn what_makes_a_run_is_told_by_key_and_the_rest_needs_no_other_run() {
        type Change = fn(&mut ProgramSpec);
        let cases: [(Change, &[&str]); 11] = [
            (|_| {}, &[]),
            (|s| s.command[1] = "--port 2".to_owned(), &["command"]),
            // Other words, though joined they read the same.
            (
                |s| s.command = ["serve", "--port", "1"].map(str::to_owned).to_vec(),
                &["command"],
            ),
            (|s| s.directory = PathBuf::from("/srv"), &["directory"]),
            (|s| variable(s, "PORT", "9090"), &["environment.PORT"]),
            (|s| variable(s, "LEVEL", "1"), &["environment.LEVEL"]),
            (|s| s.environment.own.clear(), &["environment.PORT"]),
            (
                |s| s.environment.inherited = Arc::default(),
                &["environment_clear"],
            ),
            (
                |s| {
                    s.environment.inherited = Arc::new([("LANG".into(), "POSIX".into())].into());
                },
                &[],
            ),
            (
                |s| {
                    s.instances = 3;
                    s.autostart = false;
                    s.stop_timeout = Duration::from_secs(99);
                    s.tags = vec!["game".to_owned()];
                },
                &[],
            ),
            (
                |s| {
                    s.command.pop();
                    variable(s, "A", "b");
                },
                &["command", "environment.A"],
            ),
        ];
        for (n, (change, keys)) in cases.into_iter().enumerate() {
            let (old, new) = (with(|_| {}), with(change));
            assert_eq!(restart_keys(&old, &new), keys, "case {n}");
            let kept = |spec| Fingerprint::of(spec, b"salt");
            assert_eq!(changed_keys(&kept(&old), &kept(&new)), keys, "case {n}");
        }
    }

    #[test]
    fn what_is_kept_shows_no_value_and_depends_on_its_salt() {
        let spec = with(|s| variable(s, "TOKEN", "hunter2"));
        let (one, two) = (
            Fingerprint::of(&spec, b"run 1"),
            Fingerprint::of(&spec, b"run 2"),
        );
        let text = serde_json::to_string(&one).expect("a map of texts");
        assert!(text.contains("environment.TOKEN") && !text.contains("hunter2"));
        let read: Fingerprint = serde_json::from_str(&text).expect("our own text");
        assert_eq!(read, one);
        assert_eq!(one.0.len(), 4);
        assert!(one.0.iter().all(|(key, digest)| two.0[key] != *digest));
    }

    /// Kept by one version and compared by the next: another digest of the same value would restart every program at
    /// an upgrade.
    #[test]
    fn the_digests_stay_what_they_were() {
        let kept = Fingerprint::of(&with(|_| {}), b"salt");
        assert_eq!(
            serde_json::to_string(&kept).expect("a map of texts"),
            r#"{"command":"91d3a1669b6d26cc","directory":"1891a1727f07e1be","environment.PORT":"1ff15fed0faf3ef0"}"#
        );
    }
}
