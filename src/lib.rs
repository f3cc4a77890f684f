//! jikimi: a foreground process supervisor. This file is the map of rooms and owns nothing else.
//!
//! Base, free to all: [`clock`] (the only reader of the clock), [`thread`] (the only maker of threads),
//! [`limits`], [`ids`], [`secret`], [`text`], [`procfs`] (reading `/proc`, nothing else), [`model`] (the nouns).
//!
//! | room | does | uses, besides base |
//! | --- | --- | --- |
//! | [`child`] | spawns, signals and reaps: nobody else does | |
//! | [`config`] | files and environment to checked settings | |
//! | [`supervise`] | keeps instances running | child |
//! | [`logs`] | output of programs to segment files | |
//! | [`metrics`] | measures trees and the host | |
//! | [`alert`] | events to incidents to routes, all pure | |
//! | [`journal`] | one event to one durable write | alert |
//! | [`store`] | the only room with SQL | |
//! | [`history`] | what happened, told and classified | logs, store |
//! | [`cache`] | what was read, until it changes | |
//! | [`fetch`] | the one HTTP client | |
//! | [`probe`] | checks programs from outside, on few threads | child, fetch |
//! | [`notify`] | deliveries to targets | alert, child, fetch |
//! | [`shutdown`], [`signals`] | the ordered end; the signals that ask for it | |
//! | [`terminal`] | the one bounded writer to the terminal, and the logger | |
//! | [`control`] | the socket: status and commands | alert, history, store, supervise |
//! | [`cli`] | the command line | app, config, control, history, store |
//! | [`app`] | builds all of it, in order | all but cli |
//!
//! Where a room needs another one's doing and not its types, it says so as a trait of its own, and [`app`] joins
//! the two (`app/ports.rs`): supervision asks for output and measuring, the journal for a place to write, the
//! dispatcher for an outbox. So `supervise` knows no `logs`, `journal` and `notify` know no `store`, and each is
//! tested without the other. `control` takes from `alert` the one line that tells an event, so that `events` and
//! notifications say the same; `cli` runs [`app`], which no other room sees.
//!
//! Architecture invariant: `supervise` never sees `store`, `notify` or `control`; a database, a webhook or
//! a terminal that hangs cannot reach it. `tests/it/tidy.rs` holds this table to the code.
#![deny(unsafe_code)]

pub mod alert;
pub mod app;
pub mod cache;
pub mod child;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod fetch;
pub mod history;
pub mod ids;
pub mod journal;
pub mod limits;
pub mod logs;
pub mod metrics;
pub mod model;
pub mod notify;
pub mod probe;
pub mod procfs;
pub mod secret;
pub mod shutdown;
pub mod signals;
pub mod store;
pub mod supervise;
pub mod terminal;
pub mod text;
pub mod thread;
