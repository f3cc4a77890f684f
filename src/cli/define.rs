//! `add`, `edit`, `remove`, `history`, `rollback`: definitions of programs, a file each in `programs.d`. Everything is
//! checked before it is written, and then taken up by a reload.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::{AddArgs, HistoryArgs, NamedArgs, ReloadArgs, RollbackArgs};
use super::connect::Place;
use super::format::when;
use super::output::{Failure, Out, chain, complain, complain_plainly};
use super::reload;
use crate::app::foreground;
use crate::clock::wall;
use crate::config::Faults;
use crate::config::definition::{self, Defined};
use crate::config::versions::{self, Version, VersionError};

/// The configuration, and what is done to it.
struct Desk<'p> {
    place: &'p Place,
    main: PathBuf,
}

impl From<VersionError> for Failure {
    fn from(error: VersionError) -> Self {
        Self::Failed(chain(&error))
    }
}

/// `jikimi add`.
pub fn add(place: &Place, asked: &AddArgs, out: &mut Out) -> Result<(), Failure> {
    let desk = Desk::new(place)?;
    if let Some(defined) = desk.find(&asked.name) {
        return Err(Failure::Failed(format!(
            "{} is defined already, at {}; `jikimi edit {}` changes it",
            asked.name, defined.place, asked.name
        )));
    }
    let file = desk.file_of(&asked.name)?;
    let text = definition::text_of(&asked.name, &asked.command, &keys(place, asked)?);
    desk.check(&file, Some(&text))?;
    versions::write(&file, &text)?;
    out.line(&format!("{} is defined in {}", asked.name, file.display()))?;
    desk.take_up(asked.no_reload, out)
}

/// The keys beside the command, each with its value as TOML.
fn keys(place: &Place, asked: &AddArgs) -> Result<Vec<(String, String)>, Failure> {
    let list = |words: &[String]| {
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        format!("[{}]", words.join(", "))
    };
    let mut keys = Vec::new();
    // Relative to where the person is; in the file it would be relative to that.
    let directory = asked.directory.as_deref().unwrap_or(Path::new("."));
    let directory = place.env.absolute(directory);
    keys.push(("directory".to_owned(), quoted(&directory.to_string_lossy())));
    if let Some(restart) = &asked.restart {
        keys.push(("restart".to_owned(), quoted(restart)));
    }
    if let Some(instances) = asked.instances {
        keys.push(("instances".to_owned(), instances.to_string()));
    }
    if asked.no_autostart {
        keys.push(("autostart".to_owned(), "false".to_owned()));
    }
    if !asked.depends_on.is_empty() {
        keys.push(("depends_on".to_owned(), list(&asked.depends_on)));
    }
    if !asked.tags.is_empty() {
        keys.push(("tags".to_owned(), list(&asked.tags)));
    }
    for word in &asked.environment {
        let (name, value) = split(word)?;
        keys.push((format!("environment.{}", quoted(name)), quoted(value)));
    }
    for word in &asked.set {
        let (key, value) = split(word)?;
        keys.push((key.to_owned(), definition::value_of(value)));
    }
    Ok(keys)
}

fn quoted(text: &str) -> String {
    // `${` in what a person types on the command line is meant as it is: the shell has filled in already.
    definition::quoted(&text.replace("${", "$${"))
}

fn split(word: &str) -> Result<(&str, &str), Failure> {
    word.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| Failure::Usage(format!("write NAME=VALUE in place of {word}")))
}

/// `jikimi edit`.
pub fn edit(place: &Place, asked: &NamedArgs, out: &mut Out) -> Result<(), Failure> {
    let desk = Desk::new(place)?;
    let defined = desk.known(&asked.name)?;
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| place.env.get(name).filter(|v| !v.is_empty()))
        .and_then(|name| name.to_str())
        .unwrap_or("vi")
        .to_owned();
    let before = read(&defined.file)?;
    let draft = Draft::of(&before)?;
    let ended = foreground::run_on(&editor, &draft.0);
    let ended = ended.map_err(|e| Failure::Failed(format!("{editor} cannot be started: {e}")))?;
    if !ended.success() {
        return Err(Failure::Failed(format!(
            "{editor} ended with {ended}: nothing was changed"
        )));
    }
    let after = read(&draft.0)?;
    if after == before {
        return out.line("nothing was changed");
    }
    if let Err(failure) = desk.check(&defined.file, Some(&after)) {
        let kept = draft.keep();
        complain(&format!("what was written is kept as {}", kept.display()));
        return Err(failure);
    }
    if read(&defined.file)? != before {
        let kept = draft.keep();
        return Err(Failure::Failed(format!(
            "{} was changed by somebody else meanwhile; what was written is kept as {}",
            defined.file.display(),
            kept.display()
        )));
    }
    versions::write(&defined.file, &after)?;
    out.line(&format!("{} is changed", defined.file.display()))?;
    desk.take_up(asked.no_reload, out)
}

/// A text in a file of its own, for an editor; gone at the end unless it is kept.
struct Draft(PathBuf);

impl Draft {
    fn of(text: &str) -> Result<Self, Failure> {
        let name = format!("jikimi-{}-{}.toml", std::process::id(), wall().millis());
        let draft = Self(std::env::temp_dir().join(name));
        versions::write(&draft.0, text)?;
        Ok(draft)
    }

    fn keep(self) -> PathBuf {
        let path = self.0.clone();
        std::mem::forget(self);
        path
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file)
        .map_err(|e| Failure::Failed(format!("{} cannot be read: {e}", file.display())))
}

