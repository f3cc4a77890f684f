//! `logs`: what programs wrote, from the files of the state folder, merged by time. Reads them itself whether or not
//! a supervisor runs; from that it only learns names and labels.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::path::Path;

use crossbeam::channel::{Receiver, bounded};
use serde::Serialize;

use super::args::LogsArgs;
use super::connect::Place;
use super::format::when;
use super::output::{Failure, Out, complain};
use super::table::Paint;
use crate::app::output::{Asked, Growth, LogLine, Reader, Source, clean_line, sources};
use crate::clock::{Wall, wall};
use crate::control::api::Status;
use crate::control::client::Client;
use crate::ids::RunId;
use crate::limits;
use crate::model::log::{Level, Stream};
use crate::model::name::{InstanceName, select};
use crate::thread::spawn_named;

/// `jikimi logs`.
pub fn logs(place: &Place, asked: &LogsArgs, out: &mut Out) -> Result<(), Failure> {
    let found = place.find()?;
    let Some(state_dir) = found.state_dir else {
        return Err(Failure::Failed(
            "where its output lies is not known; say --config".to_owned(),
        ));
    };
    let status = found.client.is_alive().then_some(&found.client);
    let status = status.and_then(|client: &Client| client.get::<Status>("/api/v1/status").ok());
    if status.is_none() {
        complain(&format!(
            "no supervisor answers; this is what is stored in {}",
            state_dir.display()
        ));
    }
    let chosen = choose(&state_dir, status.as_ref(), asked)?;
    let now = wall();
    let printer = Printer {
        json: asked.json,
        is_terminal: out.style.width.is_some(),
        has_name: chosen.len() > 1,
        width: chosen
            .iter()
            .map(|n| n.to_string().len())
            .max()
            .unwrap_or(0),
        out,
        held: Vec::new(),
        now,
    };
    let sieve = Sieve {
        since: asked.since.map(|t| t.moment(now)),
        until: asked.until.map(|t| t.moment(now)),
        asked,
    };
    let mut show = Show {
        streams: open(&state_dir, &chosen, &sieve)?,
        sieve,
        printer,
    };
    show.history(&state_dir)?;
    if asked.follow {
        show.follow(&growth(&state_dir, &chosen)?)?;
    }
    Ok(())
}

/// The instances that are meant: those there are, and those whose output is still there.
fn choose(
    state_dir: &Path,
    status: Option<&Status>,
    asked: &LogsArgs,
) -> Result<Vec<InstanceName>, Failure> {
    let mut known: Vec<(InstanceName, Vec<String>)> = Vec::new();
    for program in status.iter().flat_map(|status| &status.programs) {
        known.push((program.name.clone(), program.tags.clone()));
    }
    let stored = sources(state_dir).map_err(|error| {
        Failure::Failed(format!("{} cannot be read: {error}", state_dir.display()))
    })?;
    for source in stored {
        if known.iter().all(|(name, _)| *name != source.instance) {
            known.push((source.instance, Vec::new()));
        }
    }
    select(&asked.names, &known).map_err(|unknown| {
        let is_tag = status.is_none() && unknown.name.starts_with("tag:");
        Failure::Failed(if is_tag {
            format!("{unknown} (labels are known only while a supervisor runs)")
        } else {
            unknown.to_string()
        })
    })
}

fn open(
    state_dir: &Path,
    chosen: &[InstanceName],
    sieve: &Sieve<'_>,
) -> Result<Vec<Shown>, Failure> {
    let mut streams = Vec::new();
    for instance in chosen {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if sieve.asked.stream.is_none_or(|wanted| wanted == stream) {
                let source = Source {
                    instance: instance.clone(),
                    stream,
                };
                let reader = reader(state_dir, &source, sieve.range(None))?;
                streams.push(Shown {
                    source,
                    reader,
                    latest: Wall::from_millis(i64::MIN),
                    passed: false,
                });
            }
        }
    }
    Ok(streams)
}

fn reader(state_dir: &Path, source: &Source, asked: Asked) -> Result<Reader, Failure> {
    Reader::open(state_dir, source, asked).map_err(|error| unreadable(source, &error))
}

fn unreadable(source: &Source, error: &std::io::Error) -> Failure {
    Failure::Failed(format!(
        "what {} wrote to {} cannot be read: {error}",
        source.instance, source.stream
    ))
}

