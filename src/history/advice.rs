//! What most of the ends told have in common, and what to do about it. Pure.

use super::explain::{Ending, How};
use crate::model::event::Exit;
use crate::model::program::Signal;
use crate::model::trigger::Trigger;

/// What ends can have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    Memory,
    Port,
    NotStarted,
    Ended(Trigger),
    Signal(Signal),
    Code(i32),
}

/// What at least half of the failures among `ends` have in common, in words; none when there is nothing. Of equally
/// frequent reasons the latest counts.
#[must_use]
pub fn advice(ends: &[Ending]) -> Option<String> {
    let reasons: Vec<Reason> = ends.iter().filter_map(reason).collect();
    let count = |wanted: &Reason| reasons.iter().filter(|reason| *reason == wanted).count();
    // The first of the most frequent ones: ends come newest first.
    let most = reasons.iter().rev().max_by_key(|reason| count(reason))?;
    let much = count(most);
    (2 * much >= reasons.len()).then(|| {
        let share = match (much, reasons.len()) {
            (1, 1) => "the one failure told here".to_owned(),
            (much, all) => format!("{much} of the {all} failures told here"),
        };
        words(most, &share)
    })
}

fn reason(end: &Ending) -> Option<Reason> {
    let facts = &end.facts;
    match (end.how, facts.trigger, &facts.exit) {
        (How::NotStarted, ..) => Some(Reason::NotStarted),
        (How::Crashed, Some(trigger), _) => Some(Reason::Ended(trigger)),
        (How::Crashed, None, exit) => {
            let cause = facts.cause.as_deref().unwrap_or_default();
            match exit {
                Some(Exit::Signal { oom: true, .. }) => Some(Reason::Memory),
                _ if cause.starts_with("probably") => Some(Reason::Memory),
                _ if cause.starts_with("port ") => Some(Reason::Port),
                Some(Exit::Signal { signal, .. }) => Some(Reason::Signal(*signal)),
                Some(Exit::Code(code)) => Some(Reason::Code(*code)),
                Some(Exit::Unknown) | None => None,
            }
        }
        (How::Exited | How::Stopped | How::Missed, ..) => None,
    }
}

fn words(reason: &Reason, share: &str) -> String {
    let what = match reason {
        Reason::Memory => {
            "came for want of memory: look at its figures for a leak, let it keep less, or give the machine more"
        }
        Reason::Port => {
            "came because its port was taken: stop who holds it, or give it another port"
        }
        Reason::NotStarted => {
            "came before it ran at all: look at its command, its directory and the rights to both"
        }
        Reason::Ended(trigger) => return format!("{share} {}", ended(*trigger)),
        Reason::Signal(signal) => return format!("{share} came {}", signalled(*signal)),
        Reason::Code(127) => "ended with 127, by which a shell says that a command was not found",
        Reason::Code(126) => {
            "ended with 126, by which a shell says that a command may not be executed"
        }
        Reason::Code(code) => {
            return format!(
                "{share} ended with exit code {code}: what the program means by it, its last lines or its manual say"
            );
        }
    };
    format!("{share} {what}")
}

fn ended(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Liveness | Trigger::Watchdog | Trigger::LogSilence | Trigger::StopTimeout => {
            "were hangs that the supervisor ended: look at what it waits for, or give the check more time"
        }
        Trigger::StartTimeout => {
            "were starts that took too long: look at what it waits for, or give it more time to start"
        }
        Trigger::Rule => "came because it broke a rule: look at its figures, or at the rule",
        Trigger::MaxRuntime
        | Trigger::Schedule
        | Trigger::Dependency
        | Trigger::Reload
        | Trigger::Watch => "were brought about by its configuration",
    }
}

fn signalled(signal: Signal) -> String {
    let is_own_fault = ["SEGV", "ABRT", "BUS", "ILL", "FPE", "SYS", "TRAP"]
        .into_iter()
        .any(|name| Signal::parse(name) == Some(signal));
    if is_own_fault {
        format!(
            "with {signal}, a fault of the program itself: a core dump or another version of it tells more"
        )
    } else {
        format!(
            "with {signal}, which nobody here sent: look for a person, a script or another supervisor that does"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;
    use crate::history::explain::Then;
    use crate::model::event::Facts;

    fn end(how: How, facts: Facts) -> Ending {
        Ending {
            at: Wall::from_millis(0),
            run: None,
            started_at: None,
            how,
            facts,
            killed: None,
            was_adopted: false,
            with_supervisor: false,
            unwatched: None,
            before: vec![],
            then: Then::Down,
        }
    }

    fn crash(exit: Exit, cause: Option<&str>) -> Ending {
        let facts = Facts {
            exit: Some(exit),
            cause: cause.map(str::to_owned),
            ..Facts::default()
        };
        end(How::Crashed, facts)
    }

    fn signal(name: &str, oom: bool) -> Exit {
        let signal = Signal::parse(name).expect("a signal");
        Exit::Signal {
            signal,
            core: false,
            oom,
        }
    }

    #[test]
    fn what_half_of_the_failures_have_in_common_is_told() {
        for (ends, part) in [
            (
                vec![crash(signal("KILL", true), None)],
                "the one failure told here came for want of memory",
            ),
            (
                vec![
                    crash(Exit::Code(137), Some("probably the kernel ended a child")),
                    crash(Exit::Code(1), None),
                ],
                "1 of the 2 failures told here came for want of memory",
            ),
            (
                vec![
                    crash(Exit::Code(1), Some("port 80 is held by x (pid 1)")),
                    crash(Exit::Code(1), Some("port 80 is")),
                ],
                "2 of the 2 failures told here came because its port was taken",
            ),
            (
                vec![crash(signal("SEGV", false), None)],
                "a fault of the program itself",
            ),
            (
                vec![crash(signal("KILL", false), None)],
                "which nobody here sent",
            ),
            (vec![crash(Exit::Code(127), None)], "not found"),
            (vec![crash(Exit::Code(3), None)], "ended with exit code 3"),
            (
                vec![end(How::NotStarted, Facts::default())],
                "before it ran at all",
            ),
        ] {
            let told = advice(&ends).expect("something in common");
            assert!(told.contains(part), "{part} in {told}");
        }
        for trigger in Trigger::ALL {
            let facts = Facts {
                trigger: Some(*trigger),
                ..Facts::default()
            };
            let told = advice(&[end(How::Crashed, facts)]).expect("a trigger");
            assert!(told.starts_with("the one failure told here "), "{told}");
        }
    }

    #[test]
    fn ends_that_are_no_failures_or_have_nothing_in_common_give_no_advice() {
        assert_eq!(advice(&[]), None);
        let asked = end(How::Stopped, Facts::default());
        assert_eq!(advice(&[asked, end(How::Missed, Facts::default())]), None);
        let apart: Vec<Ending> = (1..4).map(|code| crash(Exit::Code(code), None)).collect();
        assert_eq!(advice(&apart), None);
    }
}
