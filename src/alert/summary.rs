//! The one line that says an event in plain words, for every provider, `events` and `status`. Pure. Never
//! holds markup; text that came from programs is made printable and cut.

mod korean;

use std::fmt::Write as _;
use std::time::Duration;

use crate::limits;
use crate::model::event::{Event, EventKind, Exit, Facts};
use crate::model::language::Language;
use crate::model::trial::Step;
use crate::text;

/// `event` in one line of `language`.
#[must_use]
pub fn summary_in(event: &Event, language: Language) -> String {
    let line = match language {
        Language::En => plain(event),
        Language::Ko => korean::summary(event),
    };
    let silenced = event.facts.silence.as_deref();
    match (silenced.filter(|_| event.facts.silenced), language) {
        (Some(silence), Language::En) => format!("{line} (silenced {})", clean(silence)),
        (Some(silence), Language::Ko) => format!("{line} (알림 중지 {})", clean(silence)),
        (None, _) => line,
    }
}

/// `event` in one sentence without a full stop: `web crashed: exit code 1 after 3h 12m; restart 3 in 4s`.
#[must_use]
pub fn summary(event: &Event) -> String {
    summary_in(event, Language::En)
}

fn plain(event: &Event) -> String {
    let facts = &event.facts;
    let who = event.instance.as_ref().map_or_else(
        || "a program".to_owned(),
        |name| clean(&name.to_string()).into_owned(),
    );
    match event.kind {
        EventKind::ProgramStarted
        | EventKind::ProgramReady
        | EventKind::ProgramExited
        | EventKind::ProgramCrashed
        | EventKind::ProgramRestarting
        | EventKind::ProgramFatal
        | EventKind::ProgramRecovered
        | EventKind::ProgramUnhealthy
        | EventKind::ProgramHealthy
        | EventKind::ProgramStopping
        | EventKind::ProgramStopped
        | EventKind::ProgramKilled
        | EventKind::ProgramAdopted
        | EventKind::ProgramStalled
        | EventKind::ProgramLogMatched
        | EventKind::ProgramSkipped
        | EventKind::RuleFired
        | EventKind::RuleCleared => program(event.kind, &who, facts),
        EventKind::SupervisorStarted
        | EventKind::SupervisorStopping
        | EventKind::SupervisorRecovered
        | EventKind::SupervisorDegraded
        | EventKind::SupervisorRestored
        | EventKind::TargetFailing
        | EventKind::TargetRestored
        | EventKind::ConfigReloaded
        | EventKind::ConfigRejected
        | EventKind::StorageDegraded
        | EventKind::StorageRestored
        | EventKind::SilenceStarted
        | EventKind::SilenceEnded
        | EventKind::NotifyTest => supervisor(event.kind, facts),
        EventKind::LogsDropped => dropped(event, facts),
    }
}

fn program(kind: EventKind, who: &str, facts: &Facts) -> String {
    match kind {
        EventKind::ProgramStarted => started(who, facts),
        EventKind::ProgramReady => format!("{who} is ready"),
        EventKind::ProgramExited => {
            format!("{who} ended{}{}{}", exit(facts), after(facts), why(facts))
        }
        EventKind::ProgramCrashed => crashed(who, facts),
        EventKind::ProgramRestarting => format!("{who} will be started again{}", soon(facts)),
        EventKind::ProgramFatal => format!("{who} was given up{}", why(facts)),
        EventKind::ProgramRecovered => match facts.uptime_s.map(seconds) {
            Some(up) => format!("{who} recovered: it has run for {up}"),
            None => format!("{who} recovered"),
        },
        EventKind::ProgramUnhealthy => format!("{who} is unhealthy{}", why(facts)),
        EventKind::ProgramHealthy if facts.cause.is_some() => {
            format!("{who} is not unhealthy any more{}", why(facts))
        }
        EventKind::ProgramHealthy => format!("{who} is healthy again"),
        EventKind::ProgramStopping => format!("{who} is being stopped{}{}", by(facts), why(facts)),
        EventKind::ProgramStopped => {
            format!(
                "{who} was stopped{}{}{}",
                after(facts),
                by(facts),
                why(facts)
            )
        }
        EventKind::ProgramKilled => {
            format!("{who} did not stop in time and was killed{}", why(facts))
        }
        EventKind::ProgramAdopted => adopted(who, facts),
        EventKind::ProgramStalled => format!("{who} has stalled{}", why(facts)),
        EventKind::ProgramLogMatched => {
            format!("{who} wrote a line that is watched for{}", why(facts))
        }
        EventKind::ProgramSkipped => format!("{who} was left alone by the clock{}", why(facts)),
        EventKind::RuleFired => format!("{who} broke a rule{}", why(facts)),
        EventKind::RuleCleared => format!("{who} keeps its rule again{}", why(facts)),
        _ => format!("{who}: {kind}{}", why(facts)),
    }
}

