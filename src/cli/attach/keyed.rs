//! `attach` before a program that has a terminal of its own: every key goes there as it is pressed, and what it shows
//! comes as it is, until the person leaves or the run ends. Owns two threads, beside those of [`raw`], that wait for
//! one thing each; the caller's thread alone shows and sends.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::raw::{self, Raw, Shown, Size};
use super::{Told, tell_growth, tell_news, unreadable};
use crate::app::output::{Growth, Screen, has_terminal, recent};
use crate::cli::output::{Failure, complain};
use crate::cli::verbs::path_of;
use crate::clock::{self, Mono};
use crate::control::api::{EventLine, VerbAnswer};
use crate::control::client::{Client, ClientError, Follow, Patience};
use crate::ids::RunId;
use crate::limits;
use crate::model::event::EventKind;
use crate::model::name::InstanceName;
use crate::model::program::Signal;
use crate::thread::spawn_named;

/// The key that leaves: Ctrl-], as of telnet. Every other one is the program's.
const LEAVE: u8 = 0x1d;

/// What is attached to.
pub(super) struct Seat {
    pub client: Client,
    pub state_dir: PathBuf,
    pub name: InstanceName,
    pub run: RunId,
}

impl Seat {
    /// Whether keys are handed on: the run has a terminal, and a person sits here.
    pub(super) fn is_keyed(&self) -> bool {
        raw::is_person() && self.has_terminal()
    }

    /// Its terminal is there, or something that came from it has yet to be written down.
    fn has_terminal(&self) -> bool {
        has_terminal(&self.state_dir, &self.name, self.run)
    }

    fn press(&self, keys: &[u8]) -> Result<VerbAnswer, ClientError> {
        self.client.post_body(&self.path("keys", ""), keys)
    }

    fn tell_size(&self, (rows, columns): Size) -> Result<VerbAnswer, ClientError> {
        let asked = format!("rows={rows}&columns={columns}");
        self.client
            .post(&self.path("window", &asked), Patience::Short)
    }

    fn path(&self, what: &str, asked: &str) -> String {
        path_of(what, &[self.name.to_string()], asked)
    }
}

/// What the threads bring.
enum Input {
    Keys(Vec<u8>),
    /// The key that leaves, or nothing to come.
    Leave,
    /// The person's terminal may be another one.
    Look,
    /// A signal asks for the end.
    Signal(i32),
    Told(Told),
}

impl From<Told> for Input {
    fn from(told: Told) -> Self {
        Self::Told(told)
    }
}

/// Why it is over.
enum End {
    Left,
    Signal(i32),
    /// The run has ended, and how.
    Run(String),
    Supervisor,
}

struct Session {
    seat: Seat,
    raw: Raw,
    screen: Screen,
    shown: Shown,
    size: Option<Size>,
    /// Short looks that are left.
    looks: u32,
    /// The last keys were not taken, which has been said.
    is_unread: bool,
    /// There is no terminal any more since then.
    gone: Option<Mono>,
}

/// Hands keys on until something ends it.
pub(super) fn attach(seat: Seat, news: Follow) -> Result<(), Failure> {
    let name = seat.name.clone();
    complain(&format!("{name} gets every key; Ctrl-] leaves"));
    let (screen, before) =
        Screen::open(&seat.state_dir, &name, seat.run).map_err(|e| unreadable(&e))?;
    let mut session = Session {
        seat,
        raw: Raw::begin()?,
        screen,
        shown: Shown::default(),
        size: None,
        looks: 0,
        is_unread: false,
        gone: None,
    };
    let how = session.serve(news, &before);
    // Whoever reads this terminal may be gone.
    let _ = session.shown.end();
    drop(session);
    match how? {
        End::Left => complain(&format!("left {name}, which goes on")),
        End::Run(summary) => complain(&summary),
        End::Supervisor => complain("the supervisor has ended"),
        End::Signal(number) => {
            let signal = Signal::from_number(number);
            let signal = signal.map_or_else(|| number.to_string(), |signal| signal.to_string());
            return Err(Failure::Failed(format!("{signal} came; {name} goes on")));
        }
    }
    Ok(())
}

impl Session {
    fn serve(&mut self, news: Follow, before: &[u8]) -> Result<End, Failure> {
        let (inbox, inputs) = bounded(limits::ATTACH_INBOX);
        let (looks, ends) = (inbox.clone(), inbox.clone());
        self.raw.watch(
            // Where there is no room somebody looks anyway.
            move || drop(looks.try_send(Input::Look)),
            move |signal| drop(ends.send(Input::Signal(signal))),
        )?;
        let (keys, events, growth) = (inbox.clone(), inbox.clone(), inbox);
        drop(spawn_named("attach-news", move || {
            tell_news(news, &events);
        })?);
        drop(spawn_named("attach-keys", move || {
            tell_keys(io::stdin().lock(), &keys);
        })?);
        // Without it the looks below do.
        if let Ok(watch) = Growth::watch(&self.seat.state_dir, &self.seat.name) {
            drop(spawn_named("attach-growth", move || {
                tell_growth(&watch, &growth);
            })?);
        }
        self.shown.begin(before, &recent(before))?;
        self.redraw()?;
        self.run(&inputs)
    }

    /// A program that has the whole screen draws it anew when its size changes, and only then.
    fn redraw(&mut self) -> Result<(), Failure> {
        let size = raw::size().filter(|(rows, _)| self.shown.is_full && *rows > 1);
        if let Some((rows, columns)) = size {
            self.seat.tell_size((rows - 1, columns))?;
        }
        self.tell_size()
    }

