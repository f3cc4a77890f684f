//! The control socket, and the same over TCP behind a gate: what people and tools see of a running supervisor, and the commands they give it.
//!
//! Architecture invariant: this room reads (the board, samples, the store) and sends a [`Command`]; it never
//! touches an instance itself, so a client that hangs cannot hold supervision.
//!
//! [`Command`]: crate::model::command::Command

pub mod api;
pub mod client;
pub mod conn;
pub mod deliveries;
pub mod discover;
pub mod explain;
pub mod gate;
pub mod handler;
pub mod http;
pub mod incidents;
mod keys;
mod peer;
pub mod prometheus;
pub mod registry;
pub mod response;
pub mod routes;
pub mod server;
pub mod silences;
pub mod sources;
pub mod stats;
mod stored;
mod views;

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod tests;

/// The control server cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The address cannot be listened on.
    #[error("cannot listen on {at}")]
    Bind {
        /// The path or address.
        at: String,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody answers there.
    #[error("another supervisor listens on {at}")]
    InUse {
        /// The path.
        at: String,
    },
    /// A file that is no socket is in the way; it is left alone.
    #[error("{at} is not a socket, so it is not replaced")]
    NoSocket {
        /// The path.
        at: String,
    },
    /// The system has no room for the thread.
    #[error("the control thread cannot be started")]
    Thread(#[source] std::io::Error),
}
