//! `attach`: one instance's output as it comes, and what is written here typed into it. Changes nothing of the
//! terminal and nothing of the program. Owns three threads that wait for one thing each; the caller's thread alone
//! shows and sends. A program with a terminal of its own has [`keyed`] before a person.

mod keyed;
mod raw;

use std::io::{self, BufRead, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::connect::Place;
use super::output::{Failure, Out, chain, complain};
use super::verbs::send_line;
use crate::app::output::{Follower, Growth, Line, has_input};
use crate::control::api::{EventLine, Status};
use crate::control::client::{Client, ClientError, Follow};
use crate::control::discover::Found;
use crate::ids::RunId;
use crate::limits;
use crate::model::event::EventKind;
use crate::model::log::Stream;
use crate::model::name::{InstanceName, select};
use crate::thread::spawn_named;

/// What is told of the program's life: its runs, and how they end.
const TOLD: [EventKind; 5] = [
    EventKind::ProgramStarted,
    EventKind::ProgramExited,
    EventKind::ProgramCrashed,
    EventKind::ProgramStopped,
    EventKind::ProgramFatal,
];

/// `jikimi attach NAME`.
pub fn attach(place: &Place, name: &str) -> Result<(), Failure> {
    let found = place.find()?;
    let client = &found.client;
    // The stream first: what happens after it was opened is told, whatever the status below still misses.
    let kinds: Vec<String> = TOLD.iter().map(|kind| format!("type={kind}")).collect();
    let news = client.follow(&format!("/api/v1/events/stream?{}", kinds.join("&")))?;
    let (name, run) = the_one(&client.get("/api/v1/status")?, name)?;
    let state_dir = state_dir(&found)?;
    if let Some(run) = run {
        let seat = keyed::Seat {
            client: client.clone(),
            state_dir: state_dir.clone(),
            name: name.clone(),
            run,
        };
        if seat.is_keyed() {
            return keyed::attach(seat, news);
        }
    }
    let out = Out::stdout();
    let how = (limits::ATTACH_BACKLOG, out.style.colour);
    let (follower, backlog) =
        Follower::open(&state_dir, &name, run, how).map_err(|e| unreadable(&e))?;
    let mut attached = Attached {
        client: client.clone(),
        state_dir,
        name,
        run,
        follower,
        out,
        is_untyped: false,
    };
    attached.show(&backlog)?;
    attached.say_input();
    attached.serve(news)
}

/// The one instance that `name` means, with its run.
fn the_one(status: &Status, name: &str) -> Result<(InstanceName, Option<RunId>), Failure> {
    let known = status.programs.iter();
    let known: Vec<_> = known.map(|p| (p.name.clone(), p.tags.clone())).collect();
    let chosen = select(&[name.to_owned()], &known).map_err(|e| Failure::Failed(e.to_string()))?;
    let [one] = chosen.as_slice() else {
        let names: Vec<String> = chosen.iter().map(ToString::to_string).collect();
        let words = format!("attach takes one; this means {}", names.join(", "));
        return Err(Failure::Usage(words));
    };
    let run = status.programs.iter().find(|p| p.name == *one);
    Ok((
        one.clone(),
        run.filter(|p| p.pid.is_some()).and_then(|p| p.run),
    ))
}

/// Where the output lies: beside the socket, which is that supervisor's for sure, or where its entry says.
fn state_dir(found: &Found) -> Result<PathBuf, Failure> {
    let beside = found.client.socket().parent().map(Path::to_owned);
    let beside = beside.filter(|folder| folder.join("pipes").is_dir());
    beside.or_else(|| found.state_dir.clone()).ok_or_else(|| {
        Failure::Failed("where the output lies is not known; say --config".to_owned())
    })
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::Failed(format!("the output cannot be read: {error}"))
}

/// What the threads bring.
enum Input {
    /// A line was written here, without its end.
    Line(Vec<u8>),
    /// A line that is longer than any program takes.
    TooLong,
    /// No more lines will be written.
    End,
    Told(Told),
}

impl From<Told> for Input {
    fn from(told: Told) -> Self {
        Self::Told(told)
    }
}

/// What comes from the other side.
enum Told {
    /// Something happened to a program.
    News(Box<EventLine>),
    /// The supervisor tells nothing any more.
    Over(Result<(), ClientError>),
    /// There may be more output.
    Grown,
}

struct Attached {
    client: Client,
    state_dir: PathBuf,
    name: InstanceName,
    run: Option<RunId>,
    follower: Follower,
    out: Out,
    /// A line was not typed.
    is_untyped: bool,
}

impl Attached {
    fn serve(mut self, news: Follow) -> Result<(), Failure> {
        let (inbox, inputs) = bounded(limits::ATTACH_INBOX);
        // They wait for what nobody here can end, so they are not joined: they end with the process.
        let (lines, events, growth) = (inbox.clone(), inbox.clone(), inbox);
        drop(spawn_named("attach-news", move || {
            tell_news(news, &events);
        })?);
        drop(spawn_named("attach-lines", move || {
            read_lines(io::stdin().lock(), &lines);
        })?);
        // Without it, as long as there is no folder, the looks below do.
        if let Ok(watch) = Growth::watch(&self.state_dir, &self.name) {
            drop(spawn_named("attach-growth", move || {
                tell_growth(&watch, &growth);
            })?);
        }
        self.run(&inputs)
    }

    fn run(&mut self, inputs: &Receiver<Input>) -> Result<(), Failure> {
        loop {
            match inputs.recv_timeout(limits::ATTACH_LOOK) {
                Ok(Input::Line(line)) => self.send(&line)?,
                Ok(Input::TooLong) => {
                    let most = limits::CONSOLE_LINE_BYTES;
                    self.untyped(&format!("a line of more than {most} bytes was not typed"));
                }
                Ok(Input::End) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Input::Told(Told::News(event))) => self.news(&event)?,
                Ok(Input::Told(Told::Over(how))) => {
                    self.catch_up()?;
                    return match how {
                        Ok(()) | Err(ClientError::Lost(_)) => {
                            complain("the supervisor has ended");
                            self.end()
                        }
                        Err(error) => Err(error.into()),
                    };
                }
                Ok(Input::Told(Told::Grown)) | Err(RecvTimeoutError::Timeout) => {}
            }
            self.catch_up()?;
        }
        self.catch_up()?;
        self.end()
    }

    fn end(&self) -> Result<(), Failure> {
        if self.is_untyped {
            Err(Failure::Said)
        } else {
            Ok(())
        }
    }

    fn send(&mut self, line: &[u8]) -> Result<(), Failure> {
        match send_line(&self.client, &self.name.to_string(), line) {
            Ok(answer) => {
                for result in answer.results.iter().filter(|r| !r.ok) {
                    self.untyped(&format!("{}: {}", result.name, result.message));
                }
            }
            Err(error @ ClientError::Refused { .. }) => self.untyped(&chain(&error)),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn untyped(&mut self, why: &str) {
        self.is_untyped = true;
        complain(why);
    }

    fn news(&mut self, event: &EventLine) -> Result<(), Failure> {
        let is_start = event.kind == EventKind::ProgramStarted.as_str();
        if event.instance.as_ref() != Some(&self.name) || (is_start && event.run == self.run) {
            return Ok(());
        }
        // Its last words come before the word of its end.
        self.catch_up()?;
        complain(&event.summary);
        if is_start {
            self.run = event.run;
            self.say_input();
        }
        Ok(())
    }

    /// Says when nothing can be typed.
    fn say_input(&self) {
        let name = &self.name;
        match self.run {
            None => complain(&format!("{name} is not running; its next run is followed")),
            Some(run) if !has_input(&self.state_dir, name, run) => complain(&format!(
                "{name} has no standard input to type into: that takes stdin = \"pipe\"; its output is followed"
            )),
            Some(_) => {}
        }
    }

    fn catch_up(&mut self) -> Result<(), Failure> {
        loop {
            let (lines, is_more) = self.follower.read().map_err(|e| unreadable(&e))?;
            self.show(&lines)?;
            if !is_more {
                return Ok(());
            }
        }
    }

    /// Each stream to its own.
    fn show(&mut self, lines: &[Line]) -> Result<(), Failure> {
        for (stream, text) in lines {
            let reset = if text.contains('\x1b') { "\x1b[0m" } else { "" };
            match stream {
                Stream::Stdout => self.out.line(&format!("{text}{reset}"))?,
                Stream::Stderr => writeln!(io::stderr(), "{text}{reset}")?,
            }
        }
        Ok(())
    }
}

fn tell_news(mut news: Follow, inbox: &Sender<impl From<Told>>) {
    let how = loop {
        match news.next_event() {
            Ok(Some(event)) => {
                if inbox.send(Told::News(Box::new(event)).into()).is_err() {
                    return;
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // Nobody listens only when the command has ended.
    let _ = inbox.send(Told::Over(how).into());
}

fn tell_growth(watch: &Growth, inbox: &Sender<impl From<Told>>) {
    while watch.wait().is_ok() {
        // Where there is no room somebody looks anyway.
        let _ = inbox.try_send(Told::Grown.into());
    }
}

fn read_lines(mut from: impl BufRead, inbox: &Sender<Input>) {
    loop {
        let input = match next_line(&mut from) {
            Ok(Some(input)) => input,
            Ok(None) => Input::End,
            Err(error) => {
                complain(&format!("what is written here cannot be read: {error}"));
                Input::End
            }
        };
        let is_end = matches!(input, Input::End);
        if inbox.send(input).is_err() || is_end {
            return;
        }
    }
}

/// The next line; its end may be missing at the end of input.
fn next_line(from: &mut impl BufRead) -> io::Result<Option<Input>> {
    let mut line = Vec::new();
    let most = limits::CONSOLE_LINE_BYTES + 1;
    from.take(most as u64).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() == most {
        from.skip_until(b'\n')?;
        return Ok(Some(Input::TooLong));
    }
    Ok(Some(Input::Line(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_or_too_long_and_the_last_needs_no_end() {
        let most = "x".repeat(limits::CONSOLE_LINE_BYTES);
        let text = format!("say hi\n\n{most}\n{most}y\n{most}yyy\nlast");
        let mut from = text.as_bytes();
        let mut got = Vec::new();
        while let Some(input) = next_line(&mut from).expect("memory can be read") {
            got.push(match input {
                Input::Line(line) => String::from_utf8(line).expect("text"),
                Input::TooLong => "too long".to_owned(),
                _ => panic!("nothing else is read"),
            });
        }
        assert_eq!(got, ["say hi", "", &most, "too long", "too long", "last"]);
    }
}
