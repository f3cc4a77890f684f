//! Why did it restart: the ends of an instance's runs, each with what caused it and what followed, and the pattern
//! of those nobody asked for. Folds events and decides nothing else; the words for people are the command line's.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use super::pattern::{self, Pattern, Point};
use crate::clock::Wall;
use crate::ids::RunId;
use crate::limits;
use crate::logs;
use crate::model::event::{Event, EventKind, Exit, Facts};
use crate::model::name::InstanceName;
use crate::store::{Store, StoreError};

/// The kinds of events that are folded.
const KINDS: [EventKind; 13] = [
    EventKind::ProgramStarted,
    EventKind::ProgramExited,
    EventKind::ProgramCrashed,
    EventKind::ProgramRestarting,
    EventKind::ProgramFatal,
    EventKind::ProgramUnhealthy,
    EventKind::ProgramHealthy,
    EventKind::ProgramStopping,
    EventKind::ProgramStopped,
    EventKind::ProgramKilled,
    EventKind::ProgramAdopted,
    EventKind::ProgramStalled,
    EventKind::RuleFired,
];

/// What of the supervisor itself is set beside the ends.
const SUPERVISOR: [EventKind; 3] = [
    EventKind::SupervisorStarted,
    EventKind::SupervisorStopping,
    EventKind::SupervisorRecovered,
];

/// What is known of an instance's ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Whose.
    pub instance: InstanceName,
    /// The latest ends, newest first.
    pub ends: Vec<Ending>,
    /// Of all ends that nobody asked for.
    pub pattern: Pattern,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// When it was noticed.
    pub at: Wall,
    /// Which run; none when not even the spawn worked.
    pub run: Option<RunId>,
    /// When that had started, if it is known.
    pub started_at: Option<Wall>,
    /// In which way.
    pub how: How,
    /// The facts recorded with it: exit, cause, uptime, peak, last lines, who asked.
    pub facts: Facts,
    /// Why KILL was needed, when it was.
    pub killed: Option<String>,
    /// Nobody watched for a while of the run: a later supervisor took it over.
    pub was_adopted: bool,
    /// The supervisor itself was ending.
    pub with_supervisor: bool,
    /// For how long nobody watched, in words, when it ended then or outlived that.
    pub unwatched: Option<String>,
    /// What went before it in the run, oldest first.
    pub before: Vec<Before>,
    /// What followed.
    pub then: Then,
}

/// In which way a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By itself, and that was a failure.
    Crashed,
    /// By itself, and that was none.
    Exited,
    /// Because it was asked to.
    Stopped,
    /// It could not be started at all.
    NotStarted,
    /// While no supervisor watched.
    Missed,
}

impl How {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crashed => "crashed",
            Self::Exited => "exited",
            Self::Stopped => "stopped",
            Self::NotStarted => "not_started",
            Self::Missed => "missed",
        }
    }
}

/// Something that was noticed before a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Before {
    /// When.
    pub at: Wall,
    /// What.
    pub kind: EventKind,
    /// Why, in words.
    pub cause: Option<String>,
}

/// What followed an end.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// Another run.
    Started {
        /// When.
        at: Wall,
        /// Which.
        run: Option<RunId>,
        /// Its main process.
        pid: Option<u32>,
        /// Who asked for it, when somebody did.
        asked_by: Option<String>,
    },
    /// A start is due, so long after the end; none is recorded.
    Due(Option<f64>),
    /// Given up.
    GivenUp(Option<String>),
    /// Stopped before the next start.
    Called {
        /// Who asked.
        asked_by: Option<String>,
    },
    /// Nothing: it stays down.
    Down,
}

/// The account of `name` with its latest `last` ends.
///
/// # Errors
/// The database does not answer.
pub fn account(store: &Store, name: &InstanceName, last: usize) -> Result<Account, StoreError> {
    let room = last
        .saturating_add(1)
        .saturating_mul(limits::EXPLAIN_EVENTS_PER_END);
    let events = store.events_of(name, &KINDS, room)?;
    let ends = store.ends_of(name, limits::PATTERN_POINTS)?;
    let unasked: Vec<Point> = ends
        .iter()
        .filter(|end| end.kind != EventKind::ProgramStopped)
        .map(|end| Point {
            at: end.at,
            lasted: end
                .uptime_s
                .and_then(|s| Duration::try_from_secs_f64(s).ok()),
        })
        .collect();
    let mut ends = fold(&events);
    ends.reverse();
    ends.truncate(last);
    let supervisor = store.supervisor_events(&SUPERVISOR, limits::EXPLAIN_SUPERVISORS)?;
    for end in &mut ends {
        set_beside(end, &supervisor);
    }
    if let Some(state_dir) = store.path().parent() {
        add_lines(&mut ends, name, state_dir);
    }
    Ok(Account {
        instance: name.clone(),
        ends,
        pattern: pattern::classify(&unasked),
    })
}

