//! `status`: one object for machines, tables for people.

use super::args_tools::StatusArgs;
use super::connect::Place;
use super::format::{seconds, when};
use super::output::{Failure, Out, Style};
use super::silence;
use super::table::{Cell, Column, Kind, Paint, fit, table};
use super::watch;
use crate::clock::{Wall, wall};
use crate::control::api::{ProgramStatus, Status, SupervisorHealth, SupervisorStatus};
use crate::model::status::{Health, PhaseName};
use crate::model::target::{TargetState, TargetView};
use crate::text;

/// `jikimi status`.
pub fn status(place: &Place, asked: StatusArgs, out: &mut Out) -> Result<(), Failure> {
    if asked.watch {
        return watch::watch(place, |client, out| {
            let status: Status = client.get("/api/v1/status")?;
            Ok(render(&status, wall(), out.style))
        });
    }
    let client = place.client()?;
    if asked.json {
        // As it came: keys that a newer supervisor adds are not lost.
        let raw: serde_json::Value = client.get("/api/v1/status")?;
        return out.line(&raw.to_string());
    }
    let status: Status = client.get("/api/v1/status")?;
    if asked.names {
        let mut names = status.programs.iter().map(|p| p.name.to_string());
        return names.try_for_each(|name| out.line(&name));
    }
    for line in render(&status, wall(), out.style) {
        out.line(&line)?;
    }
    Ok(())
}

/// The lines for people.
fn render(status: &Status, now: Wall, style: Style) -> Vec<String> {
    let mut lines = summary(status, style);
    if !status.programs.is_empty() {
        let rows: Vec<Vec<Cell>> = status
            .programs
            .iter()
            .map(|p| program_row(p, now))
            .collect();
        lines.push(String::new());
        lines.extend(table(&PROGRAMS, &rows, style));
    }
    if !status.targets.is_empty() {
        lines.push(String::new());
        lines.extend(target_lines(&status.targets, now, style));
    }
    if !status.silences.is_empty() {
        lines.push(String::new());
        lines.extend(status.silences.iter().map(|s| silence::line(s, now)));
    }
    lines
}

fn summary(status: &Status, style: Style) -> Vec<String> {
    let SupervisorStatus {
        name,
        version,
        pid,
        uptime_s,
        health,
        issues,
        ..
    } = &status.supervisor;
    let running = status
        .programs
        .iter()
        .filter(|p| p.phase == PhaseName::Running)
        .count();
    let (word, paint) = match health {
        SupervisorHealth::Healthy => ("healthy", Paint::Good),
        SupervisorHealth::Degraded => ("degraded", Paint::Bad),
    };
    let head = format!(
        "{name}: {running} of {} running, up {}, pid {pid}, jikimi {version}, {word}",
        status.programs.len(),
        seconds(*uptime_s)
    );
    std::iter::once((head, paint))
        .chain(issues.iter().map(|i| (format!("  ! {i}"), Paint::Bad)))
        .map(|(line, paint)| {
            let line = text::printable(line.as_bytes()).into_owned();
            paint.on(&fit(&line, style.width.unwrap_or(usize::MAX)), style)
        })
        .collect()
}

const fn column(heading: &'static str, kind: Kind) -> Column {
    Column { heading, kind }
}

const PROGRAMS: [Column; 8] = [
    column("NAME", Kind::Flexible),
    column("PHASE", Kind::Text),
    column("PID", Kind::Number),
    column("UPTIME", Kind::Number),
    column("RESTARTS", Kind::Number),
    column("CPU", Kind::Number),
    column("MEM", Kind::Number),
    column("", Kind::Flexible),
];

fn program_row(program: &ProgramStatus, now: Wall) -> Vec<Cell> {
    let alive = |text: String| match program.pid {
        Some(_) => Cell::new(&text),
        None => Cell::painted("-", Paint::Dim),
    };
    vec![
        Cell::new(&program.name.to_string()),
        Cell::painted(program.phase.as_str(), phase_paint(program.phase)),
        alive(program.pid.unwrap_or_default().to_string()),
        alive(seconds(program.uptime_s)),
        Cell::new(&program.restarts.to_string()),
        alive(format!("{:.1}%", program.cpu_percent)),
        alive(text::size(program.memory_bytes)),
        Cell::painted(&remark(program, now), Paint::Dim),
    ]
}

fn phase_paint(phase: PhaseName) -> Paint {
    match phase {
        PhaseName::Running => Paint::Good,
        PhaseName::Starting | PhaseName::Backoff | PhaseName::Stopping => Paint::Warn,
        PhaseName::Fatal => Paint::Bad,
        PhaseName::Stopped | PhaseName::Exited => Paint::Dim,
    }
}

/// The cause, the next start, what probes say when it is bad, and what it says itself.
fn remark(program: &ProgramStatus, now: Wall) -> String {
    let last = match (program.pid, &program.last_exit) {
        (None, Some(exit)) => Some(exit.to_string()),
        (Some(_), _) | (None, None) => None,
    };
    let health = (program.health == Health::Unhealthy).then(|| "unhealthy".to_owned());
    let next = program
        .next_restart_s
        .map(|s| format!("next start in {}", seconds(s)));
    let planned = program.next_start_at.map(|at| {
        let what = if program.pid.is_some() {
            "planned for"
        } else {
            "next start"
        };
        format!("{what} {}", when(at, now))
    });
    let said = program.status_text.as_ref();
    let said = said.map(|said| format!("\"{}\"", text::printable(said.as_bytes())));
    let parts = [program.cause.clone().or(last), health, next, planned, said];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join("; ")
}

