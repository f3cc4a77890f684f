//! What may be written on the command line. Owns the words of `--help`; does nothing.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use super::args_tools::{
    CheckArgs, CompletionsArgs, DoctorArgs, ImportCommand, ManArgs, StatusArgs,
};
use crate::clock::Wall;
use crate::history::candle::Frame;
use crate::history::series::FIGURES;
use crate::ids::RunId;
use crate::model::delivery::DeliveryState;
use crate::model::log::{Level, Stream};
use crate::model::pattern::Pattern;
use crate::text;

/// Keeps programs running, remembers what happened, tells people, and stops cleanly.
#[derive(Debug, Parser)]
#[command(name = "jikimi", version, arg_required_else_help = true)]
pub struct Args {
    /// The configuration file [default: jikimi.toml, config/jikimi.toml, then the user's and the system's]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The socket of the supervisor to ask [default: found by the configuration; also `JIKIMI_SOCKET`]
    #[arg(long, global = true, value_name = "FILE")]
    pub socket: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the programs and keep them running, in the foreground
    Run(RunArgs),
    /// Say whether the configuration is right, and everything that is not
    Check(CheckArgs),
    /// Show the programs, the targets and the supervisor
    Status(StatusArgs),
    /// Show what happened
    Events(EventsArgs),
    /// Show what programs wrote, merged by time; of programs that were removed, too
    Logs(LogsArgs),
    /// Tell why programs ended and restarted, newest first, and what pattern there is in it
    Explain(ExplainArgs),
    /// Show figures of programs over time: processor, memory, threads, files, storage
    Metrics(MetricsArgs),
    /// Start programs, with what they depend on
    Start(VerbArgs),
    /// Stop programs
    Stop(VerbArgs),
    /// Stop programs that run, and start them
    Restart(VerbArgs),
    /// Send a signal to the main process of programs
    Signal {
        /// Programs, instances (`web:0`), globs (`web*`), `tag:NAME`, or `all`
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// `HUP`, `SIGUSR1`, or its number
        #[arg(value_name = "SIGNAL")]
        signal: String,
    },
    /// Read the configuration again; only what changed in it is touched
    Reload(ReloadArgs),
    /// Type a line into the standard input of programs
    Send {
        /// A program, an instance (`web:0`), a glob (`web*`), `tag:NAME`, or `all`
        #[arg(value_name = "NAME")]
        name: String,
        /// The line; several words are joined by blanks
        #[arg(
            required = true,
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "TEXT"
        )]
        text: Vec<String>,
    },
    /// Follow a program's output and type lines into its standard input, until Ctrl-D or Ctrl-C
    Attach {
        /// A program of one instance, or an instance (`web:0`)
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Stop every program and end the supervisor
    Shutdown {
        /// Leave the programs running; the next `run` takes them over
        #[arg(long)]
        leave_running: bool,
        /// Return when it has begun
        #[arg(long)]
        no_wait: bool,
    },
    /// Let the running supervisor become this version; programs run on
    #[command(
        long_about = "Let the running supervisor become this version, the one that this command is: \
        the same process with the same arguments runs this file. Programs run on, with their output and history. \
        Nothing is changed when this version would refuse the configuration or the database."
    )]
    Upgrade,
    /// Tell nobody of some programs for a while; `silence list`, `silence end ID`
    #[command(
        long_about = "Tell chats nothing of some programs for a while: silence NAME... DURATION. What is wrong when \
        it ends is told then, once; what has passed by then is one line. Machines are told everything, marked. \
        `silence list` shows the silences in force, `silence end ID` ends one; the end of its id will do."
    )]
    Silence(SilenceArgs),
    /// Show the targets and the workers that send to them, or try one again that was given up
    Targets(TargetsArgs),
    /// Show what was or will be sent to targets, try it again, or clear it away
    Deliveries(DeliveriesArgs),
    /// Show what was wrong, and with `show ID` all that happened in it and that was told of it
    Incidents(IncidentsArgs),
    /// Try notifications out
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// Define a program in a file of its own in `programs.d`, and start it
    Add(AddArgs),
    /// Change a program's definition in your editor; it is checked before it replaces what was there
    Edit(NamedArgs),
    /// Take away a program's definition, and stop it; `rollback` brings it back
    Remove(NamedArgs),
    /// Show the versions of a program's definition
    History(HistoryArgs),
    /// Put an earlier version of a program's definition back, the latest one if none is named
    Rollback(RollbackArgs),
    /// Show what the supervisor did and what it cost: the database, checkpoints, readers, the cache
    Stats {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Copy the database, while it is used or not; the copy is checked, then packed
    Backup(BackupArgs),
    /// Put a copy in the place of the database, which is kept under another name; not while a supervisor runs
    Restore(RestoreArgs),
    /// Receive notifications on this machine and print them
    Inbox(InboxArgs),
    /// Look for what is wrong or soon will be, and say what to do; exits with 1 when something was found
    Doctor(DoctorArgs),
    /// Print the configuration of another supervisor as ours, and what could not be carried over
    #[command(subcommand)]
    Import(ImportCommand),
    /// Print the script that completes a command line in bash, zsh or fish
    Completions(CompletionsArgs),
    /// Print the manual page, or write the pages of all commands into a folder
    Man(ManArgs),
    /// The process between a spawn and a program with settings of its own; the supervisor starts it.
    #[command(name = "__exec", hide = true)]
    Exec,
    /// The process that keeps output pipes open; the supervisor starts it.
    #[command(name = "__holder", hide = true)]
    Holder {
        /// Its own affair.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// `run`.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct RunArgs {
    /// End when nothing runs any more and nothing will be started by itself; 1 when a program failed
    #[arg(long)]
    pub exit_when_done: bool,
}

/// `events`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct EventsArgs {
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last N
    #[arg(short = 'n', long = "lines", value_name = "N")]
    pub last: Option<usize>,
    /// Only since then: `10m` ago, or a time like `2026-01-31T08:00:00Z`
    #[arg(long, value_name = "T", value_parser = since)]
    pub since: Option<Since>,
    /// Only these, like `program.crashed` or `program.*`; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
}