/// What became of the supervisor at the time of an end; `supervisor` comes newest first.
fn set_beside(end: &mut Ending, supervisor: &[Event]) {
    let Some(last) = supervisor.iter().find(|event| event.time <= end.at) else {
        return;
    };
    end.with_supervisor = end.how == How::Stopped && last.kind == EventKind::SupervisorStopping;
    if end.how == How::Missed || end.was_adopted {
        // Of the run's own time, not of one before it.
        let since = end.started_at.unwrap_or(Wall::from_millis(i64::MIN));
        let mut within = supervisor
            .iter()
            .filter(|event| event.time <= end.at && event.time >= since);
        let recovered = within.find(|event| event.kind == EventKind::SupervisorRecovered);
        end.unwatched = recovered.and_then(|event| event.facts.cause.clone());
    }
}

/// What a stopped run said last is not stored with its end, but in the files of its output.
fn add_lines(ends: &mut [Ending], name: &InstanceName, state_dir: &Path) {
    let silent = ends.iter_mut().filter(|end| end.facts.log_tail.is_empty());
    for end in silent.take(limits::EXPLAIN_TAILS) {
        if let Some(run) = end.run {
            end.facts.log_tail = logs::stored_tail(state_dir, name, run, limits::EVENT_TAIL_LINES);
        }
    }
}

/// The ends that `events` of one instance, in the order of their commits, tell of; oldest first.
#[must_use]
pub fn fold(events: &[Event]) -> Vec<Ending> {
    let mut fold = Fold::default();
    for event in events {
        fold.take(event);
    }
    fold.ends
}

#[derive(Default)]
struct Fold {
    ends: Vec<Ending>,
    /// Of the run under way.
    started_at: Option<Wall>,
    pid: Option<u32>,
    run: Option<RunId>,
    before: VecDeque<Before>,
    killed: Option<String>,
    was_adopted: bool,
}

impl Fold {
    fn take(&mut self, event: &Event) {
        match event.kind {
            EventKind::ProgramStarted => self.started(event),
            EventKind::ProgramCrashed if event.run.is_none() => self.ended(event, How::NotStarted),
            EventKind::ProgramCrashed => self.ended(event, How::Crashed),
            EventKind::ProgramExited if is_missed(&event.facts) => self.ended(event, How::Missed),
            EventKind::ProgramExited => self.ended(event, How::Exited),
            EventKind::ProgramStopped => self.stopped(event),
            EventKind::ProgramRestarting => self.follow(Then::Due(event.facts.next_restart_s)),
            EventKind::ProgramFatal => self.given_up(event),
            EventKind::ProgramKilled => {
                self.killed = Some(event.facts.cause.clone().unwrap_or_default());
            }
            EventKind::ProgramAdopted => self.adopted(event),
            EventKind::ProgramUnhealthy
            | EventKind::ProgramHealthy
            | EventKind::ProgramStalled
            | EventKind::RuleFired => self.noticed(event),
            _ => {}
        }
    }

    fn started(&mut self, event: &Event) {
        self.follow(Then::Started {
            at: event.time,
            run: event.run,
            pid: event.facts.pid,
            asked_by: event.facts.asked_by.clone(),
        });
        self.begin(event.run);
        self.started_at = Some(event.time);
        self.pid = event.facts.pid;
    }

    fn begin(&mut self, run: Option<RunId>) {
        self.run = run;
        (self.started_at, self.pid) = (None, None);
        self.before.clear();
        self.killed = None;
        self.was_adopted = false;
    }

    /// What follows the latest end, unless something final is known of it already.
    fn follow(&mut self, then: Then) {
        if let Some(end) = self.ends.last_mut()
            && matches!(end.then, Then::Down | Then::Due(_))
        {
            end.then = then;
        }
    }

