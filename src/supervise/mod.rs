//! Supervision: keeps instances running. Owns the actor thread, the only one that spawns, signals and reaps
//! runs. Never sees the database, a webhook or the terminal.

pub mod board;
