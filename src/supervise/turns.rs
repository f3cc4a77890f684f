//! The letter box for rules that turned, on their way to the actor, and what the actor makes of them. Putting
//! something in waits for nobody; it keeps nobody alive; what does not fit is counted.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};

use super::actor::{Actor, Source};
use super::machine::Input;
use super::tell::Moment;
use crate::ids::RunId;
use crate::limits;
use crate::model::event::{Event, EventKind, Facts, Severity};
use crate::model::name::InstanceName;
use crate::model::record::Record;
use crate::model::rule::{Figure, Rule, RuleAct};
use crate::model::trigger::{Demand, Trigger};

/// A rule that turned.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Whose.
    pub instance: InstanceName,
    /// Of which run.
    pub run: RunId,
    /// Which.
    pub rule: Rule,
    /// Broken, or kept again.
    pub has_fired: bool,
    /// The figure at that moment; none when the run has ended.
    pub value: Option<f64>,
}

/// For those who watch rules; clones share one box.
#[derive(Clone)]
pub struct Turns(Arc<LetterBox>);

struct LetterBox {
    waiting: Mutex<Waiting>,
    bell: OwnedFd,
}

#[derive(Default)]
struct Waiting {
    turns: Vec<Turn>,
    dropped: u64,
}

impl Turns {
    /// An empty box.
    ///
    /// # Errors
    /// No descriptor is to be had.
    pub fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let waiting = Mutex::default();
        Ok(Self(Arc::new(LetterBox { waiting, bell })))
    }

    /// Puts `turns` in.
    pub fn put(&self, turns: impl IntoIterator<Item = Turn>) {
        let mut waiting = self.0.waiting.lock();
        for turn in turns {
            if waiting.turns.len() < limits::RULE_TURNS {
                waiting.turns.push(turn);
            } else {
                waiting.dropped += 1;
            }
        }
        drop(waiting);
        // EAGAIN means the counter is full: the actor is as good as woken.
        let _ = rustix::io::write(&self.0.bell, &1_u64.to_ne_bytes());
    }

    fn take(&self) -> Waiting {
        std::mem::take(&mut *self.0.waiting.lock())
    }
}

impl Actor {
    /// Has epoll tell when something is put in.
    pub(super) fn hear_turns(&mut self) -> io::Result<()> {
        let turns = self.turns.clone();
        self.listen(turns.0.bell.as_fd(), Source::Turns)?;
        Ok(())
    }

    /// Takes out what was put in.
    pub(super) fn take_turns(&mut self) {
        let _ = rustix::io::read(&self.turns.0.bell, &mut [0_u8; 8]);
        let waiting = self.turns.take();
        if waiting.dropped > 0 {
            log::error!("{} turns of rules were dropped", waiting.dropped);
        }
        for turn in waiting.turns {
            self.told.push(told(&turn));
            if turn.has_fired && self.stop.is_none() {
                self.act_on(&turn);
            }
        }
    }

    /// Does what the rule says, if its run is still there; a rule about restarts is about all of them.
    fn act_on(&mut self, turn: &Turn) {
        // One that ends at once has none left when the word on its restarts comes.
        let is_of_any = turn.rule.when.figure == Figure::Restarts;
        let is_its = |slot: &super::slot::Slot| {
            slot.name == turn.instance && (is_of_any || slot.instance.run() == Some(turn.run))
        };
        let Some(slot) = self.slots.iter().position(is_its) else {
            return;
        };
        match turn.rule.act {
            None => {}
            Some(RuleAct::Restart) => {
                let demand = Demand {
                    trigger: Trigger::Rule,
                    cause: words(turn),
                    is_failure: false,
                };
                self.feed(slot, Input::Demand(turn.run, demand));
            }
            Some(RuleAct::Stop) => {
                self.slots[slot].asked_by = Some(format!("the rule {}", words(turn)));
                self.slots[slot].was_killed = false;
                self.slots[slot].planned.is_held = true;
                self.feed(slot, Input::Stop);
            }
        }
    }
}

fn words(turn: &Turn) -> String {
    match turn.value {
        Some(value) if turn.has_fired => turn.rule.broken_words(value),
        Some(value) => {
            let when = turn.rule.when;
            let figure = when.figure;
            let value = figure.words(value);
            format!("{} is {value}; the rule is {when}", figure.as_str())
        }
        None => format!("the run has ended; the rule is {}", turn.rule.when),
    }
}

/// A rule that alerts nobody is told all the same, for the history.
fn told(turn: &Turn) -> Record {
    let kind = if turn.has_fired {
        EventKind::RuleFired
    } else {
        EventKind::RuleCleared
    };
    let mut event = Event::new(kind, Moment::now().wall);
    if !turn.rule.alert {
        event.severity = Severity::Info;
    }
    event.instance = Some(turn.instance.clone());
    event.run = Some(turn.run);
    event.facts = Facts {
        cause: Some(words(turn)),
        rule: Some(turn.rule.when.to_string()),
        ..Facts::default()
    };
    Record::from(event)
}
