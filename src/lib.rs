//! jikimi: a foreground process supervisor. This file is the map of rooms and owns nothing else.
//!
//! Base, free to all: [`clock`] (the only reader of the clock), [`thread`] (the only maker of threads),
//! [`limits`], [`ids`], [`secret`], [`text`], [`procfs`] (reading `/proc`, nothing else), [`model`] (the nouns).
//!
//! | room | does | may use, besides base |
//! | --- | --- | --- |
//! | [`child`] | spawns, signals and reaps: nobody else does | |
//! | [`config`] | files and environment to checked settings | |
//! | [`supervise`] | keeps instances running | child, logs |
//! | [`logs`] | output of programs to segment files | child |
//! | [`metrics`] | measures trees and the host | |
//! | [`alert`] | events to incidents to routes, all pure | |
//! | [`journal`] | one event to one durable write | alert, store |
//! | [`store`] | the only room with SQL | |
//! | [`cache`] | what was read, until it changes | |
//! | [`fetch`] | the one HTTP client | |
//! | [`notify`] | deliveries to targets | store, alert, fetch, child |
//! | [`shutdown`], [`signals`] | the ordered end; the signals that ask for it | |
//! | [`terminal`] | the one bounded writer to the terminal, and the logger | |
//! | [`control`] | the socket: status and commands | alert, store, logs, supervise, metrics |
//! | [`cli`] | the command line | config, control, store |
//! | [`app`] | builds all of it, in order | all |
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
pub mod ids;
pub mod journal;
pub mod limits;
pub mod logs;
pub mod metrics;
pub mod model;
pub mod notify;
pub mod procfs;
pub mod secret;
pub mod shutdown;
pub mod signals;
pub mod store;
pub mod supervise;
pub mod terminal;
pub mod text;
pub mod thread;