/// `logs`.
#[derive(Clone, Debug, clap::Args)]
pub struct LogsArgs {
    /// Programs, instances (`web:0`), globs (`web*`), `tag:NAME`, or `all`
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last N [default: all, 20 with --follow]
    #[arg(short = 'n', long = "lines", value_name = "N")]
    pub last: Option<usize>,
    /// Only since then: `10m` ago, or a time like `2026-01-31T08:00:00Z`
    #[arg(long, value_name = "T", value_parser = since)]
    pub since: Option<Since>,
    /// Only until then
    #[arg(long, value_name = "T", value_parser = since, conflicts_with = "follow")]
    pub until: Option<Since>,
    /// Only lines in which this regular expression is found
    #[arg(long, value_name = "RE", value_parser = pattern)]
    pub grep: Option<Pattern>,
    /// Only lines of this level or a worse one: `trace`, `debug`, `info`, `warn`, `error`, `fatal`
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub level: Option<Level>,
    /// Only what this run wrote; `events --json` and `status --json` have the ids
    #[arg(long, value_name = "ID")]
    pub run: Option<RunId>,
    /// Only one of the two: `out` or `err`
    #[arg(long, value_name = "STREAM", value_parser = stream)]
    pub stream: Option<Stream>,
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::new(text).map_err(|error| format!("this is no regular expression: {error}"))
}

fn level(text: &str) -> Result<Level, String> {
    Level::named(text).ok_or_else(|| "write trace, debug, info, warn, error or fatal".to_owned())
}

fn stream(text: &str) -> Result<Stream, String> {
    match text {
        "out" | "stdout" => Ok(Stream::Stdout),
        "err" | "stderr" => Ok(Stream::Stderr),
        _ => Err("write out or err".to_owned()),
    }
}

