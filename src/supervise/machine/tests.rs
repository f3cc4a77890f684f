//! Tables for single rules, and an exhaustive walk over all short histories.

use super::*;
use crate::limits;
use crate::model::program::{LimitAction, RestartLimit, RestartPolicy};
use crate::model::stop::{StopAct, StopPlan, StopStep};

fn spec() -> ProgramSpec {
    let mut spec = ProgramSpec::fixture("web");
    spec.backoff.jitter = 0.0;
    spec.restart_limit.count = 2;
    spec
}

/// The machine with a world around it that obeys: spawns work, and every process is kept account of.
#[derive(Clone)]
struct World {
    instance: Instance,
    now: Mono,
    main: Option<RunId>,
    tree: Option<RunId>,
    told: Vec<Notice>,
    signals: Vec<Signal>,
    typed: Vec<String>,
    /// It reads what is typed.
    reads: bool,
}

impl World {
    fn new() -> Self {
        Self {
            instance: Instance::new(),
            now: Mono::from_nanos(1),
            main: None,
            tree: None,
            told: Vec::new(),
            signals: Vec::new(),
            typed: Vec::new(),
            reads: true,
        }
    }

    fn feed(&mut self, spec: &ProgramSpec, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let cx = Context {
                spec,
                now: self.now,
                random: 0.5,
            };
            let (instance, actions) = next(self.instance.clone(), input, &cx);
            self.instance = instance;
            for action in actions {
                match action {
                    Action::AwaitNeeds => {}
                    Action::Spawn => {
                        assert!(
                            self.tree.is_none(),
                            "a second run beside a live tree: {:?}",
                            self.instance
                        );
                        let run = RunId::new();
                        (self.main, self.tree) = (Some(run), Some(run));
                        inputs.push(Input::Spawned(run));
                    }
                    Action::Signal(run, signal) => {
                        assert_eq!(Some(run), self.tree, "a signal to a run that is over");
                        self.signals.push(signal);
                    }
                    Action::Type(run, line) => {
                        assert_eq!(Some(run), self.main, "a line for a run that is over");
                        self.typed.push(line.text.to_string());
                        if !self.reads {
                            inputs.push(Input::Untyped(run));
                        }
                    }
                    Action::Tell(notice) => self.told.push(notice),
                }
            }
        }
    }

    fn exit(&mut self, spec: &ProgramSpec, exit: Exit) {
        if let Some(run) = self.main.take() {
            self.feed(spec, Input::Exited(run, exit));
        }
    }

    fn empty(&mut self, spec: &ProgramSpec) {
        if self.main.is_none()
            && let Some(run) = self.tree.take()
        {
            self.feed(spec, Input::TreeGone(run));
        }
    }

    fn demand(&mut self, spec: &ProgramSpec, is_failure: bool) {
        let run = self.main.unwrap_or_else(RunId::new);
        let demand = Demand {
            trigger: Trigger::Liveness,
            cause: "no answer".to_owned(),
            is_failure,
        };
        self.feed(spec, Input::Demand(run, demand));
    }

    fn run_id(&self) -> RunId {
        self.tree.unwrap_or_else(RunId::new)
    }

    fn crash(&mut self, spec: &ProgramSpec) {
        self.exit(spec, Exit::Code(1));
        self.empty(spec);
    }

    fn wait(&mut self, spec: &ProgramSpec, time: Duration) {
        self.now = self.now + time;
        self.feed(spec, Input::Tick);
    }

    fn up(spec: &ProgramSpec) -> Self {
        let mut world = Self::new();
        world.feed(spec, Input::Start);
        world.feed(spec, Input::Ready);
        world
    }

    fn phase(&self) -> PhaseName {
        self.instance.phase()
    }
}

#[test]
fn a_program_is_confirmed_after_it_lived_for_start_confirm() {
    let spec = spec();
    let mut world = World::up(&spec);
    assert_eq!(world.phase(), PhaseName::Starting);
    world.wait(&spec, Duration::from_millis(999));
    assert_eq!(world.phase(), PhaseName::Starting);
    world.wait(&spec, Duration::from_millis(1));
    assert_eq!(world.phase(), PhaseName::Running);
    assert!(
        matches!(
            world.told.as_slice(),
            [Notice::Started(_), Notice::Ready(_)]
        ),
        "{:?}",
        world.told
    );
}

