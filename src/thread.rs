//! The only place that makes threads. Every thread has a name, an owner that joins it, and an inbox whose
//! end is its end.

use std::io;
use std::thread::{Builder, JoinHandle};

use crate::limits;

/// Has all threads share few heaps. By default glibc gives nearly every thread one of its own, and what each
/// keeps for itself was a quarter of what a supervisor of 500 programs took; threads that mostly wait do not
/// compete for a heap. To be called before the first thread; elsewhere than under glibc it does nothing.
pub fn share_heaps() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: the call sets a number that the allocator reads when it makes a heap; no other thread runs.
        #[expect(
            unsafe_code,
            reason = "glibc can be told by no other way but an environment variable"
        )]
        let is_set = unsafe { libc::mallopt(libc::M_ARENA_MAX, limits::HEAPS) };
        // Refused, memory is a little more; nothing else depends on it.
        debug_assert_eq!(is_set, 1);
    }
}

/// Starts a thread called `name`. A panic in it is logged with the name and ends only that thread.
///
/// # Errors
/// The system has no room for another thread.
///
/// # Panics
/// `name` is longer than the 15 bytes the kernel shows.
pub fn spawn_named<F>(name: &str, body: F) -> io::Result<JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    assert!(
        name.len() <= limits::THREAD_NAME_BYTES,
        "thread name {name} does not fit the kernel's 15 bytes"
    );
    let owned = name.to_owned();
    Builder::new().name(name.to_owned()).spawn(move || {
        if let Err(payload) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
            let what = payload
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            log::error!("thread {owned} panicked (a bug of ours): {what}");
        }
    })
}
