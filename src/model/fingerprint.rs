//! What of a program's configuration its runs are made of: a change there reaches a program only through another
//! run. Says which keys differ, between two configurations or between one and what was kept of an earlier one; never
//! keeps or shows a value.

use std::collections::{BTreeMap, BTreeSet};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::health::{Aspect, HealthSettings};
use super::log_silence::LogSilence;
use super::program::{Environment, ProgramSpec};
use super::rotation::Rotation;

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
        let digests = parts(spec).run.into_iter().map(|(key, value)| {
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
    differing(&parts(old).run, &parts(new).run)
}

/// The keys that differ and take effect while a run goes on, sorted.
#[must_use]
pub fn live_keys(old: &ProgramSpec, new: &ProgramSpec) -> Vec<String> {
    differing(&parts(old).live, &parts(new).live)
}

fn differing<K: Ord + ToString, V: PartialEq>(
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
) -> Vec<String> {
    let keys: BTreeSet<&K> = old.keys().chain(new.keys()).collect();
    let is_changed = |key: &&K| old.get(*key) != new.get(*key);
    keys.into_iter()
        .filter(is_changed)
        .map(ToString::to_string)
        .collect()
}

/// Every key of a program but its name, with its value in a form for comparing.
#[derive(Default)]
struct Parts {
    /// What a run is made of. Kept over an upgrade as digests, so the form of a value stays as it is.
    run: BTreeMap<String, Vec<u8>>,
    /// What is looked up when it is needed.
    live: BTreeMap<&'static str, String>,
}

impl Parts {
    fn live(&mut self, key: &'static str, value: &impl std::fmt::Debug) {
        let before = self.live.insert(key, format!("{value:?}"));
        debug_assert!(before.is_none(), "{key} stands twice");
    }
}

/// Without `..`: whoever adds a field to the specification decides here whether a change of it needs another run.
fn parts(spec: &ProgramSpec) -> Parts {
    let ProgramSpec {
        name: _,
        command,
        directory,
        environment,
        console,
        os,
        instances,
        autostart,
        restart,
        success_exit_codes,
        ends,
        start_confirm,
        stop,
        stop_timeout,
        depends_on,
        needs,
        backoff,
        restart_limit,
        recover_after,
        tags,
        metrics_interval,
        timing,
        health,
        silence,
        rotation,
        rules,
    } = spec;
    let mut parts = Parts::default();
    parts.run.insert("command".to_owned(), list(command));
    let directory = directory.as_os_str().as_encoded_bytes();
    parts.run.insert("directory".to_owned(), directory.to_vec());
    add_environment(&mut parts.run, environment);
    let console = console.key();
    let console = console.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()));
    parts.run.extend(console);
    let os = os.parts().into_iter();
    (parts.run).extend(os.map(|(key, value)| (key.to_owned(), value.into_bytes())));
    add_notify(&mut parts.run, health);
    add_health(&mut parts, health);
    add_output(&mut parts, (silence, rotation));
    parts.live("instances", instances);
    parts.live("autostart", autostart);
    parts.live("restart", restart);
    parts.live("success_exit_codes", success_exit_codes);
    add_ends(&mut parts, ends);
    parts.live("start_confirm", start_confirm);
    parts.live("stop_signal", &stop.signals);
    parts.live("stop_stdin", &stop.lines);
    parts.live("stop_timeout", stop_timeout);
    parts.live("depends_on", &(depends_on, &needs.conditions));
    parts.live("restart_with", &needs.restart_with);
    parts.live("backoff.initial", &backoff.initial);
    parts.live("backoff.max", &backoff.max);
    parts.live("backoff.factor", &backoff.factor);
    parts.live("backoff.jitter", &backoff.jitter);
    parts.live("backoff.reset_after", &backoff.reset_after);
    parts.live("restart_limit.count", &restart_limit.count);
    parts.live("restart_limit.within", &restart_limit.within);
    parts.live("restart_limit.then", &restart_limit.then);
    parts.live("recover_after", recover_after);
    parts.live("tags", tags);
    parts.live("metrics.interval", metrics_interval);
    parts.live("rule", rules);
    parts.live("max_runtime", &(&timing.max_runtime, &timing.max_announce));
    parts.live("restart_at", &(&timing.restart_at, &timing.announce));
    parts.live("schedule", &timing.schedule);
    parts
}

/// Which ends are successes, and which forbid another run.
fn add_ends(parts: &mut Parts, ends: &super::ends::EndPolicy) {
    parts.live("success_signals", &ends.success_signals);
    parts.live("no_restart_exit_codes", &ends.no_restart_exit_codes);
    parts.live("no_restart_signals", &ends.no_restart_signals);
}

/// What is asked of its output, and how it is kept.
fn add_output(parts: &mut Parts, (silence, rotation): (&Option<LogSilence>, &Rotation)) {
    parts.live("log_silence", silence);
    parts.live("logs.max_size", &rotation.max_size);
    parts.live("logs.max_age", &rotation.max_age);
    parts.live("logs.keep", &rotation.keep);
    parts.live("logs.compress", &rotation.is_packed);
    parts.live("logs.max_total", &rotation.max_total);
}

/// What its health is judged by.
fn add_health(parts: &mut Parts, health: &HealthSettings) {
    parts.live("start_timeout", &health.start_timeout);
    parts.live("readiness", &(&health.readiness, &health.ready_line));
    parts.live("liveness", &health.liveness);
}

/// What a run is told in its environment of how it is to say that it does well.
fn add_notify(run: &mut BTreeMap<String, Vec<u8>>, health: &HealthSettings) {
    if health.is_notified(Aspect::Readiness) {
        run.insert("readiness.notify".to_owned(), Vec::new());
    }
    if let Some(within) = health.watchdog() {
        let value = within.as_micros().to_string().into_bytes();
        run.insert("liveness.notify".to_owned(), value);
    }
}

/// Its own variables one by one; of what it inherits only whether it does. What is inherited is the supervisor's
/// affair: another session of a shell, or one secret more that programs must not see, is no reason to restart all.
fn add_environment(run: &mut BTreeMap<String, Vec<u8>>, environment: &Environment) {
    if environment.inherited.is_empty() {
        run.insert("environment_clear".to_owned(), Vec::new());
    }
    for (name, value) in &environment.own {
        let key = format!("environment.{}", name.to_string_lossy());
        run.insert(key, value.as_encoded_bytes().to_vec());
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
