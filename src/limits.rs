//! Every bound of the program, with the relations between them asserted at compile time.

use std::time::Duration;

/// The kernel shows this much of a thread's name.
pub const THREAD_NAME_BYTES: usize = 15;

// alert and journal.

// child and supervise.

// config.

// control and cli.

// logs.

// metrics and procfs.

// notify and fetch.

/// One delivery attempt never takes longer, whatever is configured.
pub const ATTEMPT_MAX: Duration = Duration::from_mins(2);

// shutdown, signals and terminal.

// store.
