//! The commands of rules (`do = ["exec"]`), each run when its rule fires: on few threads, which come with work and go
//! without; one at a time for each rule of an instance; none of those that do not fit. Owns what waits, and the threads.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::event::{EventfdFlags, eventfd};
use serde_json::json;

use crate::child::{self, Helper};
use crate::clock;
use crate::ids::RunId;
use crate::limits;
use crate::metrics::rule::Turned;
use crate::model::name::InstanceName;
use crate::model::rule::{Rule, RuleCommand};
use crate::probe::{self, Surroundings};

/// Clones share them.
#[derive(Clone)]
pub(super) struct RuleCommands(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// A thread has gone.
    gone: Condvar,
    /// Becomes readable when nobody wants a command any more.
    over: OwnedFd,
}

#[derive(Default)]
struct State {
    /// What commands are given, of those instances that have some.
    surroundings: HashMap<InstanceName, (RunId, Arc<Surroundings>)>,
    waiting: VecDeque<Job>,
    /// Those that wait or run.
    busy: Vec<(InstanceName, Rule)>,
    /// At work, or about to be.
    workers: usize,
    threads: Vec<JoinHandle<()>>,
    is_over: bool,
}

/// A command to run once.
struct Job {
    turned: Turned,
    command: RuleCommand,
    surroundings: Arc<Surroundings>,
}

impl RuleCommands {
    /// None yet.
    ///
    /// # Errors
    /// No descriptor is to be had.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Shared {
            state: Mutex::default(),
            gone: Condvar::new(),
            over: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })))
    }

    /// What commands about `run` are given.
    pub fn know(&self, instance: &InstanceName, run: RunId, surroundings: Surroundings) {
        let known = (run, Arc::new(surroundings));
        let mut state = self.0.state.lock();
        state.surroundings.insert(instance.clone(), known);
    }

    /// The run has ended; what was begun for it goes on.
    pub fn forget(&self, instance: &InstanceName, run: RunId) {
        let mut state = self.0.state.lock();
        if matches!(state.surroundings.get(instance), Some((of, _)) if *of == run) {
            state.surroundings.remove(instance);
        }
    }

    /// Runs the command of a rule that has fired, if it has one. Waits for nobody.
    pub fn heed(&self, turned: &Turned) {
        let Some(command) = turned.rule.command.clone().filter(|_| turned.has_fired) else {
            return;
        };
        let mut state = self.0.state.lock();
        match state.add(turned, command) {
            Ok(false) => {}
            Ok(true) => {
                drop(state);
                self.man();
            }
            Err(why) => {
                drop(state);
                say(turned, Err(why));
            }
        }
    }

    /// Starts the thread that was counted.
    fn man(&self) {
        let shared = Arc::clone(&self.0);
        let started = crate::thread::spawn_named("rule-command", move || shared.work());
        let mut state = self.0.state.lock();
        let ended: Vec<_> = state.threads.extract_if(.., |t| t.is_finished()).collect();
        let given_up = match started {
            Ok(thread) => {
                state.threads.push(thread);
                Vec::new()
            }
            Err(error) => state.give_up(&error),
        };
        drop(state);
        for (job, why) in given_up {
            say(&job.turned, Err(why));
        }
        for thread in ended {
            let _ = thread.join();
        }
    }

    /// Nothing is begun any more, and what runs is killed. Waits for nobody.
    pub fn stop(&self) {
        let mut state = self.0.state.lock();
        state.is_over = true;
        state.waiting.clear();
        drop(state);
        // EAGAIN means the counter is full: it is readable.
        let _ = rustix::io::write(&self.0.over, &1_u64.to_ne_bytes());
    }

    /// [`RuleCommands::stop`], and waits for what ran, `at_most` so long. Whether all has ended.
    pub fn finish(&self, at_most: Duration) -> bool {
        self.stop();
        let until = clock::mono() + at_most;
        let mut state = self.0.state.lock();
        while state.workers > 0 {
            let left = until.since(clock::mono());
            if left.is_zero() {
                return false;
            }
            self.0.gone.wait_for(&mut state, left);
        }
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        threads.into_iter().all(|thread| thread.join().is_ok())
    }
}

impl State {
    /// Has it wait for a thread. Whether one more is to be started for it, which is counted then.
    fn add(&mut self, turned: &Turned, command: RuleCommand) -> Result<bool, String> {
        let Some((_, surroundings)) = self.surroundings.get(&turned.instance) else {
            return Ok(false);
        };
        if self.is_over {
            return Ok(false);
        }
        let key = (turned.instance.clone(), turned.rule.clone());
        if self.busy.contains(&key) {
            return Err("not run, for it has not ended since the last time".to_owned());
        }
        if self.waiting.len() >= limits::RULE_COMMANDS_WAITING {
            return Err(format!("not run, for {} others wait", self.waiting.len()));
        }
        self.waiting.push_back(Job {
            turned: turned.clone(),
            command,
            surroundings: Arc::clone(surroundings),
        });
        self.busy.push(key);
        let is_wanted = self.workers < limits::RULE_COMMAND_WORKERS;
        self.workers += usize::from(is_wanted);
        Ok(is_wanted)
    }

    /// There is a thread less than was counted; what nobody is left to run is not run.
    fn give_up(&mut self, error: &io::Error) -> Vec<(Job, String)> {
        self.workers -= 1;
        if self.workers > 0 {
            return Vec::new();
        }
        self.busy.clear();
        let jobs = self.waiting.drain(..);
        jobs.map(|job| (job, format!("no thread for it: {error}")))
            .collect()
    }
}

