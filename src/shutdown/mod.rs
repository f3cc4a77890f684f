//! Shutdown: the coordinator. Runs named, bounded steps in order, each on a thread of its own, so that one
//! that fails, panics or hangs does not stop the others. Owns the threads `stop-…`; knows nothing of what
//! the steps do, and never signals a program.
//!
//! A step that is out of time even after it was pressed is abandoned: its thread is left behind and the
//! process ends without it. What it did not finish must already be durable, or be lost knowingly.

pub mod phase;
pub mod report;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded, select};
use parking_lot::Mutex;

use crate::clock::{self, Mono};
use crate::limits;
use crate::model::urgency::Urgency;
use crate::thread::spawn_named;
use phase::{Action, Bounds, Input, Phase, Plan, State};
pub use report::{Outcome, Report, StepReport, Waiting, waiting_line};

/// The body of a step: says what it drained, or what went wrong.
pub type Work = Box<dyn FnOnce(&StepContext) -> Result<String, String> + Send>;

/// One step of the shutdown.
pub struct Step {
    name: &'static str,
    bounds: Bounds,
    work: Work,
}

impl Step {
    /// A step called `name` (at most 10 bytes) that may take `clean`, and `pressed` once it is told to hurry.
    ///
    /// # Panics
    /// When `name` is longer.
    pub fn new(
        name: &'static str,
        clean: Duration,
        pressed: Duration,
        work: impl FnOnce(&StepContext) -> Result<String, String> + Send + 'static,
    ) -> Self {
        assert!(
            "stop-".len() + name.len() <= limits::THREAD_NAME_BYTES,
            "step name {name} does not fit a thread's name"
        );
        Self {
            name,
            bounds: Bounds { clean, pressed },
            work: Box::new(work),
        }
    }
}

/// What a running step sees of the shutdown.
#[derive(Debug)]
pub struct StepContext {
    urgency: Urgency,
    presses: Receiver<Urgency>,
    waiting: Arc<Mutex<Vec<Waiting>>>,
}

impl StepContext {
    /// How urgent it was when the step began: [`Urgency::Now`] means do only what is quick.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        self.urgency
    }

    /// Gives each rise of the urgency while the step runs, for `select!` beside the step's own answers.
    /// Disconnected when the step has been abandoned.
    #[must_use]
    pub fn presses(&self) -> &Receiver<Urgency> {
        &self.presses
    }

    /// Says for whom the step waits; shown until it says otherwise.
    pub fn waiting_for(&self, waiting: Vec<Waiting>) {
        *self.waiting.lock() = waiting;
    }
}

/// Raises the urgency of the shutdown; clones share it. Works before the shutdown begins, too.
#[derive(Clone, Debug)]
pub struct Handle {
    raises: Sender<Urgency>,
    highest: Arc<Mutex<Option<Urgency>>>,
}

