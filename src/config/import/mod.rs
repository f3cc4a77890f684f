//! What other supervisors are told, as configuration of ours: text to text, and a list of what has no place here.
//! Pure: reads no file, starts nothing, and knows of the machine only what [`Origin`] says.

mod compose;
mod draft;
mod ini;
mod pm2;
mod pm2_keys;
mod probe;
mod procfile;
mod supervisord;
mod supervisord_keys;
mod systemd;
mod systemd_keys;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::path::PathBuf;

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `supervisord.conf`.
    Supervisord,
    /// The `Procfile` of foreman, honcho, overmind and their like.
    Procfile,
    /// An ecosystem file as JSON or YAML.
    Pm2,
    /// `process-compose.yaml`.
    Compose,
    /// A unit file of a service.
    Systemd,
}

impl Format {
    /// As the command line calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Supervisord => "supervisord",
            Self::Procfile => "procfile",
            Self::Pm2 => "pm2",
            Self::Compose => "process-compose",
            Self::Systemd => "systemd",
        }
    }
}

/// Where a text comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The file as people named it.
    pub file: String,
    /// The folder it is in, absolute.
    pub folder: PathBuf,
    /// A `.env` is beside it.
    pub has_dotenv: bool,
}

/// A configuration, and what is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// With a remark for each of `lost`.
    pub toml: String,
    /// In the order of the file.
    pub lost: Vec<Lost>,
    /// How many programs there are.
    pub programs: usize,
}

/// Something that could not be carried over, or means something else here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// From 1; 0: it stands nowhere.
    pub line: usize,
    /// Which program, if it is about one.
    pub program: Option<String>,
    /// What, and what to do about it.
    pub what: String,
}

/// What the file is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refused {
    /// The file as people named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// `file:line: what is wrong`.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// A fault at a line, before it is known in which file.
type Faulty = (usize, String);

/// Reads `text` as `format` and writes it as ours.
///
/// # Errors
/// It is no such file.
pub fn import(format: Format, origin: &Origin, text: &str) -> Result<Imported, Refused> {
    let draft = match format {
        Format::Supervisord => supervisord::read(text, &origin.folder),
        Format::Procfile => procfile::read(text, origin.has_dotenv),
        Format::Pm2 => pm2::read(text),
        Format::Compose => compose::read(text, origin.has_dotenv),
        Format::Systemd => systemd::read(text, &origin.file),
    };
    let refused = |(line, what)| Refused {
        file: origin.file.clone(),
        line,
        what,
    };
    let draft = draft.map_err(refused)?;
    if draft.is_empty() {
        return Err(refused((
            1,
            format!("no program is in it; is it a {} file?", format.as_str()),
        )));
    }
    Ok(draft.finish(format.as_str(), &origin.file))
}
