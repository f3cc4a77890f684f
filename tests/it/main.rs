//! Integration tests: one binary, a file a promise area, each test an operator's sentence. The real binary,
//! real children, real SQLite files, real HTTP on loopback.

mod adoption;
mod after_kill;
mod attach;
mod commands;
mod console;
mod events;
mod explain;
mod first_run;
mod health;
mod heartbeat;
mod incidents;
mod log_lines;
mod metrics;
mod notifications;
mod notify_socket;
mod os_settings;
mod output;
mod pid_one;
mod policy;
mod real_programs;
mod recovery;
mod reload;
mod secrets;
mod shutdown;
mod silences;
mod stopped_programs;
mod stopping;
mod storage;
mod supervision;
mod support;
mod terminal;
mod terminal_programs;
mod tidy;
mod trees;
mod unseen_ends;