/// `explain`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ExplainArgs {
    /// Programs, instances (`web:0`), globs (`web*`), `tag:NAME`, or `all`
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// One JSON list
    #[arg(long)]
    pub json: bool,
    /// The last N ends of each [default: 5]
    #[arg(short = 'n', long = "lines", value_name = "N")]
    pub last: Option<usize>,
}

/// `metrics`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct MetricsArgs {
    /// Programs, instances (`web:0`), globs (`web*`), or `all`
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// The last so long [default: 1h]
    #[arg(long, value_name = "T", value_parser = span, conflicts_with = "since")]
    pub range: Option<Duration>,
    /// Since then: `10m` ago, or a time like `2026-01-31T08:00:00Z`
    #[arg(long, value_name = "T", value_parser = since)]
    pub since: Option<Since>,
    /// Until then [default: now]
    #[arg(long, value_name = "T", value_parser = since)]
    pub until: Option<Since>,
    /// In candles of `1m`, `5m`, `15m`, `1h` or `1d`
    #[arg(long, value_name = "T", value_parser = frame)]
    pub candles: Option<Frame>,
    /// Plot these, like `threads`; may be repeated [default: `cpu_percent`, `memory_bytes`]
    #[arg(long = "figure", value_name = "FIGURE", value_parser = FIGURES)]
    pub figures: Vec<String>,
    /// Say when a figure that rises or falls steadily reaches this, like `memory_bytes=2GiB`; may be repeated
    #[arg(long, value_name = "FIGURE=VALUE", value_parser = limit)]
    pub reach: Vec<(String, f64)>,
    /// One JSON object a line, each an instance
    #[arg(long)]
    pub json: bool,
    /// Comma-separated values
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

fn span(text: &str) -> Result<Duration, String> {
    text::parse_duration(text)
        .filter(|span| !span.is_zero())
        .ok_or_else(|| "write how long, like 30m, 24h or 7d".to_owned())
}

fn limit(text: &str) -> Result<(String, f64), String> {
    let (figure, value) = text.split_once('=').unwrap_or((text, ""));
    if !FIGURES.contains(&figure) {
        return Err(format!("the figures are {}", FIGURES.join(", ")));
    }
    #[expect(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
    let size = || text::parse_size(value).map(|bytes| bytes as f64);
    let value = value
        .parse()
        .ok()
        .or_else(size)
        .filter(|v: &f64| v.is_finite());
    let value = value.ok_or_else(|| format!("write {figure}= and a number or a size"))?;
    Ok((figure.to_owned(), value))
}

fn frame(text: &str) -> Result<Frame, String> {
    text::parse_duration(text)
        .and_then(|span| Frame::of_seconds(span.as_secs()))
        .ok_or_else(|| "write 1m, 5m, 15m, 1h or 1d".to_owned())
}

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(Wall),
}

impl Since {
    /// The moment that is meant at `now`.
    pub fn moment(self, now: Wall) -> Wall {
        match self {
            Self::At(time) => time,
            Self::Ago(ago) => {
                let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
                Wall::from_millis(now.millis().saturating_sub(ago))
            }
        }
    }
}

fn since(text: &str) -> Result<Since, String> {
    text::parse_duration(text)
        .map(Since::Ago)
        .or_else(|| Wall::parse(text).map(Since::At))
        .ok_or_else(|| {
            "write how long ago (10m, 2h) or a time like 2026-01-31T08:00:00Z".to_owned()
        })
}

/// `start`, `stop`, `restart`.
#[derive(Clone, Debug, clap::Args)]
pub struct VerbArgs {
    /// Programs, instances (`web:0`), globs (`web*`), `tag:NAME`, or `all`
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Return when it has begun
    #[arg(long)]
    pub no_wait: bool,
}