fn growth(state_dir: &Path, chosen: &[InstanceName]) -> Result<Receiver<()>, Failure> {
    let (tell, grown) = bounded(limits::LOG_ANSWER);
    // Without it the looks now and then do.
    if let Ok(watch) = Growth::watch_all(state_dir, chosen) {
        drop(spawn_named("logs-growth", move || {
            while watch.wait().is_ok() {
                // One that waits says the same.
                let _ = tell.try_send(());
            }
        })?);
    }
    Ok(grown)
}

/// Which lines are wanted.
struct Sieve<'a> {
    since: Option<Wall>,
    until: Option<Wall>,
    asked: &'a LogsArgs,
}

impl Sieve<'_> {
    fn range(&self, window: Option<u64>) -> Asked {
        Asked {
            since: self.since,
            run: self.asked.run,
            window,
        }
    }

    fn lets(&self, line: &LogLine) -> bool {
        // A line that states no level is information, as in the records.
        let level = line.level.unwrap_or(Level::Info);
        self.since.is_none_or(|since| line.time >= since)
            && self.until.is_none_or(|until| line.time <= until)
            && self.asked.run.is_none_or(|run| line.run == Some(run))
            && self.asked.level.is_none_or(|least| level >= least)
            && (self.asked.grep.as_ref()).is_none_or(|pattern| pattern.is_in(&line.bytes))
    }
}

/// One stream, and how far it was shown.
struct Shown {
    source: Source,
    reader: Reader,
    /// Of its lines; where the clock was set back they stay in the order they were written.
    latest: Wall,
    /// An unfinished line was there at the last look.
    passed: bool,
}

impl Shown {
    /// The next line that is wanted.
    fn next(&mut self, sieve: &Sieve<'_>, is_final: bool) -> Result<Option<LogLine>, Failure> {
        loop {
            let line = self.reader.next_line(is_final);
            match line.map_err(|error| unreadable(&self.source, &error))? {
                None => return Ok(None),
                Some(line) if sieve.lets(&line) => {
                    self.latest = self.latest.max(line.time);
                    return Ok(Some(line));
                }
                Some(_) => {}
            }
        }
    }

    /// The last `count` lines that are wanted. More and more of the end is read until there are so many.
    fn last(
        &mut self,
        state_dir: &Path,
        sieve: &Sieve<'_>,
        (count, is_final): (usize, bool),
    ) -> Result<VecDeque<(Wall, LogLine)>, Failure> {
        let mut window = limits::LOGS_CHUNK_BYTES as u64;
        loop {
            self.reader = reader(state_dir, &self.source, sieve.range(Some(window)))?;
            self.latest = Wall::from_millis(i64::MIN);
            let mut kept = VecDeque::new();
            while let Some(line) = self.next(sieve, is_final)? {
                kept.push_back((self.latest, line));
                if kept.len() > count {
                    kept.pop_front();
                }
            }
            if kept.len() >= count || self.reader.is_whole() {
                return Ok(kept);
            }
            window = window.saturating_mul(limits::LOGS_WIDEN);
        }
    }
}

/// The command at work.
struct Show<'a> {
    streams: Vec<Shown>,
    sieve: Sieve<'a>,
    printer: Printer<'a>,
}