#[test]
fn a_crash_is_followed_by_a_restart_after_the_backoff() {
    let spec = spec();
    let mut world = World::up(&spec);
    world.crash(&spec);
    assert_eq!(world.phase(), PhaseName::Backoff);
    world.wait(&spec, Duration::from_millis(499));
    assert_eq!(world.phase(), PhaseName::Backoff);
    world.wait(&spec, Duration::from_millis(1));
    assert_eq!(world.phase(), PhaseName::Starting);
    assert_eq!(world.instance.history.restarts, 1);
}

#[test]
fn after_the_limit_the_next_failure_is_fatal_and_a_person_can_start_it_again() {
    let spec = spec();
    let mut world = World::up(&spec);
    for _ in 0..2 {
        world.crash(&spec);
        assert_eq!(world.phase(), PhaseName::Backoff);
        world.wait(&spec, Duration::from_secs(5));
    }
    world.crash(&spec);
    assert_eq!(world.phase(), PhaseName::Fatal);
    assert_eq!(
        world.told.last(),
        Some(&Notice::Fatal("restart limit reached: 2 in 1m".to_owned()))
    );
    world.feed(&spec, Input::Start);
    world.feed(&spec, Input::Ready);
    world.crash(&spec);
    assert_eq!(
        world.phase(),
        PhaseName::Backoff,
        "a start asked for forgives what was"
    );
}

#[test]
fn the_window_slides() {
    let spec = spec();
    let mut world = World::up(&spec);
    for _ in 0..10 {
        world.crash(&spec);
        world.wait(&spec, Duration::from_secs(61));
    }
    assert_eq!(
        world.phase(),
        PhaseName::Starting,
        "a restart a minute is within the limit"
    );
}

#[test]
fn a_cooldown_tries_again_slowly_until_a_stable_run() {
    let cooldown = Duration::from_mins(5);
    let mut spec = spec();
    spec.restart_limit.then = LimitAction::Cooldown(cooldown);
    let mut world = World::up(&spec);
    for _ in 0..2 {
        world.crash(&spec);
        world.wait(&spec, Duration::from_secs(5));
    }
    for _ in 0..3 {
        world.crash(&spec);
        world.wait(&spec, cooldown.saturating_sub(Duration::from_millis(1)));
        assert_eq!(world.phase(), PhaseName::Backoff);
        world.wait(&spec, Duration::from_millis(1));
        assert_eq!(world.phase(), PhaseName::Starting);
    }
    world.wait(&spec, spec.backoff.reset_after);
    world.crash(&spec);
    world.wait(&spec, spec.backoff.initial);
    assert_eq!(
        world.phase(),
        PhaseName::Starting,
        "a stable run ends the cooldown"
    );
}

#[test]
fn policies_and_success_codes_decide_what_follows_an_end() {
    use PhaseName::{Backoff, Exited};
    for (policy, code, phase) in [
        (RestartPolicy::Always, 0, Backoff),
        (RestartPolicy::Always, 1, Backoff),
        (RestartPolicy::OnFailure, 0, Exited),
        (RestartPolicy::OnFailure, 3, Exited),
        (RestartPolicy::OnFailure, 1, Backoff),
        (RestartPolicy::Never, 0, Exited),
        (RestartPolicy::Never, 1, Exited),
    ] {
        let mut spec = spec();
        spec.restart = policy;
        spec.success_exit_codes = vec![0, 3];
        let mut world = World::up(&spec);
        world.exit(&spec, Exit::Code(code));
        assert_eq!(world.phase(), phase, "{policy:?} {code}");
        let is_crash = world.told.iter().any(|n| matches!(n, Notice::Crashed(_)));
        assert_eq!(is_crash, code == 1, "{policy:?} {code}");
    }
}