impl Shared {
    fn work(&self) {
        while let Some(job) = self.next() {
            let outcome = job.run(&self.over);
            let mut state = self.state.lock();
            let is_its = |(instance, rule): &(InstanceName, Rule)| {
                *instance == job.turned.instance && *rule == job.turned.rule
            };
            state.busy.retain(|busy| !is_its(busy));
            let is_over = state.is_over;
            drop(state);
            match outcome {
                // It was killed because the supervisor ends.
                Err(_) if is_over => {}
                outcome => say(&job.turned, outcome),
            }
        }
    }

    /// The next one; with none left the thread goes.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        let job = state.waiting.pop_front();
        if job.is_none() {
            state.workers -= 1;
            self.gone.notify_all();
        }
        job
    }
}

impl Job {
    fn run(&self, over: &OwnedFd) -> Result<(), String> {
        let input = self.told();
        let mut environment = self.surroundings.environment.clone();
        let rule = self.turned.rule.when.to_string();
        environment.push(("JIKIMI_RULE".into(), rule.into()));
        let end = child::run_helper(Helper {
            argv: &self.command.argv,
            directory: &self.surroundings.directory,
            environment,
            input: Some(input.as_bytes()),
            os: &self.surroundings.os,
            deadline: clock::mono() + self.command.timeout,
            cancel: over.as_fd(),
        })
        .map_err(|error| error.to_string())?;
        probe::judged(&end, self.command.timeout)
    }

    /// What it reads.
    fn told(&self) -> String {
        let Turned {
            instance,
            run,
            rule,
            value,
            ..
        } = &self.turned;
        let told = json!({
            "rule": rule.when.to_string(),
            "program": instance.program(),
            "instance": instance.to_string(),
            "run": run.to_string(),
            "figure": rule.when.figure.as_str(),
            "value": value,
            "threshold": rule.when.threshold,
            "cause": value.map(|value| rule.broken_words(value)),
        });
        format!("{told}\n")
    }
}

fn say(turned: &Turned, outcome: Result<(), String>) {
    let (instance, rule) = (&turned.instance, &turned.rule.when);
    match outcome {
        Ok(()) => log::info!("{instance}: the command of the rule {rule} was run"),
        Err(why) => log::warn!("{instance}: the command of the rule {rule}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::{Comparison, Condition, Figure};

    fn turned(program: &str, threshold: f64) -> Turned {
        Turned {
            instance: InstanceName::single(program),
            run: RunId::new(),
            rule: Rule {
                when: Condition {
                    figure: Figure::Threads,
                    comparison: Comparison::Above,
                    threshold,
                },
                hold: Duration::ZERO,
                alert: false,
                act: None,
                command: Some(command()),
            },
            has_fired: true,
            value: Some(threshold + 1.0),
        }
    }

    fn command() -> RuleCommand {
        RuleCommand {
            argv: Arc::new(["true".to_owned()]),
            timeout: Duration::from_secs(1),
        }
    }

    fn knowing(programs: &[&str]) -> State {
        let mut state = State::default();
        for program in programs {
            let known = (RunId::new(), Arc::default());
            state
                .surroundings
                .insert(InstanceName::single(*program), known);
        }
        state
    }

    #[test]
    fn one_waits_or_runs_at_a_time_for_each_rule_of_an_instance() {
        let mut state = knowing(&["web", "db"]);
        assert_eq!(state.add(&turned("web", 1.0), command()), Ok(true));
        let again = state.add(&turned("web", 1.0), command());
        assert!(again.is_err_and(|why| why.contains("has not ended")));
        assert_eq!(state.add(&turned("web", 2.0), command()), Ok(true));
        assert_eq!(state.add(&turned("db", 1.0), command()), Ok(true));
        assert_eq!((state.waiting.len(), state.workers), (3, 3));
        assert_eq!(state.add(&turned("gone", 1.0), command()), Ok(false));
        assert_eq!(state.waiting.len(), 3);
    }

    #[test]
    fn neither_threads_nor_what_waits_grow_without_bound() {
        let mut state = knowing(&["web"]);
        let mut told = 0.0;
        for _ in 0..limits::RULE_COMMANDS_WAITING {
            assert!(state.add(&turned("web", told), command()).is_ok());
            told += 1.0;
        }
        assert_eq!(state.workers, limits::RULE_COMMAND_WORKERS);
        let more = state.add(&turned("web", told), command());
        assert!(more.is_err_and(|why| why.contains("others wait")));
        assert_eq!(state.waiting.len(), limits::RULE_COMMANDS_WAITING);
        state.is_over = true;
        assert_eq!(state.add(&turned("web", told), command()), Ok(false));
    }

    #[test]
    fn what_no_thread_is_left_to_run_is_given_up_and_may_come_again() {
        let mut state = knowing(&["web"]);
        assert_eq!(state.add(&turned("web", 1.0), command()), Ok(true));
        assert_eq!(state.add(&turned("web", 2.0), command()), Ok(true));
        let error = io::Error::other("no room");
        assert!(state.give_up(&error).is_empty(), "another one is left");
        assert_eq!(state.give_up(&error).len(), 2);
        assert_eq!(state.add(&turned("web", 1.0), command()), Ok(true));
    }
}
