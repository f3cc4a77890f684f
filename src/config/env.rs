//! The captured surroundings (variables, working directory, host name) and `${NAME}` in values. Nothing
//! else in this room asks the operating system about the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::fault::{Wrong, shown, wrong};

/// The variable that holds the path of our own binary while values are expanded, so that a program can
/// be one of our own commands. Like every `JIKIMI_*` variable it is not handed to programs.
pub const EXE_VARIABLE: &str = "JIKIMI_EXE";

/// What a configuration depends on besides its files. Tests make their own.
#[derive(Clone, Default)]
pub struct Env {
    /// Environment variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// The working directory; relative paths on the command line start here.
    pub directory: PathBuf,
    /// The default of `supervisor.name`.
    pub host_name: String,
}

impl Env {
    /// The surroundings of this process, and [`EXE_VARIABLE`].
    #[must_use]
    pub fn capture() -> Self {
        let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        if let Ok(exe) = std::env::current_exe() {
            variables.insert(EXE_VARIABLE.into(), exe.into());
        }
        Self {
            variables,
            // A working directory that was deleted has no name; opening `./file` then says so.
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            host_name: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
        }
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
    }

    /// `path` made absolute from the working directory, with `.` and `..` taken out.
    #[must_use]
    pub fn absolute(&self, path: &Path) -> PathBuf {
        absolute_in(&self.directory, path)
    }
}

/// Values may be secrets: only the names are shown.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("variables", &self.variables.keys())
            .field("directory", &self.directory)
            .field("host_name", &self.host_name)
            .finish()
    }
}

/// `path` as seen from `folder`, with `.` and `..` taken out. A `..` after a symbolic link stays: the
/// kernel goes to the parent of what the link points to, which no text can know.
pub(super) fn absolute_in(folder: &Path, path: &Path) -> PathBuf {
    use std::path::Component;
    let mut clean = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if ends_in_plain_folder(&clean) => {
                clean.pop();
            }
            Component::ParentDir if clean == Path::new("/") => {}
            Component::ParentDir
            | Component::Prefix(_)
            | Component::RootDir
            | Component::Normal(_) => clean.push(part),
        }
    }
    clean
}

fn ends_in_plain_folder(path: &Path) -> bool {
    matches!(
        path.components().next_back(),
        Some(std::path::Component::Normal(_))
    ) && !path.is_symlink()
}

/// A value with its variables filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expanded {
    /// The result.
    pub(super) text: String,
    /// The variables it was made from, set or not.
    pub(super) variables: BTreeSet<String>,
}

/// Fills in `${NAME}` and `${NAME:-default}`; `$${` stands for `${`. An empty variable counts as unset where
/// there is a default, as in a shell.
pub(super) fn expand(raw: &str, env: &Env) -> Result<Expanded, Wrong> {
    let mut out = Expanded {
        text: String::with_capacity(raw.len()),
        variables: BTreeSet::new(),
    };
    let mut rest = raw;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out.text.push_str(before);
            out.text.push_str("${");
            rest = &from[2..];
            continue;
        }
        out.text.push_str(before);
        let Some(end) = from.find('}') else {
            return Err(wrong(
                "a ${ is not closed",
                "write ${NAME}, or $${ for a plain ${",
            ));
        };
        let inside = &from[2..end];
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        out.text.push_str(&value_of(name, default, env)?);
        out.variables.insert(name.to_owned());
        rest = &from[end + 1..];
    }
    out.text.push_str(rest);
    Ok(out)
}

fn value_of(name: &str, default: Option<&str>, env: &Env) -> Result<String, Wrong> {
    if !is_variable_name(name) {
        return Err(wrong(
            format!("{} is no name of a variable", shown(name)),
            "write ${NAME} or ${NAME:-default}, or $${ for a plain ${",
        ));
    }
    let value = env.get(name).filter(|v| default.is_none() || !v.is_empty());
    match (value, default) {
        (Some(value), _) => value.to_str().map(str::to_owned).ok_or_else(|| {
            wrong(
                format!("the environment variable {name} is not UTF-8 text"),
                "set it to text",
            )
        }),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(wrong(
            format!("the environment variable {name} is not set"),
            format!(
                "set it, or write ${{{name}:-default}}, or $${{{name}}} for a plain ${{{name}}}"
            ),
        )),
    }
}

/// `[A-Za-z_][A-Za-z0-9_]*`.
pub(super) fn is_variable_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> Env {
        let variables = [("HOST", "box"), ("EMPTY", "")];
        Env {
            variables: variables
                .iter()
                .map(|(k, v)| (OsString::from(k), OsString::from(v)))
                .collect(),
            ..Env::default()
        }
    }

    #[test]
    fn variables_are_filled_in_and_defaults_stand_for_unset_and_empty_ones() {
        for (raw, expanded) in [
            ("plain $HOME } text", "plain $HOME } text"),
            ("a-${HOST}-b-${HOST}", "a-box-b-box"),
            ("${NONE:-x y}", "x y"),
            ("${EMPTY:-x}|${EMPTY}|${NONE:-}", "x||"),
            ("${HOST:-x}", "box"),
            ("$${HOST} costs 5$", "${HOST} costs 5$"),
            ("지킴이 ${HOST}", "지킴이 box"),
        ] {
            let got = expand(raw, &env()).map(|e| e.text);
            assert_eq!(got.as_deref(), Ok(expanded), "{raw}");
        }
    }

    #[test]
    fn a_missing_variable_and_a_malformed_one_are_told_apart() {
        for (raw, what) in [
            ("${NONE}", "the environment variable NONE is not set"),
            ("${HOST", "a ${ is not closed"),
            ("${}", "\"\" is no name of a variable"),
            ("${HOST%%.*}", "\"HOST%%.*\" is no name of a variable"),
        ] {
            let got = expand(raw, &env()).map_err(|w| w.what);
            assert_eq!(got, Err(what.to_owned()), "{raw}");
        }
    }

    #[test]
    fn the_variables_a_value_came_from_are_known() {
        let got = expand("${HOST}${NONE:-x}$${OTHER}", &env()).map(|e| e.variables);
        assert_eq!(got, Ok(["HOST".to_owned(), "NONE".to_owned()].into()));
    }

    #[test]
    fn paths_lose_their_dots_but_not_behind_a_symbolic_link() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let real = folder.path().join("real/inner");
        std::fs::create_dir_all(&real).expect("folders");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&real, &link).expect("a link");
        let up = Path::new("../x");
        assert_eq!(absolute_in(Path::new("/a/./b"), up), Path::new("/a/x"));
        assert_eq!(
            absolute_in(Path::new("/"), Path::new("../../x")),
            Path::new("/x")
        );
        assert_eq!(absolute_in(&real, up), folder.path().join("real/x"));
        assert_eq!(absolute_in(&link, up), link.join("../x"));
    }

    #[test]
    fn captured_variables_are_not_shown() {
        let shown = format!("{:?}", Env::capture());
        let path = std::env::var("PATH").expect("tests run with a PATH");
        assert!(shown.contains("PATH") && !shown.contains(&path));
        assert!(Env::capture().get(EXE_VARIABLE).is_some());
    }
}
