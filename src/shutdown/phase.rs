//! Which step of the shutdown runs, how long it may, and what a rising urgency changes. Pure: no clock, no
//! thread, no I/O.
//!
//! ```text
//!              finished                       finished, or out of time again
//!   Running(clean) ──────────► next step ◄──────────────────────── Running(pressed)
//!        │  bound passed, second signal, or the whole shutdown out of time ▲
//!        └─────────────────────────── Press ───────────────────────────────┘
//!   any ── third signal ──► the rest is skipped ──► Done
//! ```
//! A step that is out of time is first pressed (told to hurry: kill, send no more) and given its shorter
//! bound; only then is it abandoned. So a bound that passes kills a program instead of forgetting it.

use std::time::Duration;

use crate::clock::Mono;
use crate::model::urgency::Urgency;

/// How long a step may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// When everything is in order; then it is pressed.
    pub clean: Duration,
    /// Once it is pressed; then it is abandoned.
    pub pressed: Duration,
}

/// The steps, in order, and the moment from which all of them are pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// One a step.
    pub steps: Vec<Bounds>,
    /// The end of the clean shutdown as a whole.
    pub deadline: Mono,
}

/// Where the shutdown stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The highest asked for so far.
    pub urgency: Urgency,
    /// What runs.
    pub phase: Phase,
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing yet.
    Waiting,
    /// One step.
    Running {
        /// Its place in the plan.
        step: usize,
        /// What it has been told.
        told: Urgency,
        /// When its time is over.
        deadline: Mono,
    },
    /// Nothing any more.
    Done,
}

/// What happens to the shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// It begins.
    Begin,
    /// A step returned, failed or panicked.
    Finished(usize),
    /// Somebody wants more.
    Raised(Urgency),
    /// Time passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run this step, with what it is told from the start.
    Start(usize, Urgency),
    /// Tell the running step that it is this urgent.
    Press(usize, Urgency),
    /// Wait for it no longer.
    Abandon(usize),
    /// Do not run this step.
    Skip(usize),
    /// All is over.
    Finish,
}

impl State {
    /// Before the shutdown.
    pub const NEW: Self = Self {
        urgency: Urgency::Clean,
        phase: Phase::Waiting,
    };

    /// When to tick at the latest.
    #[must_use]
    pub fn next_deadline(&self, plan: &Plan) -> Option<Mono> {
        match (self.phase, self.urgency) {
            (Phase::Waiting | Phase::Done, _) => None,
            (Phase::Running { deadline, .. }, Urgency::Clean) => Some(deadline.min(plan.deadline)),
            (Phase::Running { deadline, .. }, Urgency::Now | Urgency::Exit) => Some(deadline),
        }
    }
}

/// One move of the shutdown. Total: a late report of an abandoned step changes nothing.
#[must_use]
pub fn next(state: State, input: Input, now: Mono, plan: &Plan) -> (State, Vec<Action>) {
    match (state.phase, input) {
        (Phase::Waiting, Input::Begin) => start(state, 0, now, plan),
        (Phase::Waiting, Input::Raised(urgency)) => (raised(state, urgency), vec![]),
        (Phase::Running { step, .. }, Input::Finished(finished)) if step == finished => {
            start(state, step + 1, now, plan)
        }
        (Phase::Running { .. }, Input::Raised(urgency)) => press(raised(state, urgency), now, plan),
        (Phase::Running { .. }, Input::Tick) => tick(state, now, plan),
        (Phase::Running { .. }, Input::Begin | Input::Finished(_))
        | (Phase::Waiting, Input::Finished(_) | Input::Tick)
        | (Phase::Done, Input::Begin | Input::Finished(_) | Input::Raised(_) | Input::Tick) => {
            (state, vec![])
        }
    }
}

fn raised(state: State, urgency: Urgency) -> State {
    State {
        urgency: state.urgency.max(urgency),
        ..state
    }
}

fn start(state: State, step: usize, now: Mono, plan: &Plan) -> (State, Vec<Action>) {
    let urgency = if now >= plan.deadline {
        state.urgency.max(Urgency::Now)
    } else {
        state.urgency
    };
    let Some(bounds) = plan.steps.get(step) else {
        let phase = Phase::Done;
        return (State { urgency, phase }, vec![Action::Finish]);
    };
    let bound = match urgency {
        Urgency::Clean => bounds.clean,
        Urgency::Now => bounds.pressed,
        Urgency::Exit => return leave(State { urgency, ..state }, step, plan),
    };
    let phase = Phase::Running {
        step,
        told: urgency,
        deadline: now + bound,
    };
    (State { urgency, phase }, vec![Action::Start(step, urgency)])
}

/// Hands the urgency to the running step, if that is news to it.
fn press(state: State, now: Mono, plan: &Plan) -> (State, Vec<Action>) {
    let Phase::Running { step, told, .. } = state.phase else {
        return (state, vec![]);
    };
    match state.urgency {
        Urgency::Clean => (state, vec![]),
        Urgency::Now if told >= Urgency::Now => (state, vec![]),
        Urgency::Now => (
            hurry(state, step, now, plan),
            vec![Action::Press(step, Urgency::Now)],
        ),
        Urgency::Exit => {
            let (state, mut rest) = leave(state, step + 1, plan);
            let mut actions = vec![Action::Press(step, Urgency::Exit), Action::Abandon(step)];
            actions.append(&mut rest);
            (state, actions)
        }
    }
}