fn supervisor(kind: EventKind, facts: &Facts) -> String {
    let target = facts
        .target
        .as_deref()
        .map_or("a target".into(), |t| format!("target {}", clean(t)));
    match kind {
        EventKind::SupervisorStarted => format!("the supervisor started{}", programs(facts)),
        EventKind::SupervisorStopping => {
            format!("the supervisor is stopping{}{}", by(facts), why(facts))
        }
        EventKind::SupervisorRecovered => format!("the supervisor is back{}", why(facts)),
        EventKind::SupervisorDegraded => format!("the supervisor is degraded{}", why(facts)),
        EventKind::SupervisorRestored => "the supervisor is healthy again".to_owned(),
        EventKind::TargetFailing => format!("{target} takes no messages{}", why(facts)),
        EventKind::TargetRestored => format!("{target} takes messages again"),
        EventKind::ConfigReloaded => format!("the configuration was reloaded{}", why(facts)),
        EventKind::ConfigRejected => {
            format!(
                "the configuration was refused and the old one stays{}",
                why(facts)
            )
        }
        EventKind::StorageDegraded => format!("the storage is degraded{}", why(facts)),
        EventKind::StorageRestored => "the storage is well again".to_owned(),
        EventKind::SilenceStarted => format!("silence{}{}", why(facts), by(facts)),
        EventKind::SilenceEnded => format!("silence is over{}{}", why(facts), by(facts)),
        EventKind::NotifyTest => match facts.trial.map(|trial| trial.step) {
            None | Some(Step::Open) => format!("this is a test of {target}{}", by(facts)),
            Some(Step::Update) => format!("this test of {target} goes on{}", by(facts)),
            Some(Step::Resolve) => format!("this test of {target} is over{}", by(facts)),
        },
        _ => format!("{kind}{}", why(facts)),
    }
}

fn started(who: &str, facts: &Facts) -> String {
    let mut line = format!("{who} started");
    if let Some(pid) = facts.pid {
        let _ = write!(line, " as pid {pid}");
    }
    if let Some(n @ 1..) = facts.restarts {
        let _ = write!(line, ", restart {n}");
    }
    line
}

fn crashed(who: &str, facts: &Facts) -> String {
    let next = match (facts.next_restart_s, facts.restarts) {
        (Some(s), Some(n)) => format!("; restart {} {}", n.saturating_add(1), moment(s)),
        (Some(s), None) => format!("; restart {}", moment(s)),
        (None, _) => String::new(),
    };
    let cause = match (&facts.exit, &facts.cause) {
        (Some(_), Some(cause)) => format!(" ({})", clean(cause)),
        (None, Some(cause)) => format!(": {}", clean(cause)),
        (_, None) => String::new(),
    };
    let (exit, after, by) = (exit(facts), after(facts), by(facts));
    format!("{who} crashed{exit}{after}{by}{cause}{next}")
}

fn adopted(who: &str, facts: &Facts) -> String {
    match (&facts.exit, facts.pid) {
        (Some(end), _) => format!("{who} ended while nobody watched: {end}{}", why(facts)),
        (None, Some(pid)) => {
            format!("{who} was still running and is supervised again as pid {pid}")
        }
        (None, None) => format!("{who} was still running and is supervised again"),
    }
}

/// Of an instance it is bytes of its output that are lost, of the whole it is records.
fn dropped(event: &Event, facts: &Facts) -> String {
    if let Some(name) = &event.instance {
        let much = facts
            .count
            .map_or_else(String::new, |bytes| format!("{} of ", text::size(bytes)));
        return format!(
            "{much}output of {} lost{}",
            clean(&name.to_string()),
            why(facts)
        );
    }
    match facts.count {
        Some(1) => format!("1 record was dropped{}", why(facts)),
        Some(n) => format!("{n} records were dropped{}", why(facts)),
        None => format!("records were dropped{}", why(facts)),
    }
}

fn programs(facts: &Facts) -> String {
    match facts.count {
        Some(1) => " with 1 program".to_owned(),
        Some(n) => format!(" with {n} programs"),
        None => String::new(),
    }
}

fn exit(facts: &Facts) -> String {
    match &facts.exit {
        Some(end @ (Exit::Code(_) | Exit::Signal { .. } | Exit::Unknown)) => format!(": {end}"),
        None => String::new(),
    }
}

fn after(facts: &Facts) -> String {
    facts
        .uptime_s
        .map_or_else(String::new, |s| format!(" after {}", seconds(s)))
}

fn soon(facts: &Facts) -> String {
    let which = facts.restarts.map_or_else(String::new, |n| {
        format!(" (restart {})", n.saturating_add(1))
    });
    let when = facts
        .next_restart_s
        .map_or_else(String::new, |s| format!(" {}", moment(s)));
    format!("{when}{which}")
}

