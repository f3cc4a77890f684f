//! What is done to a running program at once and changes nothing of what is wanted of it: a signal, a line.
//! Part of the actor.

use super::actor::Actor;
use super::slot::Slot;
use crate::child;
use crate::clock::{self, Mono};
use crate::ids::RunId;
use crate::limits;
use crate::model::command::{Poke, PokeRequest, VerbResult};
use crate::model::event::Exit;
use crate::model::program::Signal;

/// A signal that a person sent to a run.
pub(super) struct Signalled {
    run: RunId,
    signal: Signal,
    at: Mono,
    by: String,
}

impl Signalled {
    /// Who asked for the end of `run` that came at `now` as `exit`, if this signal is what ended it: it died of the
    /// very signal, or ended soon after one that asks a program to end.
    pub fn blamed(&self, run: RunId, exit: &Exit, now: Mono) -> Option<String> {
        let is_soon = now.since(self.at) <= limits::SIGNAL_BLAME;
        let is_it = match exit {
            Exit::Signal { signal, .. } => *signal == self.signal,
            Exit::Code(_) => is_soon && ENDING.contains(&self.signal.to_string().as_str()),
            Exit::Unknown => false,
        };
        let is_blamed = self.run == run && is_it;
        is_blamed.then(|| format!("{} by {}", self.signal, self.by))
    }
}

/// Signals that ask a program to end, whatever it makes of them.
const ENDING: [&str; 4] = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"];

impl Actor {
    pub(super) fn poke(&mut self, request: PokeRequest) {
        let PokeRequest {
            poke,
            patterns,
            by,
            reply,
        } = request;
        let results = self.chosen(&patterns).map(|chosen| {
            let poked = chosen.iter().map(|slot| self.poke_one(*slot, &poke, &by));
            poked.collect()
        });
        // The asker may have gone; that is no fault.
        let _ = reply.try_send(results);
    }

    fn poke_one(&mut self, slot: usize, poke: &Poke, by: &str) -> VerbResult {
        let slot = &mut self.slots[slot];
        let done = match poke {
            Poke::Signal(signal) => signal_main(slot, *signal).inspect(|_| {
                slot.signalled = slot.instance.run().map(|run| Signalled {
                    run,
                    signal: *signal,
                    at: clock::mono(),
                    by: by.to_owned(),
                });
            }),
            // The line may be anybody's secret: it is not repeated.
            Poke::Line(line) => slot
                .write_line(line)
                .map(|()| "a line was typed".to_owned())
                .map_err(|why| why.to_string()),
            // Each key a line in the log would be too much.
            Poke::Keys(keys) => return slot.press(keys),
            Poke::Window { rows, columns } => return slot.set_window(*rows, *columns),
        };
        match done {
            Ok(words) => {
                log::info!("{}: {words}, asked by {by}", slot.name);
                slot.answer(true, &words)
            }
            Err(words) => slot.answer(false, &words),
        }
    }
}

/// To the main process alone: it is the one that knows what a HUP means, and its children are its own affair.
fn signal_main(slot: &Slot, signal: Signal) -> Result<String, String> {
    // What has yet to become its program would die of a signal that the program may be waiting for.
    let live = slot.live.as_ref().filter(|live| live.launch.is_none());
    let Some(main) = live.and_then(|live| live.main.as_ref()) else {
        return Err("is not running; no signal was sent".to_owned());
    };
    match child::signal_process(&main.child.pidfd, signal) {
        Ok(()) => Ok(format!("{signal} sent")),
        Err(error) => Err(format!("{signal} could not be sent: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_signal_is_blamed_for_the_end_it_makes_and_for_no_other() {
        let signal = |name| Signal::parse(name).expect("a signal");
        let died = |name| Exit::Signal {
            signal: signal(name),
            core: false,
            oom: false,
        };
        let (run, sent) = (RunId::new(), Mono::from_nanos(1_000_000_000));
        let (soon, late) = (
            sent + Duration::from_secs(1),
            sent + Duration::from_hours(1),
        );
        for (sent_signal, exit, now, is_blamed) in [
            ("KILL", died("KILL"), soon, true),
            ("KILL", died("KILL"), late, true),
            ("KILL", died("SEGV"), soon, false),
            ("TERM", Exit::Code(3), soon, true),
            ("TERM", Exit::Code(3), late, false),
            ("USR1", Exit::Code(3), soon, false),
            ("USR1", died("USR1"), soon, true),
            ("TERM", Exit::Unknown, soon, false),
        ] {
            let signalled = Signalled {
                run,
                signal: signal(sent_signal),
                at: sent,
                by: "uid 0".to_owned(),
            };
            let blamed = signalled.blamed(run, &exit, now);
            assert_eq!(blamed.is_some(), is_blamed, "{sent_signal} {exit}");
            assert_eq!(
                signalled.blamed(RunId::new(), &exit, now),
                None,
                "another run"
            );
        }
    }
}
