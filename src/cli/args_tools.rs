//! The words of `status` and `check`, and of commands that need no supervisor: `import`, `completions`, `man`. Does nothing.

use std::path::PathBuf;

use clap::Subcommand;
use clap_complete::Shell;

/// `import …`.
#[derive(Clone, Debug, Subcommand)]
pub enum ImportCommand {
    /// A supervisord.conf
    Supervisord(ImportArgs),
    /// A Procfile, as of foreman, honcho or overmind
    Procfile(ImportArgs),
    /// An ecosystem file of pm2, as JSON or YAML
    Pm2(ImportArgs),
    /// A process-compose.yaml
    ProcessCompose(ImportArgs),
    /// A unit file of a systemd service
    Systemd(ImportArgs),
}

/// What to import.
#[derive(Clone, Debug, clap::Args)]
pub struct ImportArgs {
    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// One JSON object: the TOML, and what could not be carried over
    #[arg(long)]
    pub json: bool,
}

/// `completions`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// `check`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct CheckArgs {
    /// One JSON object: whether it is valid, the faults and the warnings
    #[arg(long)]
    pub json: bool,
}

/// `doctor`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct DoctorArgs {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// `man`.
#[derive(Clone, Debug, clap::Args)]
pub struct ManArgs {
    /// Writes a page for each command into this folder; without it one page goes to standard output
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// `status`.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct StatusArgs {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Shows it anew whenever something changes, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
    /// Only the names of the instances, one a line
    #[arg(long, conflicts_with_all = ["json", "watch"])]
    pub names: bool,
}
