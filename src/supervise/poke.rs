//! What is done to a running program at once and changes nothing of what is wanted of it: a signal, a line.
//! Part of the actor.

use super::actor::Actor;
use super::slot::Slot;
use crate::child;
use crate::model::command::{Poke, PokeRequest, VerbResult};
use crate::model::program::Signal;

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
            Poke::Signal(signal) => signal_main(slot, *signal),
            // The line may be anybody's secret: it is not repeated.
            Poke::Line(line) => slot
                .write_line(line)
                .map(|()| "a line was typed".to_owned())
                .map_err(|why| why.to_string()),
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