    fn ended(&mut self, event: &Event, how: How) {
        if event.run.is_some() && event.run != self.run {
            // Its start lies before what was read, or was never written.
            self.begin(event.run);
        }
        let then = match event.facts.next_restart_s {
            Some(pause) => Then::Due(Some(pause)),
            None => Then::Down,
        };
        let has_run = event.run.is_some();
        let mut facts = event.facts.clone();
        facts.pid = facts.pid.or(self.pid);
        if how == How::Stopped && facts.uptime_s.is_none() {
            // Its processes are gone by the time that is recorded.
            facts.uptime_s = self.started_at.map(|at| event.time.since(at).as_secs_f64());
        }
        self.ends.push(Ending {
            at: event.time,
            run: event.run,
            started_at: self.started_at.filter(|_| has_run),
            how,
            facts,
            killed: self.killed.take(),
            was_adopted: std::mem::take(&mut self.was_adopted),
            with_supervisor: false,
            unwatched: None,
            before: std::mem::take(&mut self.before).into(),
            then,
        });
        self.begin(None);
    }

    /// Without a run, or with one whose end was told, it is the end of a wait.
    fn stopped(&mut self, event: &Event) {
        let is_told = self.ends.last().is_some_and(|end| end.run == event.run);
        if event.run.is_some() && !is_told {
            return self.ended(event, How::Stopped);
        }
        self.follow(Then::Called {
            asked_by: event.facts.asked_by.clone(),
        });
    }

    /// After a failure that was one too many, or all by itself: there is no such command.
    fn given_up(&mut self, event: &Event) {
        let is_after = |end: &Ending| {
            let is_same = event.run.is_some() && end.run == event.run;
            end.then == Then::Down && (is_same || end.how == How::NotStarted)
        };
        if !self.ends.last().is_some_and(is_after) {
            let alone = Event {
                run: None,
                ..event.clone()
            };
            self.ended(&alone, How::NotStarted);
        }
        self.follow(Then::GivenUp(event.facts.cause.clone()));
    }

    /// Taken over alive, or found to have ended.
    fn adopted(&mut self, event: &Event) {
        if event.facts.exit.is_some() {
            return self.ended(event, How::Missed);
        }
        if event.run != self.run {
            // Its start was never written, or lies before what was read.
            let up_ms = event.facts.uptime_s.map_or(0.0, |s| s.max(0.0) * 1e3);
            #[expect(clippy::cast_possible_truncation, reason = "saturates, as it should")]
            let at = Wall::from_millis(event.time.millis().saturating_sub(up_ms as i64));
            self.follow(Then::Started {
                at,
                run: event.run,
                pid: event.facts.pid,
                asked_by: None,
            });
            self.begin(event.run);
            (self.started_at, self.pid) = (Some(at), event.facts.pid);
        }
        self.was_adopted = true;
    }

    fn noticed(&mut self, event: &Event) {
        if self.before.len() == limits::EXPLAIN_BEFORE {
            self.before.pop_front();
        }
        self.before.push_back(Before {
            at: event.time,
            kind: event.kind,
            cause: event.facts.cause.clone(),
        });
    }
}

