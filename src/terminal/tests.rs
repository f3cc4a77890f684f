//! The writer on real pseudo-terminals and pipes, and the logger through it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::time::Duration;

use log::{Level, LevelFilter, Log as _, Record};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use super::logger::{Logger, Style};
use super::*;
use crate::limits;
use crate::thread::spawn_named;

const WAIT: Duration = Duration::from_secs(20);
const NO_WAIT: Duration = Duration::ZERO;

/// A terminal (what the user sees) and its other side (what a program writes to).
fn pseudo_terminal() -> (File, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let master = openpt(flags).expect("a pseudo-terminal");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let peer = ioctl_tiocgptpeer(&master, flags).expect("its other side");
    (File::from(master), peer)
}

fn pipe() -> (File, OwnedFd) {
    let (read, write) = rustix::pipe::pipe().expect("a pipe");
    (File::from(read), write)
}

fn nowhere() -> OwnedFd {
    OwnedFd::from(
        File::options()
            .write(true)
            .open("/dev/null")
            .expect("/dev/null"),
    )
}

/// The lines `shown`, without the terminal's carriage returns, until one contains `last`.
fn read_until(shown: File, last: &str) -> Vec<String> {
    let mut lines = vec![];
    for line in BufReader::new(shown).lines() {
        let line = line.expect("the terminal can be read");
        lines.push(line.trim_end_matches('\r').to_owned());
        if lines.last().is_some_and(|l| l.contains(last)) {
            return lines;
        }
    }
    panic!("no line contains {last}: {:?}", lines.last());
}

fn not_shown(line: &str) -> Option<u64> {
    let rest = line.strip_prefix('[')?;
    rest.split_once(" line")?.0.parse().ok()
}

#[test]
fn a_stopped_terminal_delays_nobody_and_tells_afterwards_what_is_missing() {
    let (shown, peer) = pseudo_terminal();
    let terminal = Terminal::start_on(peer, nowhere()).expect("threads for a test");
    let written = 50_000_u64;
    // Nobody reads: if a line could block, this would never end.
    for n in 0..written {
        terminal.line(format!("line {n}"));
    }
    assert!(!terminal.flush(NO_WAIT), "it cannot have been written");
    let dropped = terminal.stats().0.dropped;
    assert!(dropped > 0, "{:?}", terminal.stats());
    assert!(!terminal.stats().0.is_gone);

    let reader = std::sync::Arc::new(parking_lot::Mutex::new(vec![]));
    let lines = std::sync::Arc::clone(&reader);
    let thread = spawn_named("reader", move || {
        *lines.lock() = read_until(shown, "the last line");
    })
    .expect("a thread for a test");
    assert!(
        terminal.flush(WAIT),
        "a terminal that is read takes everything"
    );
    terminal.line("the last line");
    thread.join().expect("the reader does not panic");
    let lines = std::mem::take(&mut *reader.lock());
    let missing: u64 = lines.iter().filter_map(|l| not_shown(l)).sum();
    let seen = lines.iter().filter(|l| l.starts_with("line ")).count() as u64;
    assert_eq!(missing, dropped, "every missing line is told of");
    assert_eq!(seen + missing, written, "and every other one is shown");
    assert_eq!(lines[0], "line 0");
}

#[test]
fn a_reader_that_went_away_ends_the_output_quietly() {
    let (shown, peer) = pipe();
    drop(shown);
    let terminal = Terminal::start_on(peer, nowhere()).expect("threads for a test");
    for _ in 0..10 {
        terminal.line("into the void");
        assert!(terminal.flush(WAIT), "a flush of nothing is done");
    }
    let stats = terminal.stats().0;
    assert!(stats.is_gone);
    assert_eq!(stats.dropped, 10);
}

#[test]
fn a_terminal_that_was_closed_ends_the_output_quietly() {
    let (shown, peer) = pseudo_terminal();
    let terminal = Terminal::start_on(peer, nowhere()).expect("threads for a test");
    drop(shown);
    terminal.line("into the void");
    assert!(terminal.flush(WAIT));
    assert!(terminal.stats().0.is_gone, "{:?}", terminal.stats());
}

#[test]
fn a_terminal_that_closes_while_it_is_stopped_lets_go() {
    let (shown, peer) = pseudo_terminal();
    let terminal = Terminal::start_on(peer, nowhere()).expect("threads for a test");
    for n in 0..50_000 {
        terminal.line(format!("line {n}"));
    }
    drop(shown);
    assert!(terminal.flush(WAIT), "{:?}", terminal.stats());
    assert!(terminal.stats().0.is_gone);
}

