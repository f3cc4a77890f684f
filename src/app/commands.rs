//! Serving: commands and signals until one of them asks for the end. Owns the main thread.

use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, bounded, never, select};

use super::Ended;
use super::end;
use super::reload::{self, Reloader};
use super::silences;
use super::start::Running;
use crate::clock;
use crate::ids::DeliveryId;
use crate::journal::Journal;
use crate::limits;
use crate::model::command::{Command, Ending, UnknownTarget};
use crate::model::event::{Event, EventKind};
use crate::model::name::InstanceName;
use crate::model::reload::ReloadRequest;
use crate::model::settings::Settings;
use crate::model::trial::Trial;
use crate::model::urgency::Urgency;
use crate::notify::Waker;
use crate::shutdown::{Coordinator, Handle};
use crate::signals::SignalMessage;
use crate::supervise::Supervisor;
use crate::text;

/// A wish for the end.
struct Asked {
    by: String,
    ending: Ending,
    /// Who wants to hear that it has begun.
    reply: Option<Sender<()>>,
    /// Those that failed, when it ends because all work is done.
    failed: Vec<InstanceName>,
}

impl Asked {
    fn stop(by: String) -> Self {
        Self {
            by,
            ending: Ending::Stop,
            reply: None,
            failed: Vec::new(),
        }
    }

    fn done(failed: Vec<InstanceName>) -> Self {
        Self {
            failed,
            ..Self::stop("--exit-when-done: nothing is left to run".to_owned())
        }
    }

    fn by_signal(signal: impl std::fmt::Display) -> Self {
        Self::stop(format!("signal {signal}"))
    }
}

/// What commands act on while the rest is being ended.
struct Desk {
    settings: Settings,
    journal: Option<Journal>,
    supervisor: Option<Supervisor>,
    waker: Waker,
    /// All work is done.
    idle: Receiver<Vec<InstanceName>>,
    /// None once everything is being stopped.
    reloader: Option<Reloader>,
}

impl Running {
    /// Serves until the end.
    pub(super) fn serve(mut self) -> Ended {
        let mut desk = Desk {
            idle: self.idle.clone(),
            settings: self.settings.clone(),
            journal: Some(self.journal.clone()),
            supervisor: Some(self.supervisor.clone()),
            waker: self.notify.waker(),
            reloader: self.reloader.take(),
        };
        let asked = desk.wait_for_the_end(&self);
        let (pressed, commands) = (self.pressed.clone(), self.commands.clone());
        self.failed = asked.failed;
        let (by, ending, reply) = (asked.by, asked.ending, asked.reply);
        let coordinator = Coordinator::new();
        let urgency = coordinator.handle();
        let mut event = Event::new(EventKind::SupervisorStopping, clock::wall());
        event.facts.asked_by = Some(by.clone());
        event.facts.cause = match &ending {
            Ending::Stop => None,
            Ending::Leave => Some("its programs go on".to_owned()),
            Ending::Replace(file) => Some(format!("its programs go on under {}", file.display())),
        };
        self.journal.record(event);
        match &ending {
            Ending::Stop => log::info!("stopping, asked by {by}; a second signal kills at once"),
            Ending::Leave | Ending::Replace(_) => {
                log::info!("leaving the programs running, asked by {by}");
            }
        }
        if let Some(reply) = reply {
            let _ = reply.try_send(());
        }
        // Nothing but the actor's own handle may keep it alive from here on.
        desk.supervisor = None;
        desk.journal = None;
        desk.reloader = None;
        self.settings = desk.settings.clone();
        let (done, ended) = bounded(1);
        let thread = crate::thread::spawn_named("shutdown", move || {
            let _ = done.try_send(end::end(self, coordinator, &by, ending));
        });
        if let Err(error) = thread {
            log::error!("no thread for an orderly end: {error}");
            return Ended::Badly;
        }
        desk.answer_until_over(&pressed, &commands, (&urgency, &ended))
    }
}

impl Desk {
    /// Who asks for the end, and for which.
    fn wait_for_the_end(&mut self, running: &Running) -> Asked {
        let (pressed, mut commands) = (running.pressed.clone(), running.commands.clone());
        let mut loaded = self.reloader.as_ref().map_or_else(never, Reloader::loaded);
        loop {
            select! {
                recv(pressed) -> message => match message {
                    Ok(SignalMessage::Stop { signal, .. }) => return Asked::by_signal(signal),
                    Ok(message) => self.heed(message),
                    Err(_) => return Asked::stop("the end of the signal thread".to_owned()),
                },
                recv(self.idle) -> failed => return Asked::done(failed.unwrap_or_default()),
                recv(commands) -> command => match command {
                    Ok(Command::Shutdown { by, ending, reply }) => {
                        return Asked { ending, reply: Some(reply), ..Asked::stop(by) };
                    }
                    Ok(command) => self.take(command),
                    // Without a control socket there are none; signals are left.
                    Err(_) => commands = never(),
                },
                recv(loaded) -> outcome => match (outcome, self.reloader.as_mut()) {
                    (Ok(outcome), Some(reloader)) => {
                        reload::take_up(running, reloader, &mut self.settings, outcome);
                    }
                    // Its thread has panicked: those who wait for it hear that nobody answers.
                    (Err(_), _) | (_, None) => {
                        loaded = never();
                        self.reloader = None;
                    }
                },
            }
        }
    }