/// Nobody was there: the kernel tells no more, and the run's time is not known either.
fn is_missed(facts: &Facts) -> bool {
    facts.exit == Some(Exit::Unknown) && facts.uptime_s.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Wall {
        Wall::from_millis(1_700_000_000_000) + Duration::from_secs(seconds)
    }

    struct Story {
        events: Vec<Event>,
        now: u64,
    }

    impl Story {
        fn new() -> Self {
            Self {
                events: vec![],
                now: 0,
            }
        }

        fn tell(mut self, kind: EventKind, run: Option<RunId>, facts: Facts) -> Self {
            self.now += 10;
            let mut event = Event::new(kind, at(self.now));
            event.instance = Some(InstanceName::single("web"));
            (event.run, event.facts) = (run, facts);
            self.events.push(event);
            self
        }
    }

    fn crash(pause: Option<f64>) -> Facts {
        Facts {
            exit: Some(Exit::Code(1)),
            uptime_s: Some(10.0),
            next_restart_s: pause,
            ..Facts::default()
        }
    }

    fn asked(by: &str) -> Facts {
        Facts {
            asked_by: Some(by.to_owned()),
            exit: Some(Exit::Code(0)),
            ..Facts::default()
        }
    }

    fn because(cause: &str) -> Facts {
        Facts {
            cause: Some(cause.to_owned()),
            ..Facts::default()
        }
    }

    #[test]
    fn a_crash_is_followed_by_the_run_that_came_after_it() {
        let (first, second) = (RunId::new(), RunId::new());
        let story = Story::new()
            .tell(EventKind::ProgramStarted, Some(first), Facts::default())
            .tell(
                EventKind::ProgramUnhealthy,
                Some(first),
                because("no answer"),
            )
            .tell(EventKind::ProgramCrashed, Some(first), crash(Some(0.5)))
            .tell(
                EventKind::ProgramRestarting,
                None,
                Facts {
                    next_restart_s: Some(0.5),
                    ..Facts::default()
                },
            )
            .tell(
                EventKind::ProgramStarted,
                Some(second),
                Facts {
                    pid: Some(7),
                    ..Facts::default()
                },
            );
        let ends = fold(&story.events);
        assert_eq!(ends.len(), 1);
        let end = &ends[0];
        assert_eq!(
            (end.how, end.run, end.started_at),
            (How::Crashed, Some(first), Some(at(10)))
        );
        assert_eq!(end.before.len(), 1);
        assert_eq!(
            end.then,
            Then::Started {
                at: at(50),
                run: Some(second),
                pid: Some(7),
                asked_by: None
            }
        );
        let cut = fold(&story.events[2..4]);
        assert_eq!(
            (cut[0].started_at, &cut[0].then),
            (None, &Then::Due(Some(0.5)))
        );
    }

    #[test]
    fn what_was_asked_for_says_by_whom_and_whether_kill_was_needed() {
        let (first, second) = (RunId::new(), RunId::new());
        let by = "uid 7 by the socket";
        let story = Story::new()
            .tell(EventKind::ProgramStarted, Some(first), Facts::default())
            .tell(EventKind::ProgramStopping, Some(first), asked(by))
            .tell(
                EventKind::ProgramKilled,
                Some(first),
                because("did not end"),
            )
            .tell(EventKind::ProgramStopped, Some(first), asked(by))
            .tell(EventKind::ProgramStarted, Some(second), asked(by));
        let ends = fold(&story.events);
        assert_eq!(ends[0].how, How::Stopped);
        assert_eq!(ends[0].killed.as_deref(), Some("did not end"));
        let Then::Started { asked_by, .. } = &ends[0].then else {
            panic!("{ends:?}");
        };
        assert_eq!(asked_by.as_deref(), Some(by));
    }

    #[test]
    fn giving_up_follows_a_crash_or_stands_alone() {
        let run = RunId::new();
        let story = Story::new()
            .tell(EventKind::ProgramStarted, Some(run), Facts::default())
            .tell(EventKind::ProgramCrashed, Some(run), crash(None))
            .tell(EventKind::ProgramFatal, Some(run), because("restart limit"))
            .tell(EventKind::ProgramFatal, None, because("command not found"));
        let ends = fold(&story.events);
        assert_eq!(ends.len(), 2);
        assert_eq!(
            ends[0].then,
            Then::GivenUp(Some("restart limit".to_owned()))
        );
        assert_eq!((ends[1].how, ends[1].run), (How::NotStarted, None));
        assert_eq!(
            ends[1].then,
            Then::GivenUp(Some("command not found".to_owned()))
        );
    }

    #[test]
    fn a_stop_during_the_pause_is_what_followed() {
        let run = RunId::new();
        let story = Story::new()
            .tell(EventKind::ProgramStarted, Some(run), Facts::default())
            .tell(EventKind::ProgramCrashed, Some(run), crash(Some(60.0)))
            .tell(
                EventKind::ProgramStopped,
                None,
                Facts {
                    asked_by: Some("me".to_owned()),
                    ..Facts::default()
                },
            );
        let then = Then::Called {
            asked_by: Some("me".to_owned()),
        };
        assert_eq!(fold(&story.events)[0].then, then);
    }

    #[test]
    fn a_stop_of_what_a_failed_run_left_is_no_second_end_of_it() {
        let run = RunId::new();
        let story = Story::new()
            .tell(EventKind::ProgramStarted, Some(run), Facts::default())
            .tell(EventKind::ProgramCrashed, Some(run), crash(Some(60.0)))
            .tell(EventKind::ProgramStopped, Some(run), asked("me"));
        let ends = fold(&story.events);
        assert_eq!(ends.len(), 1);
        assert!(matches!(ends[0].then, Then::Called { .. }), "{ends:?}");
    }

    #[test]
    fn a_start_by_hand_that_cannot_be_is_no_sequel_of_an_end_before() {
        let run = RunId::new();
        let story = Story::new()
            .tell(EventKind::ProgramStarted, Some(run), Facts::default())
            .tell(EventKind::ProgramExited, Some(run), crash(None))
            .tell(EventKind::ProgramFatal, None, because("command not found"))
            .tell(EventKind::ProgramFatal, None, because("command not found"));
        let ends = fold(&story.events);
        assert_eq!((ends.len(), &ends[0].then), (3, &Then::Down));
        assert!(ends[1..].iter().all(|end| end.how == How::NotStarted));
    }

    #[test]
    fn what_nobody_saw_is_told_apart() {
        let (first, second) = (RunId::new(), RunId::new());
        let unknown = Facts {
            exit: Some(Exit::Unknown),
            ..because("ended while no supervisor ran")
        };
        let story = Story::new()
            .tell(EventKind::ProgramStarted, Some(first), Facts::default())
            .tell(EventKind::ProgramExited, Some(first), unknown)
            .tell(EventKind::ProgramStarted, Some(second), Facts::default())
            .tell(EventKind::ProgramAdopted, Some(second), Facts::default())
            .tell(EventKind::ProgramCrashed, Some(second), crash(None));
        let ends = fold(&story.events);
        assert_eq!((ends[0].how, ends[0].was_adopted), (How::Missed, false));
        assert_eq!((ends[1].how, ends[1].was_adopted), (How::Crashed, true));
        assert_eq!(ends[1].started_at, Some(at(30)));
    }

    #[test]
    fn the_end_of_the_supervisor_is_told_from_a_stop_by_hand() {
        let event = |kind, seconds, cause: Option<&str>| {
            let mut event = Event::new(kind, at(seconds));
            event.facts.cause = cause.map(str::to_owned);
            event
        };
        // Newest first: it ended at 100, came back at 200, was killed, and came back at 300.
        let supervisor = [
            event(
                EventKind::SupervisorRecovered,
                300,
                Some("nobody watched for 9s"),
            ),
            event(EventKind::SupervisorStarted, 300, None),
            event(EventKind::SupervisorStarted, 200, None),
            event(EventKind::SupervisorStopping, 100, None),
            event(EventKind::SupervisorStarted, 1, None),
        ];
        let run = RunId::new();
        let story = Story::new().tell(EventKind::ProgramStopped, Some(run), asked("me"));
        let stopped = fold(&story.events).remove(0);
        let story = Story::new().tell(
            EventKind::ProgramAdopted,
            Some(run),
            Facts {
                exit: Some(Exit::Unknown),
                ..Facts::default()
            },
        );
        let missed = fold(&story.events).remove(0);
        for (end, seconds, with_supervisor, unwatched) in [
            (&stopped, 0, false, None),
            (&stopped, 50, false, None),
            (&stopped, 101, true, None),
            (&stopped, 250, false, None),
            (&stopped, 350, false, None),
            (&missed, 250, false, None),
            (&missed, 301, false, Some("nobody watched for 9s")),
        ] {
            let mut end = end.clone();
            end.at = at(seconds);
            set_beside(&mut end, &supervisor);
            assert_eq!(end.with_supervisor, with_supervisor, "{seconds}");
            assert_eq!(end.unwatched.as_deref(), unwatched, "{seconds}");
        }
        let mut later = missed;
        (later.at, later.started_at) = (at(400), Some(at(310)));
        set_beside(&mut later, &supervisor);
        assert_eq!(later.unwatched, None, "that was before it");
    }

    #[test]
    fn any_order_of_events_is_taken_without_a_panic() {
        let runs = [RunId::new(), RunId::new()];
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..2_000 {
            let mut story = Story::new();
            for _ in 0..rng.usize(0..12) {
                let kind = EventKind::ALL[rng.usize(..EventKind::ALL.len())];
                let run = rng.bool().then(|| runs[rng.usize(..2)]);
                story = story.tell(kind, run, crash(rng.bool().then_some(1.0)));
            }
            let ends = fold(&story.events);
            let told = |kinds: &[EventKind]| {
                story
                    .events
                    .iter()
                    .filter(|e| kinds.contains(&e.kind))
                    .count()
            };
            assert!(ends.len() >= told(&[EventKind::ProgramCrashed, EventKind::ProgramExited]));
            assert!(
                ends.iter()
                    .all(|end| end.before.len() <= limits::EXPLAIN_BEFORE)
            );
        }
    }
}