const TARGETS: [Column; 8] = [
    column("TARGET", Kind::Flexible),
    column("KIND", Kind::Text),
    column("STATE", Kind::Text),
    column("PENDING", Kind::Number),
    column("DELIVERED", Kind::Number),
    column("FAILED", Kind::Number),
    column("LAST", Kind::Text),
    column("", Kind::Flexible),
];

/// The table of `targets`.
pub fn target_lines(targets: &[TargetView], now: Wall, style: Style) -> Vec<String> {
    let rows: Vec<Vec<Cell>> = targets.iter().map(|t| target_row(t, now)).collect();
    table(&TARGETS, &rows, style)
}

fn target_row(target: &TargetView, now: Wall) -> Vec<Cell> {
    let (word, paint) = match target.state {
        TargetState::Ready => ("ready", Paint::Good),
        TargetState::Busy => ("busy", Paint::Good),
        TargetState::Waiting => ("waiting", Paint::Warn),
        TargetState::Open => ("open", Paint::Bad),
        TargetState::Dead => ("dead", Paint::Bad),
    };
    let last = target.last_activity.map(|time| when(time, now));
    vec![
        Cell::new(&target.name),
        Cell::new(&target.kind),
        Cell::painted(word, paint),
        Cell::new(&target.pending.to_string()),
        Cell::new(&target.delivered.to_string()),
        Cell::new(&target.failed.to_string()),
        Cell::new(last.as_deref().unwrap_or("-")),
        Cell::painted(target.last_error.as_deref().unwrap_or(""), Paint::Dim),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::columns_of;
    use crate::model::event::Exit;
    use crate::model::name::InstanceName;
    use crate::model::status::Desired;

    fn program(name: &str, phase: PhaseName) -> ProgramStatus {
        let pid = (phase == PhaseName::Running).then_some(4_194_304);
        ProgramStatus {
            name: InstanceName::single(name),
            program: name.to_owned(),
            desired: Desired::Up,
            phase,
            ready: pid.is_some(),
            health: Health::Unknown,
            pid,
            run: None,
            uptime_s: 192.0,
            restarts: 4,
            next_restart_s: (phase == PhaseName::Backoff).then_some(4.2),
            last_exit: Some(Exit::Code(1)),
            cpu_percent: 1.25,
            memory_bytes: 1_572_864,
            processes: 1,
            tags: vec![],
            next_start_at: None,
            status_text: None,
            cause: None,
        }
    }

    fn status() -> Status {
        Status {
            supervisor: SupervisorStatus {
                configuration: crate::control::sources::ConfigurationFacts {
                    version: 1,
                    loaded_at: Wall::from_millis(0),
                    scans: 1,
                    parses: 1,
                },
                name: "box-1".to_owned(),
                version: "0.1.0".to_owned(),
                pid: 99,
                started_at: Wall::from_millis(0),
                uptime_s: 7_500.0,
                config: "/etc/jikimi.toml".to_owned(),
                threads: 12,
                rss_bytes: 1,
                open_files: 1,
                http: None,
                health: SupervisorHealth::Degraded,
                issues: vec!["the disk is full".to_owned()],
            },
            programs: vec![
                program("web", PhaseName::Running),
                program("worker", PhaseName::Backoff),
            ],
            targets: vec![TargetView {
                name: "ops".to_owned(),
                kind: "webhook".to_owned(),
                state: TargetState::Open,
                pending: 3,
                delivered: 2,
                failed: 1,
                last_activity: Some(Wall::from_millis(1_700_000_000_000)),
                last_error: Some("connection refused".to_owned()),
                detail: crate::model::target::TargetDetail::default(),
            }],
            silences: vec![],
        }
    }

    #[test]
    fn people_see_who_runs_why_the_rest_does_not_and_how_targets_do() {
        let now = Wall::from_millis(1_700_000_000_000);
        assert_eq!(
            render(&status(), now, Style::default()),
            [
                "box-1: 1 of 2 running, up 2h 5m, pid 99, jikimi 0.1.0, degraded",
                "  ! the disk is full",
                "",
                "NAME    PHASE        PID  UPTIME  RESTARTS   CPU      MEM",
                "web     running  4194304  3m 12s         4  1.2%  1.5 MiB",
                "worker  backoff        -       -         4     -        -  exit code 1; next start in 4s",
                "",
                "TARGET  KIND     STATE  PENDING  DELIVERED  FAILED  LAST",
                "ops     webhook  open         3          2       1  22:13:20Z  connection refused",
            ]
        );
    }

    #[test]
    fn it_fits_a_terminal_of_eighty_columns_and_any_other() {
        let mut status = status();
        status.programs[1].cause = Some("원인: a very long cause, ".repeat(9));
        status.programs[0].name = InstanceName::indexed("n".repeat(64), 65_535);
        status.supervisor.issues.push("x".repeat(300));
        for width in [1, 20, 80, 200] {
            let style = Style {
                colour: false,
                width: Some(width),
            };
            for line in render(&status, Wall::from_millis(0), style) {
                assert!(columns_of(&line) <= width, "{width}: {line:?}");
            }
        }
    }
}