/// `jikimi remove`.
pub fn remove(place: &Place, asked: &NamedArgs, out: &mut Out) -> Result<(), Failure> {
    let desk = Desk::new(place)?;
    let defined = desk.known(&asked.name)?;
    if !defined.is_alone {
        return Err(Failure::Failed(format!(
            "{} stands at {} beside other things; take it out there (`jikimi edit {}`)",
            asked.name, defined.place, asked.name
        )));
    }
    desk.check(&defined.file, None)?;
    versions::remove(&defined.file)?;
    out.line(&format!(
        "{} is removed; `jikimi rollback {}` brings it back",
        asked.name, asked.name
    ))?;
    desk.take_up(asked.no_reload, out)
}

/// `jikimi history`.
pub fn history(place: &Place, asked: &HistoryArgs, out: &mut Out) -> Result<(), Failure> {
    let desk = Desk::new(place)?;
    let (file, all) = desk.versions(&asked.name)?;
    if asked.json {
        let rows: Result<Vec<_>, VersionError> = all
            .iter()
            .map(|v| {
                Ok(json!({"version": v.number, "replaced_at": v.replaced_at, "text": v.text()?}))
            })
            .collect();
        return out.line(&serde_json::Value::from(rows?).to_string());
    }
    let now = wall();
    for version in &all {
        let (number, at) = (version.number, when(version.replaced_at, now));
        let lines = version.text().map_or_else(
            |error| chain(&error),
            |text| format!("{} lines", text.lines().count()),
        );
        out.line(&format!("{number}  until {at}  {lines}"))?;
    }
    let state = if file.exists() { "now" } else { "removed" };
    out.line(&format!("{state}  {}", file.display()))
}

/// `jikimi rollback`.
pub fn rollback(place: &Place, asked: &RollbackArgs, out: &mut Out) -> Result<(), Failure> {
    let desk = Desk::new(place)?;
    let (file, all) = desk.versions(&asked.name)?;
    let wanted = match asked.version {
        Some(number) => all.iter().find(|version| version.number == number),
        None => all.last(),
    };
    let Some(version) = wanted else {
        return Err(Failure::Failed(format!(
            "there is no such version of {}; `jikimi history {}` shows them",
            asked.name, asked.name
        )));
    };
    let text = version.text()?;
    desk.check(&file, Some(&text))?;
    versions::write(&file, &text)?;
    out.line(&format!(
        "{} is as it was in version {}",
        file.display(),
        version.number
    ))?;
    desk.take_up(asked.no_reload, out)
}

impl<'p> Desk<'p> {
    fn new(place: &'p Place) -> Result<Self, Failure> {
        let main = place.find_config()?;
        Ok(Self { place, main })
    }

    fn find(&self, name: &str) -> Option<Defined> {
        definition::find(&self.main, &self.place.env, name)
    }

    fn known(&self, name: &str) -> Result<Defined, Failure> {
        self.find(name).ok_or_else(|| {
            Failure::Failed(format!(
                "{} defines no program called {name}",
                self.main.display()
            ))
        })
    }

    fn file_of(&self, name: &str) -> Result<PathBuf, Failure> {
        if name.is_empty() || name.starts_with('.') || name.contains('/') {
            return Err(Failure::Usage(format!(
                "{name:?} cannot be a program's name"
            )));
        }
        Ok(definition::file_of(&self.main, &self.place.env, name))
    }

    /// Nothing is written that would be refused, or not be read.
    fn check(&self, file: &Path, text: Option<&str>) -> Result<(), Failure> {
        let checked = definition::check_with((&self.main, &self.place.env), file, text);
        let loaded = checked.map_err(|faults: Faults| {
            complain_plainly(&faults.to_string());
            Failure::Config("it would not be valid, so nothing was done".to_owned())
        })?;
        if text.is_some() && !loaded.files.iter().any(|known| known == file) {
            return Err(Failure::Config(format!(
                "{} would not be read: write include = [\"{}/*.toml\"] at the top of {}",
                file.display(),
                definition::FOLDER,
                self.main.display()
            )));
        }
        Ok(())
    }

    /// The file that `name` stands in, or stood in, with its versions, oldest first.
    fn versions(&self, name: &str) -> Result<(PathBuf, Vec<Version>), Failure> {
        let own = self.file_of(name)?;
        let file = match self.find(name) {
            Some(defined) => defined.file,
            None if own.exists() || !versions::versions(&own)?.is_empty() => own,
            None => removed(&own, name).unwrap_or(own),
        };
        let all = versions::versions(&file)?;
        if all.is_empty() && !file.exists() {
            return Err(Failure::Failed(format!("nothing is known of {name}")));
        }
        Ok((file, all))
    }

    fn take_up(&self, is_not_wanted: bool, out: &mut Out) -> Result<(), Failure> {
        if is_not_wanted {
            return Ok(());
        }
        match reload::reload(self.place, ReloadArgs::default(), out) {
            Err(Failure::NotRunning(_)) => {
                complain("no supervisor runs; it takes effect with the next `jikimi run`");
                Ok(())
            }
            other => other,
        }
    }
}

/// A file of another name in which `name` stood last.
fn removed(own: &Path, name: &str) -> Option<PathBuf> {
    let files = versions::files_with_versions(own.parent()?);
    files.into_iter().find(|file| {
        let newest = versions::versions(file)
            .ok()
            .and_then(|all| all.last().cloned());
        let text = newest
            .and_then(|newest| newest.text().ok())
            .unwrap_or_default();
        definition::defines(&text, name)
    })
}