fn moment(next_s: f64) -> String {
    if next_s < 0.001 {
        "at once".to_owned()
    } else {
        format!("in {}", seconds(next_s))
    }
}

fn why(facts: &Facts) -> String {
    facts
        .cause
        .as_deref()
        .map_or_else(String::new, |cause| format!(": {}", clean(cause)))
}

fn by(facts: &Facts) -> String {
    facts
        .asked_by
        .as_deref()
        .map_or_else(String::new, |who| format!(", asked by {}", clean(who)))
}

fn seconds(s: f64) -> String {
    Duration::try_from_secs_f64(s.max(0.0))
        .map_or_else(|_| "a long time".to_owned(), text::duration)
}

fn clean(from_outside: &str) -> std::borrow::Cow<'_, str> {
    let line = text::printable(from_outside.as_bytes()).into_owned();
    std::borrow::Cow::Owned(text::cut(&line, limits::SUMMARY_PART_CHARS).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;
    use crate::model::name::InstanceName;

    fn event(kind: EventKind, facts: Facts) -> Event {
        let mut event = Event::new(kind, Wall::from_millis(0));
        event.instance = Some(InstanceName::single("web"));
        event.facts = facts;
        event
    }

    #[test]
    fn a_crash_says_how_after_what_and_what_comes_next() {
        let full = Facts {
            exit: Some(Exit::Code(1)),
            uptime_s: Some(11_520.0),
            restarts: Some(2),
            next_restart_s: Some(4.0),
            ..Facts::default()
        };
        let unspawned = Facts {
            cause: Some("command not found: wbe".to_owned()),
            ..Facts::default()
        };
        let at_once = Facts {
            next_restart_s: Some(0.0),
            ..full.clone()
        };
        for (facts, line) in [
            (
                full,
                "web crashed: exit code 1 after 3h 12m; restart 3 in 4s",
            ),
            (
                at_once,
                "web crashed: exit code 1 after 3h 12m; restart 3 at once",
            ),
            (unspawned, "web crashed: command not found: wbe"),
            (Facts::default(), "web crashed"),
        ] {
            assert_eq!(summary(&event(EventKind::ProgramCrashed, facts)), line);
        }
    }

    #[test]
    fn every_kind_has_a_sentence_of_its_own_on_one_clean_line() {
        let mut seen = std::collections::HashSet::new();
        for kind in EventKind::ALL {
            let facts = Facts {
                cause: Some("two\nlines \x1b[31m and more".to_owned()),
                target: Some("ops".to_owned()),
                count: Some(3),
                ..Facts::default()
            };
            let line = summary(&event(*kind, facts));
            assert!(!line.contains(['\n', '\x1b']), "{kind}: {line:?}");
            assert!(!line.contains(kind.as_str()), "{kind} has no words: {line}");
            assert!(seen.insert(line.clone()), "{kind} reads as another: {line}");
        }
    }

    #[test]
    fn every_kind_has_its_line_in_korean_without_a_word_of_english() {
        let mut seen = std::collections::HashSet::new();
        for kind in EventKind::ALL {
            let facts = Facts {
                exit: Some(Exit::Code(1)),
                cause: Some("restart limit reached: 5 in 1m; \n\x1b[31m 3".to_owned()),
                asked_by: Some("uid 0 (pid 7)".to_owned()),
                target: Some("_".to_owned()),
                count: Some(3),
                pid: Some(9),
                uptime_s: Some(11_520.0),
                restarts: Some(2),
                next_restart_s: Some(4.0),
                ..Facts::default()
            };
            let mut event = event(*kind, facts);
            event.instance = kind
                .as_str()
                .starts_with("program")
                .then(|| InstanceName::single("_"));
            let line = summary_in(&event, Language::Ko);
            let english = line.replace("\\x0a", "").replace("\\x1b[31m", "");
            assert!(
                !english.contains(|c: char| c.is_ascii_alphabetic()),
                "{kind}: {line}"
            );
            assert!(!line.contains(['\n', '\x1b']), "{kind}: {line:?}");
            assert!(seen.insert(line.clone()), "{kind} reads as another: {line}");
        }
        let crash = Facts {
            exit: Some(Exit::Code(1)),
            uptime_s: Some(11_520.0),
            restarts: Some(2),
            next_restart_s: Some(4.0),
            ..Facts::default()
        };
        assert_eq!(
            summary_in(&event(EventKind::ProgramCrashed, crash), Language::Ko),
            "web: 비정상 종료했습니다: 종료 코드 1 (실행 시간 3시간 12분); 4초 후 3번째 재시작"
        );
    }

    #[test]
    fn a_cause_without_end_is_cut() {
        let facts = Facts {
            cause: Some("x".repeat(100_000)),
            ..Facts::default()
        };
        let line = summary(&event(EventKind::ProgramFatal, facts));
        assert!(line.chars().count() < 2 * limits::SUMMARY_PART_CHARS);
    }
}