impl Handle {
    /// Raises the urgency to `urgency`; never lowers it, never blocks.
    pub fn raise(&self, urgency: Urgency) {
        let mut highest = self.highest.lock();
        if highest.is_some_and(|h| h >= urgency) || urgency == Urgency::Clean {
            return;
        }
        *highest = Some(urgency);
        drop(highest);
        match self.raises.try_send(urgency) {
            // Room for every rise there can be; nobody listens after the end.
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

/// What the coordinator says while it works.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A step began.
    Began(&'static str),
    /// A step still runs: `waiting for web (TERM 4s ago, KILL in 6s)`.
    Waits(String),
    /// A step was told to hurry.
    Pressed(&'static str, Urgency),
    /// A step is over, one way or another.
    Ended(&'a StepReport),
}

/// The coordinator, before it runs.
pub struct Coordinator {
    handle: Handle,
    raises: Receiver<Urgency>,
}

impl Default for Coordinator {
    fn default() -> Self {
        Self::new()
    }
}

impl Coordinator {
    /// A coordinator whose urgency is [`Urgency::Clean`].
    #[must_use]
    pub fn new() -> Self {
        let (tx, raises) = bounded(limits::URGENCY_RISES);
        let handle = Handle {
            raises: tx,
            highest: Arc::new(Mutex::new(None)),
        };
        Self { handle, raises }
    }

    /// The handle that raises its urgency.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs `steps` in order on the caller's thread, which only waits. After `within` every step that still
    /// runs or is to come is pressed, so the whole ends at the latest `within` plus the sum of the pressed
    /// bounds after its begin. `progress` is called on the caller's thread and must not block.
    pub fn run(
        self,
        steps: Vec<Step>,
        within: Duration,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Report {
        let began = clock::mono();
        let plan = Plan {
            steps: steps.iter().map(|s| s.bounds).collect(),
            deadline: began + within,
        };
        let mut shell = Shell {
            names: steps.iter().map(|s| s.name).collect(),
            steps: steps.into_iter().map(|s| Some(s.work)).collect(),
            running: None,
            reports: vec![],
            progress,
        };
        let urgency = shell.drive(&plan, &self.raises);
        Report {
            steps: shell.reports,
            urgency,
            took: clock::mono().since(began),
        }
    }
}

struct Shell<'a> {
    names: Vec<&'static str>,
    steps: Vec<Option<Work>>,
    running: Option<Running>,
    reports: Vec<StepReport>,
    progress: &'a mut dyn FnMut(Progress<'_>),
}

struct Running {
    began: Mono,
    presses: Sender<Urgency>,
    done: Receiver<Result<String, String>>,
    waiting: Arc<Mutex<Vec<Waiting>>>,
}

/// What woke the coordinator.
enum Wake {
    Done(Outcome),
    Raised(Urgency),
    Time,
}

impl Shell<'_> {
    fn drive(&mut self, plan: &Plan, raises: &Receiver<Urgency>) -> Urgency {
        let mut state = self.step(State::NEW, Input::Begin, plan);
        while let Phase::Running { step, .. } = state.phase {
            let input = match self.wait(state.next_deadline(plan), raises) {
                Wake::Done(outcome) => {
                    self.settle(step, outcome);
                    Input::Finished(step)
                }
                Wake::Raised(urgency) => Input::Raised(urgency),
                Wake::Time => Input::Tick,
            };
            state = self.step(state, input, plan);
        }
        state.urgency
    }

    fn step(&mut self, state: State, input: Input, plan: &Plan) -> State {
        let (state, actions) = phase::next(state, input, clock::mono(), plan);
        for action in actions {
            match action {
                Action::Start(step, urgency) => self.start(step, urgency),
                Action::Press(step, urgency) => self.press(step, urgency),
                Action::Abandon(step) => self.settle(step, Outcome::TimedOut),
                Action::Skip(step) => self.settle(step, Outcome::Skipped),
                Action::Finish => {}
            }
        }
        state
    }

    fn start(&mut self, step: usize, urgency: Urgency) {
        let (presses, inbox) = bounded(limits::URGENCY_RISES);
        let (finished, done) = bounded(1);
        let waiting = Arc::new(Mutex::new(vec![]));
        let context = StepContext {
            urgency,
            presses: inbox,
            waiting: Arc::clone(&waiting),
        };
        let name = self.names[step];
        (self.progress)(Progress::Began(name));
        if let Some(work) = self.steps[step].take()
            && let Err(error) = run_named(name, work, context, finished.clone())
        {
            // A step that cannot have a thread fails; run here it could hang everything after it.
            let _ = finished.try_send(Err(format!("no thread for it: {error}")));
        }
        self.running = Some(Running {
            began: clock::mono(),
            presses,
            done,
            waiting,
        });
    }

    fn press(&mut self, step: usize, urgency: Urgency) {
        if let Some(running) = &self.running {
            // Room for every rise there can be; a step that has just ended does not mind.
            let _ = running.presses.try_send(urgency);
        }
        (self.progress)(Progress::Pressed(self.names[step], urgency));
    }

    fn settle(&mut self, step: usize, outcome: Outcome) {
        let now = clock::mono();
        let running = self.running.take();
        // It may have returned while it was being given up.
        let outcome = match (&outcome, running.as_ref().map(|r| r.done.try_recv())) {
            (Outcome::TimedOut, Some(Ok(result))) => outcome_of(Some(result)),
            (_, Some(_) | None) => outcome,
        };
        let left = match &outcome {
            Outcome::Done(_) => None,
            Outcome::Failed(_) | Outcome::TimedOut | Outcome::Skipped => {
                running.as_ref().map(|r| r.waiting.lock().clone())
            }
        };
        let report = StepReport {
            name: self.names[step],
            outcome,
            took: running.map_or(Duration::ZERO, |r| now.since(r.began)),
            left: left
                .unwrap_or_default()
                .into_iter()
                .map(|w| w.name)
                .collect(),
        };
        (self.progress)(Progress::Ended(&report));
        self.reports.push(report);
    }

    fn wait(&mut self, deadline: Option<Mono>, raises: &Receiver<Urgency>) -> Wake {
        loop {
            let now = clock::mono();
            let left = deadline.map_or(limits::PROGRESS_EVERY, |at| at.since(now));
            if left.is_zero() {
                return Wake::Time;
            }
            let Some(running) = &self.running else {
                return Wake::Time;
            };
            select! {
                recv(running.done) -> result => return Wake::Done(outcome_of(result.ok())),
                // The coordinator's own handle lives until it returns.
                recv(raises) -> urgency => match urgency {
                    Ok(urgency) => return Wake::Raised(urgency),
                    Err(_) => return Wake::Time,
                },
                default(left.min(limits::PROGRESS_EVERY)) => {}
            }
            let line = waiting_line(&running.waiting.lock(), clock::mono());
            if let Some(line) = line {
                (self.progress)(Progress::Waits(line));
            }
        }
    }
}

fn run_named(
    name: &str,
    work: Work,
    context: StepContext,
    finished: Sender<Result<String, String>>,
) -> io::Result<()> {
    spawn_named(&format!("stop-{name}"), move || {
        let result = work(&context);
        // An abandoned step has nobody left to tell.
        let _ = finished.try_send(result);
    })
    .map(drop)
}

/// Disconnected without a result is a panic; `thread` has logged it.
fn outcome_of(result: Option<Result<String, String>>) -> Outcome {
    match result {
        Some(Ok(text)) => Outcome::Done(text),
        Some(Err(text)) => Outcome::Failed(text),
        None => Outcome::Failed("it panicked (a bug of ours)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::program::Signal;
    use crate::model::stop::{StopAct, StopProgress};

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(20);

    fn quiet(_: Progress<'_>) {}

    fn outcomes(report: &Report) -> Vec<(&'static str, Outcome)> {
        report
            .steps
            .iter()
            .map(|s| (s.name, s.outcome.clone()))
            .collect()
    }

    fn hang(context: &StepContext) -> Result<String, String> {
        // Ends only when it is abandoned.
        while context.presses().recv().is_ok() {}
        Err("abandoned".to_owned())
    }

    #[test]
    fn a_step_that_fails_panics_or_hangs_does_not_stop_the_others() {
        let steps = vec![
            Step::new("fails", LONG, LONG, |_| Err("disk full".to_owned())),
            Step::new("panics", LONG, LONG, |_| panic!("on purpose")),
            Step::new("hangs", SHORT, SHORT, hang),
            Step::new("flushes", LONG, LONG, |_| Ok("12 samples".to_owned())),
        ];
        let report = Coordinator::new().run(steps, LONG, &mut quiet);
        assert_eq!(
            outcomes(&report),
            [
                ("fails", Outcome::Failed("disk full".to_owned())),
                (
                    "panics",
                    Outcome::Failed("it panicked (a bug of ours)".to_owned())
                ),
                ("hangs", Outcome::TimedOut),
                ("flushes", Outcome::Done("12 samples".to_owned())),
            ]
        );
        assert!(!report.is_clean());
    }

    #[test]
    fn a_second_signal_presses_the_running_step_and_a_third_leaves_the_rest() {
        let coordinator = Coordinator::new();
        let handle = coordinator.handle();
        let mut seen = vec![];
        let steps = vec![
            Step::new("programs", LONG, LONG, |context| {
                context.waiting_for(vec![Waiting::new("web")]);
                hang(context)
            }),
            Step::new("flushes", LONG, LONG, |_| Ok(String::new())),
        ];
        let report = coordinator.run(steps, LONG, &mut |progress| match progress {
            Progress::Began(_) => handle.raise(Urgency::Now),
            Progress::Pressed(_, urgency) => {
                seen.push(urgency);
                handle.raise(Urgency::Exit);
            }
            Progress::Waits(_) | Progress::Ended(_) => {}
        });
        assert_eq!(seen, [Urgency::Now, Urgency::Exit]);
        assert_eq!(
            outcomes(&report),
            [
                ("programs", Outcome::TimedOut),
                ("flushes", Outcome::Skipped)
            ]
        );
        assert_eq!(report.urgency, Urgency::Exit);
        assert!(report.left().contains("flushes"), "{}", report.left());
    }

    #[test]
    fn a_pressed_step_can_finish_in_its_own_way() {
        let steps = vec![Step::new(
            "programs",
            SHORT,
            LONG,
            |context| match context.presses().recv() {
                Ok(urgency) => Ok(format!("killed, {urgency}")),
                Err(e) => Err(e.to_string()),
            },
        )];
        let report = Coordinator::new().run(steps, LONG, &mut quiet);
        assert_eq!(
            outcomes(&report),
            [("programs", Outcome::Done("killed, now".to_owned()))]
        );
    }

    #[test]
    fn the_deadline_of_the_whole_presses_every_step_after_it() {
        let urgent = |context: &StepContext| Ok(context.urgency().to_string());
        let steps = vec![
            Step::new("hangs", LONG, SHORT, hang),
            Step::new("flushes", LONG, LONG, urgent),
        ];
        let report = Coordinator::new().run(steps, SHORT, &mut quiet);
        assert_eq!(
            outcomes(&report),
            [
                ("hangs", Outcome::TimedOut),
                ("flushes", Outcome::Done("now".to_owned()))
            ]
        );
    }

    #[test]
    fn while_it_waits_it_says_for_whom() {
        let coordinator = Coordinator::new();
        let handle = coordinator.handle();
        let mut lines = vec![];
        let steps = vec![Step::new("programs", LONG, LONG, |context| {
            let now = clock::mono();
            context.waiting_for(vec![Waiting {
                stands: Some(StopProgress {
                    last: Some((StopAct::Signal(Signal::TERM), now)),
                    next: (StopAct::Signal(Signal::KILL), now),
                }),
                ..Waiting::new("web")
            }]);
            hang(context)
        })];
        coordinator.run(steps, LONG, &mut |progress| {
            if let Progress::Waits(line) = progress {
                lines.push(line);
                handle.raise(Urgency::Exit);
            }
        });
        assert!(lines[0].starts_with("waiting for web (TERM "), "{lines:?}");
    }
}