impl Show<'_> {
    /// What there is.
    fn history(&mut self, state_dir: &Path) -> Result<(), Failure> {
        let asked = self.sieve.asked;
        let last = asked.last.or(asked.follow.then_some(limits::LOGS_BACKLOG));
        let Some(count) = last.filter(|_| asked.last.is_some() || asked.since.is_none()) else {
            self.merge(!asked.follow)?;
            return self.printer.flush();
        };
        let mut all = Vec::new();
        for (n, shown) in self.streams.iter_mut().enumerate() {
            let lines = shown.last(state_dir, &self.sieve, (count, !asked.follow))?;
            all.extend(lines.into_iter().map(|(time, line)| (time, n, line)));
            // Sorting is stable: the lines of a stream stay in their order.
            all.sort_by_key(|(time, ..)| *time);
            all.drain(..all.len().saturating_sub(count));
        }
        for (_, n, line) in &all {
            self.printer.line(&self.streams[*n].source, line)?;
        }
        self.printer.flush()
    }

    /// All there is now, a line of each stream in memory.
    fn merge(&mut self, is_final: bool) -> Result<(), Failure> {
        let mut heads: Vec<Option<LogLine>> = Vec::new();
        let mut order = BinaryHeap::new();
        for (n, shown) in self.streams.iter_mut().enumerate() {
            let head = shown.next(&self.sieve, is_final)?;
            if head.is_some() {
                order.push(Reverse((shown.latest, n)));
            }
            heads.push(head);
        }
        while let Some(Reverse((_, n))) = order.pop() {
            let shown = &mut self.streams[n];
            let mut head = heads[n].take();
            while let Some(line) = head.take() {
                self.printer.line(&shown.source, &line)?;
                head = shown.next(&self.sieve, is_final)?;
                // The pieces of a long line stay together.
                if !line.goes_on {
                    break;
                }
            }
            if head.is_some() {
                order.push(Reverse((shown.latest, n)));
            }
            heads[n] = head;
        }
        Ok(())
    }

    /// What comes, for ever.
    fn follow(&mut self, grown: &Receiver<()>) -> Result<(), Failure> {
        loop {
            self.merge(false)?;
            for shown in &mut self.streams {
                // A line without an end is shown when it has been there for a look: it is a prompt.
                let is_there = shown.reader.has_partial();
                if is_there && shown.passed {
                    while let Some(line) = shown.next(&self.sieve, true)? {
                        self.printer.line(&shown.source, &line)?;
                    }
                }
                shown.passed = is_there && !shown.passed;
            }
            self.printer.flush()?;
            // It ends with the one who reads, or by a signal.
            let _ = grown.recv_timeout(limits::ATTACH_LOOK);
        }
    }
}

/// One line of `logs --json`.
#[derive(Serialize)]
struct JsonLine<'a> {
    time: Wall,
    program: &'a str,
    instance: &'a InstanceName,
    run: Option<RunId>,
    stream: Stream,
    level: Option<Level>,
    line: std::borrow::Cow<'a, str>,
    /// The line is longer, and goes on in the next object.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    continues: bool,
}

/// Prints lines: harmless ones on a terminal, and else the bytes as they were written.
struct Printer<'a> {
    json: bool,
    is_terminal: bool,
    has_name: bool,
    width: usize,
    out: &'a mut Out,
    held: Vec<u8>,
    now: Wall,
}

impl Printer<'_> {
    fn line(&mut self, source: &Source, line: &LogLine) -> Result<(), Failure> {
        if self.json {
            self.json_line(source, line)?;
        } else if self.is_terminal {
            self.held
                .extend_from_slice(self.for_people(source, line).as_bytes());
            self.held.push(b'\n');
        } else {
            if self.has_name && !line.is_rest {
                let name = format!("{} {} ", source.instance, mark(source.stream));
                self.held.extend_from_slice(name.as_bytes());
            }
            self.held.extend_from_slice(&line.bytes);
            if !line.goes_on {
                self.held.push(b'\n');
            }
        }
        if self.held.len() >= limits::LOGS_CHUNK_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn json_line(&mut self, source: &Source, line: &LogLine) -> Result<(), Failure> {
        let object = JsonLine {
            time: line.time,
            program: source.instance.program(),
            instance: &source.instance,
            run: line.run,
            stream: source.stream,
            level: line.level,
            line: String::from_utf8_lossy(&line.bytes),
            continues: line.goes_on,
        };
        let written = serde_json::to_writer(&mut self.held, &object);
        written.map_err(|e| Failure::Failed(e.to_string()))?;
        self.held.push(b'\n');
        Ok(())
    }

    fn for_people(&self, source: &Source, line: &LogLine) -> String {
        let style = self.out.style;
        let time = Paint::Dim.on(&when(line.time, self.now), style);
        let mut text = clean_line(&line.bytes, style.colour);
        if text.contains('\x1b') {
            text.push_str("\x1b[0m");
        }
        let before = if line.is_rest { "[…] " } else { "" };
        let after = if line.goes_on { " […]" } else { "" };
        let mark = match source.stream {
            Stream::Stdout => Paint::Good.on(mark(source.stream), style),
            Stream::Stderr => Paint::Bad.on(mark(source.stream), style),
        };
        let (name, width) = (source.instance.to_string(), self.width);
        format!("{time}  {name:width$} {mark} {before}{text}{after}")
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if self.held.is_empty() {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        self.out.raw(&held)
    }
}

fn mark(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "|",
        Stream::Stderr => "!",
    }
}
