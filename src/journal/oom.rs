//! Whether the kernel ended a process for want of memory. Pure: counters and moments in, a verdict out.
//!
//! SIGKILL says nothing of who sent it. When nobody of us did, the kernel's counters tell: one that rose at about that
//! time. The counter of our own control group is as good as a name, for it counts none but ours; that of the machine
//! counts strangers, too, so with it alone it is only likely. The kernel's log gives the name itself, where it may be
//! read.

use std::time::Duration;

use crate::clock::Mono;
use crate::limits;
use crate::model::event::Exit;
use crate::model::program::Signal;
use crate::procfs::oom::OomKills;

/// Follows the counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rises {
    last: Option<(Mono, OomKills)>,
    group: Option<Span>,
    machine: Option<Span>,
}

/// Within which a counter rose.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: Mono,
    to: Mono,
}

/// What is known of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rise {
    /// There is no such counter.
    Unknown,
    /// It did not rise at about that time.
    No,
    /// It rose at some time that may have been that.
    Vague,
    /// It rose at about that time.
    Near,
}

/// What there is to judge by.
#[derive(Clone, Copy, Debug)]
pub struct Signs {
    /// The counter of our control group.
    pub group: Rise,
    /// That of the machine.
    pub machine: Rise,
    /// Whether the kernel's log names the process; none when it may not be read.
    pub is_named: Option<bool>,
}

/// The judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks for it.
    No,
    /// It may well be so.
    Likely,
    /// It is so.
    Certain,
}

impl Rises {
    /// Takes the counters as they are at `now`.
    pub fn note(&mut self, now: Mono, kills: OomKills) {
        if let Some((before, known)) = self.last {
            let span = Span {
                from: before,
                to: now,
            };
            if is_more(kills.group, known.group) {
                self.group = Some(span);
            }
            if is_more(kills.machine, known.machine) {
                self.machine = Some(span);
            }
        }
        self.last = Some((now, kills));
    }

    /// What the counters say of an end at about `now`, when they were noted last.
    #[must_use]
    pub fn at(&self, now: Mono) -> (Rise, Rise) {
        let kills = self.last.map_or_else(OomKills::default, |(_, kills)| kills);
        (
            judge(self.group, kills.group.is_some(), now),
            judge(self.machine, kills.machine.is_some(), now),
        )
    }
}

fn is_more(new: Option<u64>, old: Option<u64>) -> bool {
    matches!((new, old), (Some(new), Some(old)) if new > old)
}

fn judge(rose: Option<Span>, is_counted: bool, now: Mono) -> Rise {
    match rose {
        _ if !is_counted => Rise::Unknown,
        Some(span) if now.since(span.to) <= limits::OOM_NEAR => {
            if span.to.since(span.from) <= limits::OOM_SPAN {
                Rise::Near
            } else {
                Rise::Vague
            }
        }
        Some(_) | None => Rise::No,
    }
}

/// Whether `exit` can be an end for want of memory: SIGKILL, or a shell's word for it.
#[must_use]
pub fn is_suspect(exit: &Exit) -> bool {
    match exit {
        Exit::Signal { signal, .. } => *signal == Signal::KILL,
        Exit::Code(code) => *code == SHELLS_KILL,
        Exit::Unknown => false,
    }
}

/// What a shell makes of a child that SIGKILL ended.
const SHELLS_KILL: i32 = 128 + 9;

/// Judges a suspect end that nobody of us brought about.
#[must_use]
pub fn verdict(exit: &Exit, signs: Signs) -> Verdict {
    let verdict = match (signs.is_named, signs.group, signs.machine) {
        (Some(true), ..) | (_, Rise::Near, _) => Verdict::Certain,
        (_, Rise::Vague, _) | (None, Rise::Unknown, Rise::Near | Rise::Vague) => Verdict::Likely,
        // The group's counter counts all of ours, and the log, where it may be read, names everybody.
        (_, Rise::No, _) | (Some(false), ..) | (None, Rise::Unknown, Rise::No | Rise::Unknown) => {
            Verdict::No
        }
    };
    match (verdict, exit) {
        // A child of it was ended; that was all it said of its own.
        (Verdict::Certain, Exit::Code(_)) => Verdict::Likely,
        (verdict, Exit::Code(_) | Exit::Signal { .. } | Exit::Unknown) => verdict,
    }
}

