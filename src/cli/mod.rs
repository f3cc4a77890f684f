//! The command line: arguments to a command to an exit code. The only room that prints. Owns no thread but
//! those of `inbox` and the one that waits for an answer.

mod args;
mod args_tools;
mod attach;
mod backup;
mod connect;
mod define;
mod deliveries;
mod doctor;
mod events;
mod explain;
mod format;
mod import;
mod inbox;
mod incidents;
mod logs;
mod metrics;
mod notify;
mod output;
mod plot;
mod reload;
mod render;
mod run;
mod shells;
mod silence;
mod stats;
mod status;
mod stored;
mod table;
mod targets;
mod upgrade;
mod verbs;
mod waiting;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command, NotifyCommand};
use output::{Failure, Out, complain};

/// A bug of ours (`EX_SOFTWARE` of sysexits.h).
const BUG: u8 = 70;

/// Runs the command that the process's arguments say.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help to a pipe that was closed is no fault.
            let _ = error.print();
            return exit_code(error.exit_code());
        }
    };
    if let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| dispatch(args))) {
        outcome.unwrap_or_else(output::Failure::report)
    } else {
        complain("this is a bug of ours; please report it with the lines above");
        ExitCode::from(BUG)
    }
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(BUG))
}

fn dispatch(args: Args) -> Result<ExitCode, Failure> {
    let place = connect::Place::new(args.config, args.socket);
    match args.command {
        Command::Run(asked) => return run::run(&place, asked),
        Command::Exec => return Ok(crate::app::exec()),
        Command::Holder { arguments } => return Ok(crate::app::holder(&arguments)),
        Command::Check(asked) => run::check(&place, asked, &mut Out::stdout()),
        Command::Status(asked) => status::status(&place, asked, &mut Out::stdout()),
        Command::Events(asked) => events::events(&place, &asked, &mut Out::stdout()),
        Command::Logs(asked) => logs::logs(&place, &asked, &mut Out::stdout()),
        Command::Explain(asked) => explain::explain(&place, &asked, &mut Out::stdout()),
        Command::Metrics(asked) => metrics::metrics(&place, &asked, &mut Out::stdout()),
        Command::Start(asked) => verbs::verb(&place, verbs::START, &asked),
        Command::Stop(asked) => verbs::verb(&place, verbs::STOP, &asked),
        Command::Restart(asked) => verbs::verb(&place, verbs::RESTART, &asked),
        Command::Signal { names, signal } => verbs::signal(&place, &signal, &names),
        Command::Reload(asked) => reload::reload(&place, asked, &mut Out::stdout()),
        Command::Shutdown {
            leave_running,
            no_wait,
        } => verbs::shutdown(&place, leave_running, !no_wait),
        Command::Upgrade => upgrade::upgrade(&place, &mut Out::stdout()),
        Command::Send { name, text } => verbs::send(&place, &name, &text),
        Command::Attach { name } => attach::attach(&place, &name),
        Command::Silence(asked) => silence::silence(&place, &asked, &mut Out::stdout()),
        Command::Notify(NotifyCommand::Test { target }) => {
            notify::test(&place, &target, &mut Out::stdout())
        }
        Command::Notify(NotifyCommand::Render(asked)) => {
            render::render(&place, &asked, &mut Out::stdout())
        }
        Command::Targets(asked) => targets::targets(&place, &asked, &mut Out::stdout()),
        Command::Deliveries(asked) => deliveries::deliveries(&place, asked, &mut Out::stdout()),
        Command::Incidents(asked) => incidents::incidents(&place, &asked, &mut Out::stdout()),
        Command::Add(asked) => define::add(&place, &asked, &mut Out::stdout()),
        Command::Edit(asked) => define::edit(&place, &asked, &mut Out::stdout()),
        Command::Remove(asked) => define::remove(&place, &asked, &mut Out::stdout()),
        Command::History(asked) => define::history(&place, &asked, &mut Out::stdout()),
        Command::Rollback(asked) => define::rollback(&place, &asked, &mut Out::stdout()),
        Command::Stats { json } => stats::stats(&place, json, &mut Out::stdout()),
        Command::Backup(asked) => backup::backup(&place, &asked, &mut Out::stdout()),
        Command::Restore(asked) => backup::restore(&place, &asked, &mut Out::stdout()),
        Command::Inbox(asked) => inbox::inbox(&asked),
        Command::Import(what) => import::import(&place, &what, &mut Out::stdout()),
        Command::Doctor(asked) => doctor::doctor(&place, asked, &mut Out::stdout()),
        Command::Completions(asked) => shells::completions(asked.shell, &mut Out::stdout()),
        Command::Man(asked) => shells::man(asked.folder.as_deref(), &mut Out::stdout()),
    }
    .map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_configuration_may_stand_anywhere() {
        for line in [
            &["jikimi", "--config", "a.toml", "status", "--json"][..],
            &["jikimi", "status", "--config", "a.toml", "--json"],
            &["jikimi", "status", "--json", "--config=a.toml"],
        ] {
            let args = Args::try_parse_from(line).expect("a good line");
            assert_eq!(args.config.as_deref(), Some("a.toml".as_ref()), "{line:?}");
            assert!(matches!(args.command, Command::Status(asked) if asked.json));
        }
        let nested = ["jikimi", "notify", "test", "ops", "--config", "a.toml"];
        let args = Args::try_parse_from(nested).expect("a good line");
        assert_eq!(args.config.as_deref(), Some("a.toml".as_ref()));
    }

    #[test]
    fn wrong_usage_has_exit_code_two() {
        for line in [
            &["jikimi"][..],
            &["jikimi", "explode"],
            &["jikimi", "stop"],
            &["jikimi", "explain"],
            &["jikimi", "metrics"],
            &["jikimi", "metrics", "web", "--candles", "7m"],
            &["jikimi", "metrics", "web", "--json", "--csv"],
            &["jikimi", "logs"],
            &["jikimi", "logs", "web", "--grep", "("],
            &["jikimi", "logs", "web", "--level", "loud"],
            &["jikimi", "logs", "web", "--stream", "in"],
            &["jikimi", "logs", "web", "--run", "first"],
            &["jikimi", "explain", "web", "-n", "some"],
            &["jikimi", "signal", "web"],
            &["jikimi", "send", "web"],
            &["jikimi", "attach"],
            &["jikimi", "attach", "web", "db"],
            &["jikimi", "status", "web"],
            &["jikimi", "events", "-n", "many"],
            &["jikimi", "deliveries", "show"],
            &["jikimi", "deliveries", "--state", "lost"],
            &["jikimi", "targets", "enable"],
            &["jikimi", "incidents", "show"],
            &["jikimi", "incidents", "--since", "yesterday"],
            &["jikimi", "notify", "render", "program.crashed"],
            &["jikimi", "notify", "render", "a", "b", "--plain", "--line"],
            &["jikimi", "events", "--since", "yesterday"],
        ] {
            let error = Args::try_parse_from(line).expect_err("a bad line");
            assert_eq!(error.exit_code(), 2, "{line:?}");
        }
    }
}
