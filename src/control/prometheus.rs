//! `/metrics`: everything `status` knows and the store's counters in Prometheus' text format. Pure; the names
//! follow <https://prometheus.io/docs/practices/naming/>: base units, `_total` for what only rises.
//!
//! Labels are names of instances, programs and targets and words of fixed lists, so there are at most as many series
//! as the configuration allows.

use std::fmt::{Display, Write as _};

use super::api::{Status, SupervisorHealth};
use crate::clock::Wall;
use crate::model::sample::{Figures, HostSample};
use crate::model::status::{Health, PhaseName};
use crate::model::target::TargetState;
use crate::store::StoreStats;

/// The media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What it shows beside `status`.
#[derive(Clone, Debug, Default)]
pub struct Measures {
    /// What the store has done.
    pub store: StoreStats,
    /// Writes that wait for it.
    pub queued: u64,
    /// The database with its write-ahead log.
    pub database_bytes: u64,
    /// The host; nothing before its first measurement.
    pub host: Option<HostSample>,
}

type Labels<'a> = &'a [(&'a str, &'a str)];

/// The page, one family after the other.
struct Page(String);

impl Page {
    fn family(&mut self, kind: &str, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let begin = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{begin}{label}=\"{}\"", escaped(text));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }

    /// A family with one value.
    fn one(&mut self, (kind, name): (&str, &str), help: &str, value: impl Display) {
        self.family(kind, name, help);
        self.line(name, &[], value);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

const GAUGE: &str = "gauge";
const COUNTER: &str = "counter";

/// The page at `now`; `figures` has the latest sample of an instance that is up.
pub fn page(
    status: &Status,
    measures: &Measures,
    (figures, now): (&dyn Fn(usize) -> Option<Figures>, Wall),
) -> String {
    let mut page = Page(String::with_capacity(4096 + status.programs.len() * 2048));
    supervisor(&mut page, status);
    store(&mut page, measures);
    if let Some(host) = &measures.host {
        of_host(&mut page, host);
    }
    standing(&mut page, status, now);
    measured(&mut page, status, figures);
    targets(&mut page, status);
    page.0
}

fn supervisor(page: &mut Page, status: &Status) {
    let own = &status.supervisor;
    page.family(GAUGE, "jikimi_build_info", "The version, as a label.");
    page.line("jikimi_build_info", &[("version", &own.version)], 1);
    page.one(
        (GAUGE, "jikimi_start_time_seconds"),
        "When the supervisor started, since the epoch.",
        seconds(own.started_at),
    );
    let is_healthy = u8::from(own.health == SupervisorHealth::Healthy);
    page.one(
        (GAUGE, "jikimi_healthy"),
        "1 when nothing is wrong with the supervisor itself.",
        is_healthy,
    );
    page.one(
        (GAUGE, "jikimi_issues"),
        "What is wrong with the supervisor itself.",
        own.issues.len(),
    );
    page.one(
        (GAUGE, "jikimi_threads"),
        "Threads of the supervisor.",
        own.threads,
    );
    page.one(
        (GAUGE, "jikimi_resident_memory_bytes"),
        "Resident set of the supervisor.",
        own.rss_bytes,
    );
    page.one(
        (GAUGE, "jikimi_open_fds"),
        "Open file descriptors of the supervisor.",
        own.open_files,
    );
    page.one(
        (GAUGE, "jikimi_config_version"),
        "Rises by one with each reload.",
        own.configuration.version,
    );
    page.one(
        (GAUGE, "jikimi_silences"),
        "Silences in force.",
        status.silences.len(),
    );
}

fn store(page: &mut Page, measures: &Measures) {
    let done = &measures.store;
    page.one(
        (GAUGE, "jikimi_database_size_bytes"),
        "The database with its write-ahead log.",
        measures.database_bytes,
    );
    page.one(
        (GAUGE, "jikimi_store_queue_length"),
        "Writes that wait for the database.",
        measures.queued,
    );
    counters(page, done);
    #[expect(clippy::cast_precision_loss, reason = "half a century fits")]
    let spent = done.checkpoint_micros as f64 / 1e6;
    page.one(
        (COUNTER, "jikimi_checkpoint_duration_seconds_total"),
        "Time spent in checkpoints that passed.",
        spent,
    );
    labelled(
        page,
        ("jikimi_store_statements_total", "kind"),
        "Statements run.",
        &[
            ("read", done.statements_read),
            ("write", done.statements_written),
        ],
    );
    labelled(
        page,
        ("jikimi_store_dropped_total", "what"),
        "What was dropped because too much waited for the database.",
        &[
            ("event", done.dropped_records),
            ("sample", done.dropped_samples),
            ("log", done.dropped_logs),
            ("checkpoint", done.dropped_checkpoints),
        ],
    );
}

fn counters(page: &mut Page, done: &StoreStats) {
    for (name, help, value) in [
        (
            "jikimi_store_transactions_total",
            "Transactions committed.",
            done.transactions,
        ),
        (
            "jikimi_store_rollbacks_total",
            "Transactions rolled back.",
            done.rollbacks,
        ),
        (
            "jikimi_store_retries_total",
            "Writes that failed and were tried again.",
            done.retries,
        ),
        (
            "jikimi_store_events_total",
            "Events committed.",
            done.records,
        ),
        (
            "jikimi_checkpoint_values_total",
            "Checkpoint values committed.",
            done.checkpoint_values,
        ),
        (
            "jikimi_checkpoints_total",
            "Checkpoints that passed.",
            done.checkpoint_transactions,
        ),
        (
            "jikimi_checkpoint_failures_total",
            "Checkpoints that failed and were put back.",
            done.checkpoint_failures,
        ),
    ] {
        page.one((COUNTER, name), help, value);
    }
}

fn labelled(
    page: &mut Page,
    (name, label): (&str, &str),
    help: &str,
    values: &[(&'static str, u64)],
) {
    page.family(COUNTER, name, help);
    for (word, value) in values {
        page.line(name, &[(label, word)], value);
    }
}

fn of_host(page: &mut Page, host: &HostSample) {
    page.one(
        (GAUGE, "jikimi_host_cpu_ratio"),
        "Share of all cores in use.",
        host.cpu_percent / 100.0,
    );
    page.one(
        (GAUGE, "jikimi_host_memory_size_bytes"),
        "Physical memory.",
        host.memory_total_bytes,
    );
    page.one(
        (GAUGE, "jikimi_host_memory_used_bytes"),
        "Physical memory in use.",
        host.memory_used_bytes,
    );
    page.one(
        (GAUGE, "jikimi_host_load1"),
        "Load average over one minute.",
        host.load_one,
    );
}

/// One family of the programs: each instance that has a value.
fn each<T: Display>(
    page: &mut Page,
    status: &Status,
    (kind, name, help): (&str, &str, &str),
    value: impl Fn(usize) -> Option<T>,
) {
    page.family(kind, name, help);
    for (at, program) in status.programs.iter().enumerate() {
        if let Some(value) = value(at) {
            let instance = program.name.to_string();
            let labels = [
                ("program", &*program.program),
                ("instance_name", &*instance),
            ];
            page.line(name, &labels, value);
        }
    }
}

fn standing(page: &mut Page, status: &Status, now: Wall) {
    let programs = &status.programs;
    each(
        page,
        status,
        (GAUGE, "jikimi_program_up", "1 when it runs."),
        |at| Some(u8::from(programs[at].phase == PhaseName::Running)),
    );
    each(
        page,
        status,
        (GAUGE, "jikimi_program_ready", "1 when it is ready."),
        |at| Some(u8::from(programs[at].ready)),
    );
    each(
        page,
        status,
        (
            GAUGE,
            "jikimi_program_healthy",
            "What its probe says, if it has one.",
        ),
        |at| match programs[at].health {
            Health::Healthy => Some(1_u8),
            Health::Unhealthy => Some(0),
            Health::Unknown => None,
        },
    );
    page.family(GAUGE, "jikimi_program_state", "1 for the state it is in.");
    for program in programs {
        let instance = program.name.to_string();
        for phase in PhaseName::ALL {
            let labels = [
                ("program", &*program.program),
                ("instance_name", &*instance),
                ("state", phase.as_str()),
            ];
            let is_it = u8::from(phase == program.phase);
            page.line("jikimi_program_state", &labels, is_it);
        }
    }
    each(
        page,
        status,
        (COUNTER, "jikimi_program_restarts_total", "Restarts so far."),
        |at| Some(programs[at].restarts),
    );
    each(
        page,
        status,
        (
            GAUGE,
            "jikimi_program_start_time_seconds",
            "When its process started, since the epoch.",
        ),
        |at| {
            let is_up = programs[at].pid.is_some();
            is_up.then(|| (seconds(now) - programs[at].uptime_s).max(0.0))
        },
    );
}

type Figure = fn(&Figures) -> u64;

fn measured(page: &mut Page, status: &Status, figures: &dyn Fn(usize) -> Option<Figures>) {
    let latest: Vec<Option<Figures>> = (0..status.programs.len()).map(figures).collect();
    each(
        page,
        status,
        (GAUGE, "jikimi_program_cpu_ratio", "Cores its tree uses."),
        |at| latest[at].map(|f| f.cpu_percent / 100.0),
    );
    let families: [(&str, &str, Figure); 6] = [
        (
            "jikimi_program_resident_memory_bytes",
            "Resident set of its tree.",
            |f| f.memory_bytes,
        ),
        ("jikimi_program_processes", "Processes of its tree.", |f| {
            u64::from(f.processes)
        }),
        ("jikimi_program_threads", "Threads of its tree.", |f| {
            u64::from(f.threads)
        }),
        (
            "jikimi_program_open_fds",
            "Open file descriptors of its tree.",
            |f| u64::from(f.open_files),
        ),
        (
            "jikimi_program_disk_read_bytes_per_second",
            "Read from storage.",
            |f| f.read_bytes,
        ),
        (
            "jikimi_program_disk_written_bytes_per_second",
            "Written to storage.",
            |f| f.write_bytes,
        ),
    ];
    for (name, help, figure) in families {
        each(page, status, (GAUGE, name, help), |at| {
            latest[at].as_ref().map(figure)
        });
    }
}

const DELIVERIES: &str = "jikimi_deliveries";
const USABLE: &str = "jikimi_target_usable";

fn targets(page: &mut Page, status: &Status) {
    page.family(
        GAUGE,
        DELIVERIES,
        "Deliveries in the database, by where they stand.",
    );
    for target in &status.targets {
        for (state, count) in [
            ("pending", target.pending),
            ("delivered", target.delivered),
            ("failed", target.failed),
        ] {
            let labels = [("target", &*target.name), ("state", state)];
            page.line(DELIVERIES, &labels, count);
        }
    }
    page.family(GAUGE, USABLE, "0 when its breaker is open or it is gone.");
    for target in &status.targets {
        let is_usable = match target.state {
            TargetState::Ready | TargetState::Busy | TargetState::Waiting => 1,
            TargetState::Open | TargetState::Dead => 0,
        };
        let labels = [("target", &*target.name), ("kind", &*target.kind)];
        page.line(USABLE, &labels, is_usable);
    }
}

fn seconds(at: Wall) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit")]
    let seconds = at.millis() as f64 / 1e3;
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_label_stays_in_it() {
        let mut page = Page(String::new());
        page.line("a", &[("b", "x\"} 1\nc \\"), ("d", "e")], 2.5);
        assert_eq!(page.0, "a{b=\"x\\\"} 1\\nc \\\\\",d=\"e\"} 2.5\n");
        page.0.clear();
        page.one((GAUGE, "f"), "Help.", 1);
        assert_eq!(page.0, "# HELP f Help.\n# TYPE f gauge\nf 1\n");
    }
}