#[test]
fn an_end_that_forbids_a_restart_is_followed_by_none_and_says_by_which_key() {
    let by = |signal| Exit::Signal {
        signal,
        core: false,
        oom: false,
    };
    let codes = "not restarted, by no_restart_exit_codes";
    let signals = "not restarted, by no_restart_signals";
    let (always, on_failure) = (RestartPolicy::Always, RestartPolicy::OnFailure);
    for (policy, exit, is_crash, cause) in [
        (on_failure, Exit::Code(78), true, Some(codes)),
        (always, Exit::Code(79), false, Some(codes)),
        (on_failure, by(Signal::KILL), true, Some(signals)),
        // Nothing would have followed these, so nothing has to be said.
        (RestartPolicy::Never, Exit::Code(78), true, None),
        (on_failure, Exit::Code(79), false, None),
        (on_failure, by(Signal::TERM), false, None),
    ] {
        let mut spec = spec();
        spec.restart = policy;
        spec.success_exit_codes = vec![0, 79];
        spec.ends.success_signals = vec![Signal::TERM];
        spec.ends.no_restart_exit_codes = vec![78, 79];
        spec.ends.no_restart_signals = vec![Signal::KILL];
        let mut world = World::up(&spec);
        world.exit(&spec, exit.clone());
        assert_eq!(world.phase(), PhaseName::Exited, "{exit}");
        let (crashed, ended) = match world.told.pop() {
            Some(Notice::Crashed(ended)) => (true, ended),
            Some(Notice::Exited(ended)) => (false, ended),
            other => panic!("{exit}: {other:?}"),
        };
        assert_eq!(
            (crashed, ended.cause.as_deref()),
            (is_crash, cause),
            "{exit}"
        );
        assert_eq!(ended.next, None, "{exit}");
        world.empty(&spec);
        assert!(world.instance.is_over(), "{exit}");
    }
}

#[test]
fn a_restart_by_a_rule_is_no_crash_but_waits_and_counts_and_one_too_many_gives_up() {
    let spec = spec();
    let mut world = World::up(&spec);
    let by_rule = |world: &mut World| {
        let demand = Demand {
            trigger: Trigger::Rule,
            cause: "memory 2 GiB > 1 GiB".to_owned(),
            is_failure: false,
        };
        world.feed(&spec, Input::Demand(world.main.expect("it is up"), demand));
        world.exit(&spec, Exit::Code(0));
        world.empty(&spec);
    };
    for pause in [spec.backoff.initial, spec.backoff.initial * 2] {
        by_rule(&mut world);
        assert_eq!(world.phase(), PhaseName::Backoff);
        assert!(!world.told.iter().any(|n| matches!(n, Notice::Crashed(_))));
        assert_eq!(world.told.last(), Some(&Notice::Restarting(pause)));
        world.wait(&spec, pause);
        assert_eq!(world.phase(), PhaseName::Starting);
    }
    by_rule(&mut world);
    assert_eq!(world.phase(), PhaseName::Fatal);
    let crashed = world.told.iter().find_map(|notice| match notice {
        Notice::Crashed(ended) => ended.trigger,
        _ => None,
    });
    assert_eq!(crashed, Some(Trigger::Rule));
    assert!(world.instance.is_over());
}

#[test]
fn a_run_that_is_ended_for_a_reason_is_started_again_whatever_its_end_forbids() {
    let mut spec = spec();
    spec.ends.no_restart_exit_codes = vec![78];
    for is_failure in [true, false] {
        let mut world = World::up(&spec);
        world.demand(&spec, is_failure);
        world.exit(&spec, Exit::Code(78));
        world.empty(&spec);
        world.wait(&spec, spec.backoff.initial);
        world.feed(&spec, Input::Ready);
        assert_eq!(world.phase(), PhaseName::Starting);
    }
}

#[test]
fn a_program_that_does_not_stop_is_killed_after_the_grace_and_again_until_it_is_gone() {
    let spec = spec();
    let mut world = World::up(&spec);
    world.feed(&spec, Input::Stop);
    assert_eq!(world.signals, [Signal::TERM]);
    world.wait(&spec, spec.stop_timeout);
    world.wait(&spec, limits::KILL_AGAIN_AFTER);
    assert_eq!(world.signals, [Signal::TERM, Signal::KILL, Signal::KILL]);
    assert_eq!(
        world
            .told
            .iter()
            .filter(|n| matches!(n, Notice::Killed(..)))
            .count(),
        1
    );
    world.exit(
        &spec,
        Exit::Signal {
            signal: Signal::KILL,
            core: false,
            oom: false,
        },
    );
    assert_eq!(
        world.phase(),
        PhaseName::Stopping,
        "something of its tree is left"
    );
    world.empty(&spec);
    assert_eq!(world.phase(), PhaseName::Stopped);
}

