//! `status --watch`: the same tables again whenever something changes, and once a second for the figures.

use std::fmt::Write as _;
use std::io;

use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};

use super::connect::Place;
use super::output::{Failure, Out, chain, screen_rows};
use crate::control::client::Client;
use crate::limits;
use crate::thread::spawn_named;

/// Shows what `lines` gives until Ctrl-C, or until the supervisor has ended, which is a failure.
pub fn watch(
    place: &Place,
    mut lines: impl FnMut(&Client, &Out) -> Result<Vec<String>, Failure>,
) -> Result<(), Failure> {
    let client = place.client()?;
    let changes = changes(client.clone())?;
    loop {
        // Anew each time: the window may have another size.
        let mut out = Out::stdout();
        let shown = lines(&client, &out)?;
        match screen_rows() {
            Some(rows) => out.line(&frame(&shown, rows))?,
            None => out.line(&format!("{}\n", shown.join("\n")))?,
        }
        match changes.recv_timeout(limits::STATUS_WATCH) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            // Whether it has ended the next question tells.
            Err(RecvTimeoutError::Disconnected) => {
                lines(&client, &out)?;
                return Err(Failure::NotRunning("the supervisor has ended".to_owned()));
            }
        }
    }
}

/// The lines over what was there before, with what does not fit counted.
fn frame(lines: &[String], rows: usize) -> String {
    let room = rows.saturating_sub(2).max(1);
    let mut text = "\x1b[H".to_owned();
    for line in lines.iter().take(room) {
        text.push_str(line);
        text.push_str("\x1b[K\n");
    }
    if lines.len() > room {
        let _ = write!(text, "... and {} more lines\x1b[K", lines.len() - room);
    }
    text.push_str("\x1b[J");
    text
}

/// Says once for any number of events that there were some.
fn changes(client: Client) -> Result<Receiver<()>, Failure> {
    let (told, changes) = bounded(limits::STATUS_WAKES);
    let thread = spawn_named("watch-events", move || {
        let Ok(mut stream) = client.follow("/api/v1/events/stream") else {
            return;
        };
        while let Ok(Some(_)) = stream.next_event() {
            // Full: it is known already.
            if let Err(crossbeam::channel::TrySendError::Disconnected(())) = told.try_send(()) {
                return;
            }
        }
    });
    // It ends with the stream or the process.
    drop(thread.map_err(|e: io::Error| Failure::Failed(chain(&e)))?);
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_never_taller_than_the_screen() {
        let lines: Vec<String> = (0..50).map(|n| format!("line {n}")).collect();
        for rows in 1..60 {
            let text = frame(&lines, rows);
            assert!(text.matches('\n').count() < rows.max(2), "{rows}");
            let all = rows >= 52;
            assert_eq!(text.contains("more lines"), !all, "{rows}");
        }
    }
}