#[test]
fn a_stopped_output_does_not_hold_the_log() {
    let (_stopped, out) = pipe();
    let (log, peer) = pipe();
    let terminal = Terminal::start_on(out, peer).expect("threads for a test");
    for n in 0..50_000 {
        terminal.line(format!("line {n}"));
    }
    terminal.log_line("the log goes on");
    assert!(
        !terminal.flush(Duration::from_millis(20)),
        "the output is stopped"
    );
    assert_eq!(read_until(log, "goes on"), ["the log goes on"]);
}

#[test]
fn bytes_are_bounded_and_an_endless_line_is_cut() {
    let (mut shown, peer) = pipe();
    let terminal = Terminal::start_on(peer, nowhere()).expect("threads for a test");
    terminal.line(vec![b'x'; 10 * limits::TERMINAL_LINE_BYTES]);
    assert!(terminal.flush(WAIT));
    for _ in 0..2 * limits::TERMINAL_BYTES / limits::TERMINAL_LINE_BYTES {
        terminal.line(vec![b'y'; limits::TERMINAL_LINE_BYTES]);
    }
    assert!(terminal.stats().0.dropped > 0, "{:?}", terminal.stats());
    drop(terminal);
    let mut all = vec![];
    shown
        .read_to_end(&mut all)
        .expect("the writer ends with its handles");
    let first = all.split(|b| *b == b'\n').next().unwrap_or_default();
    assert_eq!(first.len(), limits::TERMINAL_LINE_BYTES + "…".len());
}

/// What the logger shows of `records`, each a level, a target and a message.
fn logged(filter: Option<&str>, style: Style, records: &[(Level, &str, &str)]) -> Vec<String> {
    let (mut shown, peer) = pipe();
    let terminal = Terminal::start_on(nowhere(), peer).expect("threads for a test");
    let logger = Logger::new(terminal, LevelFilter::Info, filter, style);
    for (level, target, message) in records {
        let pairs = [("program", "web"), ("time", "mine")];
        logger.log(
            &Record::builder()
                .level(*level)
                .target(target)
                .key_values(&pairs)
                .args(format_args!("{message}"))
                .build(),
        );
    }
    logger.flush();
    drop(logger);
    let mut all = String::new();
    shown.read_to_string(&mut all).expect("the log is text");
    all.lines().map(str::to_owned).collect()
}

#[test]
fn the_log_is_one_line_a_record_with_its_room() {
    let record = (Level::Warn, "jikimi::notify::worker", "two\nlines \x1b[31m");
    let lines = logged(None, Style::Plain, &[record]);
    let rest = lines[0].split_once(' ').map(|(_, rest)| rest);
    assert_eq!(lines.len(), 1);
    assert_eq!(
        rest,
        Some("WARN  notify: two\\x0alines \\x1b[31m program=web time=mine")
    );
    let coloured = logged(None, Style::Colour, &[record]);
    assert!(coloured[0].contains("\x1b[33mWARN \x1b[0m"), "{coloured:?}");
}

#[test]
fn the_json_log_has_stable_names_that_a_record_cannot_take() {
    let lines = logged(
        None,
        Style::Json,
        &[(Level::Info, "jikimi::app", "a \"b\"\n")],
    );
    let line: serde_json::Value = serde_json::from_str(&lines[0]).expect("an object a line");
    assert_eq!(line["level"], "info");
    assert_eq!(line["target"], "jikimi::app");
    assert_eq!(line["message"], "a \"b\"\n");
    assert_eq!(line["program"], "web");
    assert_eq!(line["time_"], "mine");
    let time = line["time"].as_str().and_then(crate::clock::Wall::parse);
    assert!(time.is_some(), "{line}");
}

#[test]
fn libraries_that_print_secrets_are_silent_below_warn_even_when_everything_is_asked_for() {
    let secret = "https://example.test/token";
    let records = [
        (Level::Trace, "ureq::unversioned", secret),
        (Level::Debug, "ureq_proto::client", secret),
        (Level::Info, "rustls::client", secret),
        (Level::Trace, "jikimi::app", "ours"),
        (Level::Warn, "ureq", "worth a look"),
    ];
    let lines = logged(Some("trace,ureq=trace"), Style::Plain, &records);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(!lines.concat().contains(secret));
    assert_eq!(
        logged(None, Style::Plain, &records).len(),
        1,
        "info by default"
    );
}

#[test]
fn the_same_record_a_thousand_times_is_a_few_lines_and_a_count() {
    let records = vec![(Level::Error, "jikimi::store", "disk full"); 1_000];
    let lines = logged(None, Style::Plain, &records);
    assert_eq!(lines.len(), limits::REPEATS_SHOWN as usize + 1);
    let last = lines.last().map_or("", String::as_str);
    assert!(
        last.contains("ERROR terminal: repeated 995 times: store: disk full"),
        "{last}"
    );
}