/// Lines, pauses and two signals.
fn talkative() -> ProgramSpec {
    let line = |text: &str| {
        StopStep::Act(StopAct::Line(ConsoleLine {
            text: text.into(),
            written: text.into(),
        }))
    };
    let mut spec = spec();
    let signal = |signal| StopStep::Act(StopAct::Signal(signal));
    spec.stop = StopPlan {
        lines: vec![
            line("say bye"),
            StopStep::Wait(Duration::from_secs(3)),
            line("save-all"),
            line("stop"),
        ],
        signals: vec![
            signal(Signal::CONT),
            StopStep::Wait(Duration::from_secs(2)),
            signal(Signal::TERM),
        ],
    };
    spec
}

/// Where the stop of `world` stands, in words.
fn stands(world: &World) -> String {
    match &world.instance.state {
        State::Stopping(stopping) => stopping.sequence.progress().words(world.now),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_stop_goes_through_its_lines_its_signals_and_kill_each_at_its_time() {
    let spec = talkative();
    let mut world = World::up(&spec);
    world.feed(&spec, Input::Stop);
    for (wait, typed, signals, words) in [
        (0, 1, 0, "\"say bye\" typed 0s ago, \"save-all\" in 3s"),
        (2_999, 1, 0, "\"say bye\" typed 3s ago, \"save-all\" in 0s"),
        (1, 3, 0, "\"stop\" typed 0s ago, CONT in 10s"),
        (9_999, 3, 0, "\"stop\" typed 10s ago, CONT in 0s"),
        (1, 3, 1, "CONT 0s ago, TERM in 2s"),
        (2_000, 3, 2, "TERM 0s ago, KILL in 5s"),
        (4_999, 3, 2, "TERM 5s ago, KILL in 0s"),
        (1, 3, 3, "KILL 0s ago, KILL in 1s"),
        (1_000, 3, 4, "KILL 0s ago, KILL in 1s"),
    ] {
        world.wait(&spec, Duration::from_millis(wait));
        let done = (world.typed.len(), world.signals.len(), stands(&world));
        assert_eq!(done, (typed, signals, words.to_owned()));
    }
    assert_eq!(world.typed, ["say bye", "save-all", "stop"]);
    let (cont, term, kill) = (Signal::CONT, Signal::TERM, Signal::KILL);
    assert_eq!(world.signals, [cont, term, kill, kill]);
}

#[test]
fn a_program_that_ends_on_its_line_gets_no_other_and_what_it_leaves_gets_the_signals() {
    let spec = talkative();
    for (wait, typed) in [(0, 1), (3, 3)] {
        let mut world = World::up(&spec);
        world.feed(&spec, Input::Stop);
        world.wait(&spec, Duration::from_secs(wait));
        world.exit(&spec, Exit::Code(0));
        world.wait(&spec, Duration::from_secs(2));
        assert_eq!(world.typed.len(), typed);
        assert_eq!(world.signals, [Signal::CONT, Signal::TERM]);
        world.empty(&spec);
        assert_eq!(world.phase(), PhaseName::Stopped);
        let was_killed = world.told.iter().any(|n| matches!(n, Notice::Killed(..)));
        assert!(!was_killed, "{:?}", world.told);
    }
}

#[test]
fn a_program_that_reads_no_lines_gets_its_signal_at_once() {
    let spec = talkative();
    let mut world = World::up(&spec);
    world.reads = false;
    world.feed(&spec, Input::Stop);
    assert_eq!(stands(&world), "CONT 0s ago, TERM in 2s");
    assert_eq!(world.typed, ["say bye"]);
    // What comes late changes nothing; what the last line says, does.
    let run = world.run_id();
    world.feed(&spec, Input::Untyped(run));
    assert_eq!(world.signals, [Signal::CONT]);
    let mut world = World::up(&spec);
    world.feed(&spec, Input::Stop);
    world.reads = false;
    world.wait(&spec, Duration::from_secs(3));
    assert_eq!(stands(&world), "CONT 0s ago, TERM in 2s");
}

#[test]
fn haste_ends_a_sequence_wherever_it_is() {
    let spec = talkative();
    for wait in [0, 3_000, 13_000, 15_000] {
        let mut world = World::up(&spec);
        world.feed(&spec, Input::Stop);
        world.wait(&spec, Duration::from_millis(wait.min(3_000)));
        world.wait(
            &spec,
            Duration::from_millis(wait.clamp(3_000, 13_000) - 3_000),
        );
        world.wait(&spec, Duration::from_millis(wait.max(13_000) - 13_000));
        world.feed(&spec, Input::Kill);
        assert_eq!(world.signals.last(), Some(&Signal::KILL), "{wait}");
        let State::Stopping(stopping) = &world.instance.state else {
            panic!("{:?}", world.instance);
        };
        assert!(stopping.sequence.is_hurried(), "{wait}");
        let typed = world.typed.len();
        world.wait(&spec, Duration::from_mins(1));
        assert_eq!(world.typed.len(), typed, "{wait}");
    }
}

#[test]
fn a_run_that_fails_a_demand_counts_as_crashed_however_it_ends() {
    let spec = spec();
    let mut world = World::up(&spec);
    world.wait(&spec, Duration::from_secs(2));
    world.demand(&spec, true);
    assert_eq!(world.phase(), PhaseName::Stopping);
    assert_eq!(world.signals, [Signal::TERM]);
    world.exit(&spec, Exit::Code(0));
    world.empty(&spec);
    assert_eq!(world.phase(), PhaseName::Backoff);
    let crashed = world.told.iter().find_map(|notice| match notice {
        Notice::Crashed(ended) => Some(ended.clone()),
        _ => None,
    });
    let crashed = crashed.expect("a failure is told");
    assert_eq!(crashed.trigger, Some(Trigger::Liveness));
    assert_eq!(crashed.exit, Some(Exit::Code(0)));
    assert_eq!(crashed.uptime, Duration::from_secs(2));
    assert_eq!(crashed.next, Some(spec.backoff.initial));
    world.wait(&spec, spec.backoff.initial);
    assert_eq!(world.phase(), PhaseName::Starting);
}

#[test]
fn a_planned_restart_follows_at_once_and_is_held_against_nobody() {
    let mut spec = spec();
    spec.restart = RestartPolicy::Never;
    let mut world = World::up(&spec);
    world.wait(&spec, Duration::from_secs(2));
    world.demand(&spec, false);
    world.exit(&spec, Exit::Code(143));
    world.empty(&spec);
    assert_eq!(world.instance.state, State::Waiting);
    world.feed(&spec, Input::Ready);
    assert_eq!(world.phase(), PhaseName::Starting);
    assert_eq!(world.instance.history.streak, 0);
    let is_crash = world.told.iter().any(|n| matches!(n, Notice::Crashed(_)));
    assert!(!is_crash, "{:?}", world.told);
}

#[test]
fn a_person_who_stops_what_is_being_restarted_has_the_last_word() {
    let spec = spec();
    for is_failure in [true, false] {
        let mut world = World::up(&spec);
        world.demand(&spec, is_failure);
        world.feed(&spec, Input::Stop);
        world.exit(&spec, Exit::Code(0));
        world.empty(&spec);
        assert_eq!(world.phase(), PhaseName::Stopped);
    }
}

#[test]
fn what_is_left_of_a_tree_is_ended_before_the_next_run() {
    let spec = spec();
    let mut world = World::up(&spec);
    world.exit(&spec, Exit::Code(1));
    world.wait(&spec, Duration::from_millis(500));
    assert!(matches!(world.instance.state, State::Clearing { .. }));
    assert_eq!(world.signals, [Signal::TERM]);
    world.wait(&spec, spec.stop_timeout);
    assert_eq!(world.signals, [Signal::TERM, Signal::KILL]);
    world.empty(&spec);
    assert_eq!(world.phase(), PhaseName::Starting);
}

#[test]
fn a_missing_command_is_fatal_and_a_full_process_table_is_tried_again() {
    let spec = spec();
    for (permanent, phase) in [(true, PhaseName::Fatal), (false, PhaseName::Backoff)] {
        let instance = Instance {
            state: State::Spawning,
            ..Instance::new()
        };
        let cx = Context {
            spec: &spec,
            now: Mono::from_nanos(1),
            random: 0.5,
        };
        let failed = Input::SpawnFailed {
            cause: "no".to_owned(),
            permanent,
        };
        assert_eq!(next(instance, failed, &cx).0.phase(), phase);
    }
}

const STEPS: usize = 14;

fn step(world: &mut World, spec: &ProgramSpec, which: usize) {
    match which {
        0 => world.feed(spec, Input::Start),
        1 => world.feed(spec, Input::Stop),
        2 => world.feed(spec, Input::Restart),
        3 => world.feed(spec, Input::Kill),
        4 => world.feed(spec, Input::Ready),
        5 => world.exit(spec, Exit::Code(0)),
        6 => world.exit(spec, Exit::Code(1)),
        7 => world.empty(spec),
        8 => world.wait(spec, Duration::from_mins(6)),
        9 => {
            let late = RunId::new();
            world.feed(spec, Input::Exited(late, Exit::Code(1)));
            world.feed(spec, Input::TreeGone(late));
        }
        10 => world.wait(spec, Duration::from_millis(1)),
        11 => world.demand(spec, true),
        12 => {
            let run = world.run_id();
            world.feed(spec, Input::Untyped(run));
        }
        _ => world.demand(spec, false),
    }
}

fn check(world: &World, spec: &ProgramSpec, path: &[usize]) {
    let state = &world.instance.state;
    // What is alive is known, and nothing else is.
    assert_eq!(world.instance.run(), world.tree, "{path:?} {state:?}");
    // Whoever waits for the clock says until when; whoever waits for a process has one.
    match state {
        State::Clearing { .. }
        | State::Backoff { .. }
        | State::Starting { .. }
        | State::Stopping(_) => {
            assert!(
                world.instance.deadline(spec).is_some(),
                "{path:?} {state:?}"
            );
        }
        State::Running { .. } => assert!(world.main.is_some(), "{path:?}"),
        State::Spawning => panic!("{path:?}: a spawn was ordered and not answered"),
        State::Down(_) | State::Waiting => {}
    }
    if world.instance.desired == Desired::Down {
        let is_up = matches!(
            state,
            State::Starting { .. } | State::Running { .. } | State::Backoff { .. }
        );
        assert!(!is_up, "{path:?}: wanted down and {state:?}");
    }
    assert!(
        world.instance.history.window.len() <= spec.restart_limit.count as usize,
        "{path:?}"
    );
}

fn walk(world: &World, spec: &ProgramSpec, path: &mut Vec<usize>, depth: usize) {
    if depth == 0 {
        return;
    }
    for which in 0..STEPS {
        let mut next = world.clone();
        path.push(which);
        step(&mut next, spec, which);
        check(&next, spec, path);
        walk(&next, spec, path, depth - 1);
        path.pop();
    }
}

#[test]
fn no_short_history_doubles_a_run_or_signals_a_dead_one_or_gets_stuck() {
    for then in [
        LimitAction::Fatal,
        LimitAction::Cooldown(Duration::from_mins(5)),
    ] {
        for restart in [
            RestartPolicy::Always,
            RestartPolicy::OnFailure,
            RestartPolicy::Never,
        ] {
            let mut spec = spec();
            spec.restart = restart;
            spec.restart_limit = RestartLimit {
                count: 1,
                within: Duration::from_mins(1),
                then,
            };
            walk(&World::new(), &spec, &mut Vec::new(), 3);
            walk(&World::up(&spec), &spec, &mut Vec::new(), 5);
            spec.stop = talkative().stop;
            walk(&World::up(&spec), &spec, &mut Vec::new(), 4);
        }
    }
}

#[test]
fn from_anywhere_a_stop_and_dead_processes_lead_down() {
    let spec = talkative();
    let mut paths = vec![vec![]];
    for _ in 0..3 {
        paths = paths
            .into_iter()
            .flat_map(|path: Vec<usize>| {
                (0..STEPS).map(move |which| [&path[..], &[which]].concat())
            })
            .collect();
    }
    for path in paths {
        let mut world = World::up(&spec);
        for which in &path {
            step(&mut world, &spec, *which);
        }
        world.feed(&spec, Input::Stop);
        world.exit(&spec, Exit::Code(0));
        world.empty(&spec);
        assert!(world.instance.is_over(), "{path:?} {:?}", world.instance);
        assert_eq!(world.phase(), PhaseName::Stopped, "{path:?}");
    }
}
