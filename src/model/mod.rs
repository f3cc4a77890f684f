//! The nouns every room shares, a file a noun. Plain data: no I/O, no clock, no locks.

pub mod calendar;
pub mod command;
pub mod delivery;
pub mod ends;
pub mod event;
pub mod fingerprint;
pub mod health;
pub mod incident;
pub mod log;
pub mod name;
pub mod needs;
pub mod os;
pub mod program;
pub mod record;
pub mod reload;
pub mod route;
pub mod rule;
pub mod sample;
pub mod settings;
pub mod status;
pub mod stop;
pub mod target;
pub mod timing;
pub mod trigger;
pub mod urgency;
pub mod write;