/// `reload`.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct ReloadArgs {
    /// Say what would happen and why, and change nothing
    #[arg(long)]
    pub plan: bool,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Return when it has begun
    #[arg(long)]
    pub no_wait: bool,
}

/// `silence`.
#[derive(Clone, Debug, clap::Args)]
pub struct SilenceArgs {
    /// Programs, instances, globs, `tag:NAME` or `all`, and how long: `web 2h`; or `list`; or `end ID`
    #[arg(required = true, value_name = "NAME... DURATION")]
    pub words: Vec<String>,
    /// Why; shown in `status` and in the first message after it
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// JSON
    #[arg(long)]
    pub json: bool,
}

/// `notify`.
#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// Send a test message to one target and say what became of it
    Test {
        /// The target's name in the configuration
        target: String,
    },
    /// Print the request that a target would be sent, secrets masked, and send nothing
    Render(RenderArgs),
}

/// `notify render`.
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a command line, each of its own"
)]
#[derive(Clone, Debug, clap::Args)]
pub struct RenderArgs {
    /// A type of event, for a made-up one (`program.crashed`), or the id of a stored one or its beginning
    #[arg(value_name = "EVENT")]
    pub event: String,
    /// The target's name in the configuration
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// What is sent when the target has a message of the incident and there is more to say
    #[arg(long, conflicts_with = "resolved")]
    pub update: bool,
    /// What is sent when the target has a message of the incident and the incident is over
    #[arg(long)]
    pub resolved: bool,
    /// As it is sent when the target has refused its form: text only
    #[arg(long, conflicts_with = "line")]
    pub plain: bool,
    /// As it is sent when that is refused too: one line
    #[arg(long)]
    pub line: bool,
    /// One JSON object a request
    #[arg(long)]
    pub json: bool,
}

/// `targets`.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct TargetsArgs {
    /// Something else than to show them.
    #[command(subcommand)]
    pub what: Option<TargetsCommand>,
    /// One JSON list
    #[arg(long)]
    pub json: bool,
}

/// `targets …`.
#[derive(Clone, Debug, Subcommand)]
pub enum TargetsCommand {
    /// Try a target at once: one that was given up, or is left alone for a while
    Enable {
        /// The target's name in the configuration
        target: String,
    },
}

/// `incidents`.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct IncidentsArgs {
    /// Something else than to list them.
    #[command(subcommand)]
    pub what: Option<IncidentsCommand>,
    /// One JSON list
    #[arg(long)]
    pub json: bool,
    /// The newest N [default: 20]
    #[arg(short = 'n', long = "lines", value_name = "N")]
    pub last: Option<usize>,
    /// Only those that are not over
    #[arg(long)]
    pub open: bool,
    /// Only those opened since then: `10m` ago, or a time like `2026-01-31T08:00:00Z`
    #[arg(long, value_name = "T", value_parser = since)]
    pub since: Option<Since>,
}

/// `incidents …`.
#[derive(Clone, Debug, Subcommand)]
pub enum IncidentsCommand {
    /// Show one: what opened it, what happened, and what each target was told
    Show {
        /// Its id, or the beginning of it
        id: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

/// `deliveries`.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DeliveriesArgs {
    /// Something else than to list them.
    #[command(subcommand)]
    pub what: Option<DeliveriesCommand>,
    /// Which.
    #[command(flatten)]
    pub list: ListArgs,
}

/// `deliveries …`.
#[derive(Clone, Debug, Subcommand)]
pub enum DeliveriesCommand {
    /// List them, newest first
    List(ListArgs),
    /// Show one with its event and every attempt
    Show {
        /// Its id, or the beginning of it
        id: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Try one again at once that waits or was given up, or all of those
    Retry {
        /// Its id, or the beginning of it, or `all`
        id: String,
    },
    /// Remove those that are over
    Purge(PurgeArgs),
}

/// `deliveries list`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ListArgs {
    /// One JSON list
    #[arg(long)]
    pub json: bool,
    /// The newest N [default: 50]
    #[arg(short = 'n', long = "lines", value_name = "N")]
    pub last: Option<usize>,
    /// Only those: `pending`, `leased` (being sent), `delivered`, `dead` (refused), `expired`; may be repeated
    #[arg(long = "state", value_name = "STATE", value_parser = state)]
    pub states: Vec<DeliveryState>,
    /// Only those to this target
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
}

/// `deliveries purge`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PurgeArgs {
    /// Only those: `delivered`, `dead`, `expired`, with --all also `pending`; may be repeated
    #[arg(long = "state", value_name = "STATE", value_parser = state)]
    pub states: Vec<DeliveryState>,
    /// Only those made before: `7d` ago, or a time like `2026-01-31T08:00:00Z`
    #[arg(long, value_name = "T", value_parser = since)]
    pub older: Option<Since>,
    /// Those that wait as well: they are never sent then
    #[arg(long)]
    pub all: bool,
}