fn hurry(state: State, step: usize, now: Mono, plan: &Plan) -> State {
    let bound = plan.steps.get(step).map_or(Duration::ZERO, |b| b.pressed);
    State {
        phase: Phase::Running {
            step,
            told: Urgency::Now,
            deadline: now + bound,
        },
        ..state
    }
}

fn leave(state: State, from: usize, plan: &Plan) -> (State, Vec<Action>) {
    let mut actions: Vec<Action> = (from..plan.steps.len()).map(Action::Skip).collect();
    actions.push(Action::Finish);
    let phase = Phase::Done;
    (State { phase, ..state }, actions)
}

fn tick(state: State, now: Mono, plan: &Plan) -> (State, Vec<Action>) {
    let Phase::Running {
        step,
        told,
        deadline,
    } = state.phase
    else {
        return (state, vec![]);
    };
    if state.urgency == Urgency::Clean && now >= plan.deadline {
        return press(raised(state, Urgency::Now), now, plan);
    }
    if now < deadline {
        return (state, vec![]);
    }
    match told {
        Urgency::Clean => (
            hurry(state, step, now, plan),
            vec![Action::Press(step, Urgency::Now)],
        ),
        Urgency::Now | Urgency::Exit => {
            let (state, mut rest) = start(state, step + 1, now, plan);
            let mut actions = vec![Action::Abandon(step)];
            actions.append(&mut rest);
            (state, actions)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: usize = 3;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    fn plan() -> Plan {
        let bounds = Bounds {
            clean: Duration::from_secs(10),
            pressed: Duration::from_secs(2),
        };
        Plan {
            steps: vec![bounds; STEPS],
            deadline: at(125),
        }
    }

    fn begin() -> State {
        next(State::NEW, Input::Begin, at(100), &plan()).0
    }

    #[test]
    fn a_step_out_of_time_is_pressed_first_and_abandoned_after() {
        let (state, pressed) = next(begin(), Input::Tick, at(110), &plan());
        assert_eq!(pressed, [Action::Press(0, Urgency::Now)]);
        assert_eq!(state.next_deadline(&plan()), Some(at(112)));
        let (_, after) = next(state, Input::Tick, at(112), &plan());
        assert_eq!(
            after,
            [Action::Abandon(0), Action::Start(1, Urgency::Clean)]
        );
    }

    #[test]
    fn a_second_signal_presses_and_a_third_leaves_saying_what_was_skipped() {
        let (state, second) = next(begin(), Input::Raised(Urgency::Now), at(101), &plan());
        assert_eq!(second, [Action::Press(0, Urgency::Now)]);
        let (state, third) = next(state, Input::Raised(Urgency::Exit), at(101), &plan());
        assert_eq!(
            third,
            [
                Action::Press(0, Urgency::Exit),
                Action::Abandon(0),
                Action::Skip(1),
                Action::Skip(2),
                Action::Finish
            ]
        );
        assert_eq!(state.phase, Phase::Done);
    }

    #[test]
    fn past_the_deadline_of_the_whole_every_step_still_runs_but_shortly() {
        let (state, actions) = next(begin(), Input::Tick, at(125), &plan());
        assert_eq!(actions, [Action::Press(0, Urgency::Now)]);
        let (state, actions) = next(state, Input::Finished(0), at(126), &plan());
        assert_eq!(actions, [Action::Start(1, Urgency::Now)]);
        assert_eq!(state.next_deadline(&plan()), Some(at(128)));
    }

    /// Every input, with the time that passes before it.
    const MOVES: [(Input, u64); 9] = [
        (Input::Begin, 0),
        (Input::Finished(0), 1),
        (Input::Finished(1), 1),
        (Input::Finished(2), 1),
        (Input::Raised(Urgency::Clean), 0),
        (Input::Raised(Urgency::Now), 0),
        (Input::Raised(Urgency::Exit), 0),
        (Input::Tick, 2),
        (Input::Tick, 30),
    ];

    #[test]
    fn no_short_history_runs_a_step_twice_out_of_order_or_forgets_one() {
        let (depth, plan) = (5, plan());
        let mut finished = 0_u32;
        for number in 0..MOVES.len().pow(depth) {
            let (mut state, mut now, mut rest) = (begin(), 100, number);
            let mut settled = 0;
            let mut running = Some(0);
            for _ in 0..depth {
                let (input, passes) = MOVES[rest % MOVES.len()];
                rest /= MOVES.len();
                now += passes;
                let before = state;
                let (after, actions) = next(state, input, at(now), &plan);
                assert!(after.urgency >= before.urgency, "urgency fell");
                if let (Input::Finished(step), Some(current)) = (input, running)
                    && step == current
                {
                    settled += 1;
                    running = None;
                }
                for action in &actions {
                    match action {
                        Action::Start(step, told) => {
                            assert_eq!((*step, running), (settled, None));
                            assert!(*told != Urgency::Exit);
                            running = Some(*step);
                        }
                        Action::Press(step, told) => {
                            assert_eq!(Some(*step), running);
                            assert!(*told > Urgency::Clean);
                        }
                        Action::Abandon(step) | Action::Skip(step) => {
                            assert_eq!(*step, settled);
                            settled += 1;
                            running = None;
                        }
                        Action::Finish => {
                            assert_eq!(settled, STEPS, "a step was forgotten");
                            finished += 1;
                        }
                    }
                }
                let is_done = after.phase == Phase::Done;
                assert_eq!(is_done, running.is_none(), "{before:?} {input:?}");
                assert_eq!(after.next_deadline(&plan).is_none(), is_done);
                state = after;
            }
        }
        assert!(finished > 1_000, "{finished}");
    }
}
