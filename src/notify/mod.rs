//! notify.

pub mod breaker;
pub mod lane;
pub mod limit;
pub mod providers;
mod render;
pub mod retry;