fn state(word: &str) -> Result<DeliveryState, String> {
    word.parse()
        .map_err(|()| "write pending, leased, delivered, dead or expired".to_owned())
}

/// `add`.
#[derive(Clone, Debug, clap::Args)]
pub struct AddArgs {
    /// The program's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Its working directory [default: this one]
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// A variable of its environment; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub environment: Vec<String>,
    /// `always`, `on-failure` or `never`
    #[arg(long, value_name = "WHEN")]
    pub restart: Option<String>,
    /// How many run
    #[arg(long, value_name = "N")]
    pub instances: Option<u16>,
    /// Do not start it
    #[arg(long)]
    pub no_autostart: bool,
    /// A program that comes first; may be repeated
    #[arg(long, value_name = "NAME")]
    pub depends_on: Vec<String>,
    /// A label; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Any other key of a program, like `stop_timeout=30s` or `readiness.tcp=127.0.0.1:80`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Only write the file
    #[arg(long)]
    pub no_reload: bool,
    /// What to run
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `edit`, `remove`.
#[derive(Clone, Debug, clap::Args)]
pub struct NamedArgs {
    /// The program's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Only change the file
    #[arg(long)]
    pub no_reload: bool,
}

/// `history`.
#[derive(Clone, Debug, clap::Args)]
pub struct HistoryArgs {
    /// The program's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// One JSON list, with the texts
    #[arg(long)]
    pub json: bool,
}

/// `rollback`.
#[derive(Clone, Debug, clap::Args)]
pub struct RollbackArgs {
    /// The program's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The number that `history` shows
    #[arg(value_name = "VERSION")]
    pub version: Option<u64>,
    /// Only change the file
    #[arg(long)]
    pub no_reload: bool,
}

/// `backup`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct BackupArgs {
    /// The file to write, which must not be there [default: one in `backups` in the state directory]
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// `restore`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RestoreArgs {
    /// The copy, or the name of one in `backups` [default: the newest one]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Show which copies there are, and change nothing
    #[arg(long, conflicts_with = "file")]
    pub list: bool,
    /// With --list: one JSON list
    #[arg(long, requires = "list")]
    pub json: bool,
}

/// `inbox`.
#[derive(Clone, Debug, clap::Args)]
pub struct InboxArgs {
    /// The port on 127.0.0.1
    #[arg(long, default_value_t = 9119)]
    pub port: u16,
    /// Print the whole body as JSON
    #[arg(long)]
    pub json: bool,
    /// Refuse what is not signed with this `whsec_…` secret
    #[arg(long)]
    pub secret: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_an_age_or_a_time() {
        let now = Wall::from_millis(1_700_000_000_000);
        let moment = |text: &str| since(text).map(|s| s.moment(now).millis());
        assert_eq!(moment("10m"), Ok(1_699_999_400_000));
        assert_eq!(moment("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000));
        assert!(moment("yesterday").is_err());
    }
}