/// The verdict in words, where the exit itself does not say it.
#[must_use]
pub fn words(exit: &Exit, verdict: Verdict) -> Option<&'static str> {
    match (verdict, exit) {
        (Verdict::No | Verdict::Certain, _) => None,
        (Verdict::Likely, Exit::Code(_)) => {
            Some("probably the kernel ended a child of it for want of memory")
        }
        (Verdict::Likely, Exit::Signal { .. } | Exit::Unknown) => Some(
            "probably out of memory: at about that time the kernel ended a process for want of it",
        ),
    }
}

/// When the run began, after the boot, with some room for the kernel's log having a clock of its own.
#[must_use]
pub fn begun(now: Mono, uptime_s: Option<f64>) -> Duration {
    let uptime = uptime_s.and_then(|s| Duration::try_from_secs_f64(s).ok());
    let since_boot = Duration::from_nanos(now.nanos());
    since_boot.saturating_sub(uptime.unwrap_or_default() + limits::OOM_NEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    fn kills(group: Option<u64>, machine: Option<u64>) -> OomKills {
        OomKills { group, machine }
    }

    fn killed() -> Exit {
        Exit::Signal {
            signal: Signal::KILL,
            core: false,
            oom: false,
        }
    }

    #[test]
    fn the_verdict_follows_the_strongest_sign() {
        use Rise::{Near, No, Unknown, Vague};
        use Verdict::{Certain, Likely};
        for (named, group, machine, wanted) in [
            (Some(true), No, Unknown, Certain),
            (Some(true), Unknown, Unknown, Certain),
            (Some(false), Near, Unknown, Certain),
            (None, Near, Unknown, Certain),
            (None, Vague, Unknown, Likely),
            (None, No, Near, Verdict::No),
            (None, Unknown, Near, Likely),
            (None, Unknown, Vague, Likely),
            (Some(false), Unknown, Near, Verdict::No),
            (None, Unknown, No, Verdict::No),
            (None, Unknown, Unknown, Verdict::No),
            (Some(false), No, No, Verdict::No),
        ] {
            let signs = Signs {
                group,
                machine,
                is_named: named,
            };
            assert_eq!(verdict(&killed(), signs), wanted, "{signs:?}");
            let of_child = verdict(&Exit::Code(137), signs);
            let at_most = if wanted == Certain { Likely } else { wanted };
            assert_eq!(of_child, at_most, "{signs:?}");
            assert_eq!(words(&killed(), wanted).is_some(), wanted == Likely);
        }
    }

    #[test]
    fn only_what_kill_ended_is_a_suspect() {
        let term = Exit::Signal {
            signal: Signal::TERM,
            core: false,
            oom: false,
        };
        assert!(is_suspect(&killed()) && is_suspect(&Exit::Code(137)));
        for exit in [term, Exit::Code(1), Exit::Code(0), Exit::Unknown] {
            assert!(!is_suspect(&exit), "{exit}");
        }
    }

    #[test]
    fn a_counter_that_rises_is_near_for_a_while_and_vague_when_nobody_looked_for_long() {
        let mut rises = Rises::default();
        assert_eq!(rises.at(at(1)), (Rise::Unknown, Rise::Unknown));
        rises.note(at(1), kills(Some(4), None));
        assert_eq!(
            rises.at(at(1)),
            (Rise::No, Rise::Unknown),
            "what was before counts for nobody"
        );
        rises.note(at(6), kills(Some(5), None));
        rises.note(at(7), kills(Some(5), None));
        assert_eq!(rises.at(at(7)).0, Rise::Near);
        assert_eq!(rises.at(at(6) + limits::OOM_NEAR).0, Rise::Near);
        assert_eq!(rises.at(at(7) + limits::OOM_NEAR).0, Rise::No);
        rises.note(at(100_000), kills(Some(6), None));
        assert_eq!(rises.at(at(100_000)).0, Rise::Vague);
        rises.note(at(100_001), kills(None, Some(3)));
        rises.note(at(100_002), kills(None, Some(2)));
        assert_eq!(
            rises.at(at(100_002)),
            (Rise::Unknown, Rise::No),
            "a counter begun anew"
        );
        rises.note(at(100_003), kills(None, Some(3)));
        assert_eq!(rises.at(at(100_003)), (Rise::Unknown, Rise::Near));
    }

    #[test]
    fn the_log_is_read_from_a_little_before_the_run() {
        let now = at(1_000);
        assert_eq!(
            begun(now, Some(100.0)) + limits::OOM_NEAR,
            Duration::from_mins(15)
        );
        assert!(begun(now, None) < Duration::from_secs(1_000));
        for odd in [Some(f64::MAX), Some(-1.0), Some(f64::NAN)] {
            assert!(begun(now, odd) <= Duration::from_secs(1_000));
        }
        assert_eq!(begun(now, Some(1e9)), Duration::ZERO);
    }
}
