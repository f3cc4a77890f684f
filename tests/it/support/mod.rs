//! What all integration tests share: a supervisor in a directory of its own, and a receiver of webhooks.

pub mod database;
pub mod processes;
pub mod receiver;
pub mod screen;
pub mod supervisor;

use std::time::{Duration, Instant};

/// How long a test waits for something that must happen. Long, because the machine may be busy; nothing
/// waits this long when it works.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A line for each of `items`.
pub fn lines_of<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().fold(String::new(), |mut text, item| {
        text.push_str(&item.to_string());
        text.push('\n');
        text
    })
}

/// Asks `look` again and again until it gives an answer. `look` says what it sees when it is not there yet.
///
/// # Panics
/// After [`PATIENCE`], with what was seen last.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(
                start.elapsed() < PATIENCE,
                "waited in vain for {what}; last seen: {seen}"
            ),
        }
        // Level-triggered: the pause only spares the machine.
        std::thread::sleep(Duration::from_millis(20));
    }
}
