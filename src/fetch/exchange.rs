//! One request and its answer on the calling thread: its deadline, and what happened on the wire. ureq calls
//! resolver, connector and transport on the thread that asked, so the exchange is that thread's.
//!
//! The deadline lives here rather than in ureq's request settings because those would make every new TLS
//! connection build its settings anew, and because ureq grants each write its whole time again.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::{self, Mono};

thread_local! {
    static ALLOW_PRIVATE: Cell<bool> = const { Cell::new(false) };
    static DEADLINE: Cell<Mono> = const { Cell::new(Mono::from_nanos(0)) };
    static OPENED: Cell<bool> = const { Cell::new(false) };
    static ANSWERED: Cell<bool> = const { Cell::new(false) };
}

/// Begins one: nothing opened, nothing received.
pub(super) fn begin(deadline: Mono, allow_private: bool) {
    DEADLINE.set(deadline);
    ALLOW_PRIVATE.set(allow_private);
    OPENED.set(false);
    ANSWERED.set(false);
}

/// What is left of its time.
pub(super) fn remaining() -> Duration {
    DEADLINE.get().since(clock::mono())
}

/// Whether it may go to a private address.
pub(super) fn allows_private() -> bool {
    ALLOW_PRIVATE.get()
}

/// A connection was opened for it.
pub(super) fn opened() {
    OPENED.set(true);
}

/// A first byte of the answer came.
pub(super) fn answered() {
    ANSWERED.set(true);
}

/// It used a kept connection and got not one byte: the server may have closed that one before it saw the
/// request, which is the ordinary end of an idle connection and no fault of anybody.
pub(super) fn was_stale() -> bool {
    !OPENED.get() && !ANSWERED.get()
}