    /// Tells the program's terminal how large the person's is, when that is news.
    fn tell_size(&mut self) -> Result<(), Failure> {
        let size = raw::size();
        if let Some(new) = size.filter(|_| size != self.size) {
            // What is not taken is of a run that has just ended.
            self.seat.tell_size(new)?;
            self.size = size;
        }
        Ok(())
    }

    fn run(&mut self, inputs: &Receiver<Input>) -> Result<End, Failure> {
        loop {
            let has_more = self.show_some()?;
            match inputs.recv_timeout(self.patience(has_more)) {
                Ok(Input::Keys(keys)) => self.press(&keys)?,
                Ok(Input::Leave) | Err(RecvTimeoutError::Disconnected) => return Ok(End::Left),
                Ok(Input::Signal(number)) => return Ok(End::Signal(number)),
                Ok(Input::Look) => self.raw.again()?,
                Ok(Input::Told(Told::News(event))) if self.is_end(&event) => {
                    self.show_last(inputs)?;
                    return Ok(End::Run(event.summary));
                }
                Ok(Input::Told(Told::Over(how))) => {
                    while self.show_some()? {}
                    return match how {
                        Ok(()) | Err(ClientError::Lost(_)) => Ok(End::Supervisor),
                        Err(error) => Err(error.into()),
                    };
                }
                Ok(Input::Told(Told::News(_) | Told::Grown)) => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.looks = self.looks.saturating_sub(1);
                    if self.is_gone() {
                        let words = format!("{} has closed its terminal", self.seat.name);
                        return Ok(End::Run(words));
                    }
                }
            }
            self.tell_size()?;
        }
    }

    /// The terminal is over and nobody has told why: the program has closed it, or nothing is told at the moment.
    fn is_gone(&mut self) -> bool {
        if self.seat.has_terminal() {
            return false;
        }
        let now = clock::mono();
        now.since(*self.gone.get_or_insert(now)) >= limits::ATTACH_LAST_WORDS
    }

    fn patience(&self, has_more: bool) -> Duration {
        if has_more {
            Duration::ZERO
        } else if self.looks > 0 {
            limits::ATTACH_ECHO_LOOK
        } else {
            limits::ATTACH_LOOK
        }
    }

    fn press(&mut self, keys: &[u8]) -> Result<(), Failure> {
        self.looks = limits::ATTACH_ECHO_LOOKS;
        let answer = self.seat.press(keys)?;
        let refused = answer.results.iter().find(|result| !result.ok);
        if let Some(result) = refused.filter(|_| !self.is_unread) {
            // Once: each key would be too much.
            let words = format!("\njikimi: {} {}\n", result.name, result.message);
            self.shown.show(words.as_bytes())?;
        }
        self.is_unread = refused.is_some();
        Ok(())
    }

    fn is_end(&self, event: &EventLine) -> bool {
        let is_ours = event.run == Some(self.seat.run);
        is_ours && event.kind != EventKind::ProgramStarted.as_str()
    }

    /// One piece of what came; whether there was any.
    fn show_some(&mut self) -> Result<bool, Failure> {
        let bytes = self.screen.read().map_err(|e| unreadable(&e))?;
        self.shown.show(&bytes)?;
        Ok(!bytes.is_empty())
    }

    /// What a run that has ended wrote last may have yet to come to its file.
    fn show_last(&mut self, inputs: &Receiver<Input>) -> Result<(), Failure> {
        let deadline = clock::mono() + limits::ATTACH_LAST_WORDS;
        loop {
            let is_whole = !self.seat.has_terminal() || clock::mono() >= deadline;
            while self.show_some()? {}
            if is_whole {
                return Ok(());
            }
            // Whatever it is, it is time to look.
            let _ = inputs.recv_timeout(limits::ATTACH_ECHO_LOOK);
        }
    }
}

fn tell_keys(mut from: impl Read, inbox: &Sender<Input>) {
    loop {
        let (keys, is_over) = next_keys(&mut from).unwrap_or_default();
        let is_over = is_over || keys.is_empty();
        let is_heard = keys.is_empty() || inbox.send(Input::Keys(keys)).is_ok();
        if is_over || !is_heard {
            // Nobody listens only when the command has ended.
            let _ = inbox.send(Input::Leave);
            return;
        }
    }
}

/// The next keys, and whether the one that leaves came behind them; none at the end of input.
fn next_keys(from: &mut impl Read) -> io::Result<(Vec<u8>, bool)> {
    let mut keys = vec![0; limits::KEYS_BYTES];
    let read = loop {
        match from.read(&mut keys) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    keys.truncate(read);
    let leave = keys.iter().position(|key| *key == LEAVE);
    keys.truncate(leave.unwrap_or(read));
    Ok((keys, leave.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_as_they_are_pressed_up_to_the_one_that_leaves() {
        let next = |mut text: &[u8]| next_keys(&mut text).expect("memory can be read");
        assert_eq!(next(b"ab\x03\xff"), (b"ab\x03\xff".to_vec(), false));
        assert_eq!(next(b"ab\x1dcd"), (b"ab".to_vec(), true));
        assert_eq!(next(b"\x1d"), (Vec::new(), true));
        assert_eq!(next(b""), (Vec::new(), false));
        let long = vec![b'x'; limits::KEYS_BYTES + 1];
        assert_eq!(next(&long), (vec![b'x'; limits::KEYS_BYTES], false));
    }

    #[test]
    fn the_end_of_input_leaves() {
        for text in [&b"ab"[..], b"ab\x1dcd"] {
            let (inbox, inputs) = bounded(4);
            tell_keys(text, &inbox);
            assert!(matches!(inputs.try_recv(), Ok(Input::Keys(keys)) if keys == b"ab"));
            assert!(matches!(inputs.try_recv(), Ok(Input::Leave)));
            assert!(inputs.is_empty());
        }
    }
}