    /// A signal that asks for no end.
    fn heed(&mut self, message: SignalMessage) {
        let hangup = SignalMessage::Hangup {
            is_terminal_gone: false,
        };
        if message != hangup {
            log::warn!("{}", message.sentence());
            return;
        }
        if self.reloader.is_some() {
            log::info!("{}", message.sentence());
        }
        self.reload(ReloadRequest {
            is_plan: false,
            by: "signal SIGHUP".to_owned(),
            reply: None,
        });
    }

    fn reload(&mut self, request: ReloadRequest) {
        if let Some(reloader) = self.reloader.as_mut() {
            return reloader.ask(request);
        }
        log::warn!("the configuration is not read again: the supervisor is stopping");
        // Dropping the request tells the asker that nobody will answer.
        drop(request);
    }

    fn answer_until_over(
        &mut self,
        pressed: &Receiver<SignalMessage>,
        commands: &Receiver<Command>,
        (urgency, ended): (&Handle, &Receiver<Ended>),
    ) -> Ended {
        let (mut pressed, mut commands) = (pressed.clone(), commands.clone());
        loop {
            select! {
                recv(ended) -> end => return end.unwrap_or(Ended::Badly),
                recv(pressed) -> message => match message {
                    Ok(message) => {
                        if let SignalMessage::Stop { urgency: level, .. } = message {
                            log::warn!("{}", message.sentence());
                            urgency.raise(level);
                        } else {
                            self.heed(message);
                        }
                    }
                    Err(_) => pressed = crossbeam::channel::never(),
                },
                recv(commands) -> command => match command {
                    // A second request to end is a wish for haste, as a second signal is.
                    Ok(Command::Shutdown { reply, .. }) => {
                        urgency.raise(Urgency::Now);
                        let _ = reply.try_send(());
                    }
                    Ok(command) => self.take(command),
                    Err(_) => commands = crossbeam::channel::never(),
                },
            }
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Verb(request) => match &self.supervisor {
                Some(supervisor) => supervisor.verb(request),
                // Dropping the request tells the asker that nobody will answer.
                None => drop(request),
            },
            Command::Poke(request) => match &self.supervisor {
                Some(supervisor) => supervisor.poke(request),
                None => drop(request),
            },
            Command::Reload(request) => self.reload(request),
            Command::NotifyTest {
                target,
                by,
                trial,
                reply,
            } => {
                if let Some(answer) = self.test(&target, (by, trial)) {
                    let _ = reply.try_send(answer);
                }
            }
            Command::Silence(request) => match &self.journal {
                Some(journal) => silences::begin(&request, &self.settings, journal),
                None => drop(request),
            },
            Command::EndSilence { which, by, reply } => {
                if let Some(journal) = &self.journal {
                    let _ = reply.try_send(silences::end(&which, by, journal));
                }
            }
            Command::Nudge { target, reply } => {
                let _ = reply.try_send(self.nudge(target));
            }
            Command::Shutdown { reply, .. } => drop(reply),
        }
    }

    fn known(&self, target: &str) -> Result<(), UnknownTarget> {
        let names = || self.settings.targets.iter().map(|t| &*t.name);
        if names().any(|name| name == target) {
            return Ok(());
        }
        Err(UnknownTarget {
            name: target.to_owned(),
            nearest: text::nearest(target, names()),
        })
    }

    fn nudge(&self, target: Option<String>) -> Result<(), UnknownTarget> {
        if let Some(target) = &target {
            self.known(target)?;
        }
        self.waker.nudge(target.map(Arc::from));
        Ok(())
    }

    /// Sends a test message through the journal and the outbox, as every other message goes.
    fn test(
        &self,
        target: &str,
        (by, trial): (String, Option<Trial>),
    ) -> Option<Result<DeliveryId, UnknownTarget>> {
        if let Err(unknown) = self.known(target) {
            return Some(Err(unknown));
        }
        let mut event = Event::new(EventKind::NotifyTest, clock::wall());
        event.facts.target = Some(target.to_owned());
        event.facts.asked_by = Some(by);
        event.facts.trial = trial;
        // Who tries a target out does not want to wait for the end of its breaker's pause. Before the message: after
        // it, this could come when the target has already refused, and make it look well.
        self.waker.nudge(Some(Arc::from(target)));
        let (watch, ids) = bounded(1);
        self.journal.as_ref()?.record_watched(event, watch);
        let ids: Vec<DeliveryId> = ids.recv_timeout(limits::JOURNAL_ANSWER).ok()?;
        ids.first().copied().map(Ok)
    }
}
