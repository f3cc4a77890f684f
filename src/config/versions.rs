//! Writing a file of the configuration, and what stood in it before: each version packed, in a hidden folder beside
//! it, kept by age and number. Never in the database: a definition outlives the history of its runs.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::clock::{self, Wall};
use crate::limits;

/// The hidden folder of versions, beside the files they are of.
const FOLDER: &str = ".versions";
const ENDING: &str = ".zst";

/// A file cannot be read or written; what was there is as it was.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}", path.display())]
pub struct VersionError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

fn fail(path: &Path) -> impl FnOnce(io::Error) -> VersionError {
    let path = path.to_path_buf();
    move |source| VersionError { path, source }
}

/// What stood in a file until some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Counted from 1, the oldest first; a number is not given twice.
    pub number: u64,
    /// When something else took its place.
    pub replaced_at: Wall,
    path: PathBuf,
}

impl Version {
    /// What stood there.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn text(&self) -> Result<String, VersionError> {
        let file = File::open(&self.path).map_err(fail(&self.path))?;
        let bytes = zstd::decode_all(file).map_err(fail(&self.path))?;
        String::from_utf8(bytes)
            .map_err(|_| fail(&self.path)(io::Error::other("it is no text any more")))
    }
}

/// The versions of `file`, oldest first. The file itself need not be there.
///
/// # Errors
/// Their folder is there and cannot be read.
pub fn versions(file: &Path) -> Result<Vec<Version>, VersionError> {
    let folder = folder_of(file);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(&folder)(error)),
    };
    let mut found: Vec<Version> = entries.flatten().filter_map(|e| of(e.path())).collect();
    found.sort_by_key(|version| version.number);
    Ok(found)
}

/// The files in `folder` of which there are versions, also those that are gone.
#[must_use]
pub fn files_with_versions(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join(FOLDER)).into_iter().flatten();
    let names = entries
        .flatten()
        .map(|entry| folder.join(entry.file_name()));
    let mut files: Vec<PathBuf> = names.take(limits::CONFIG_FILES_MAX).collect();
    files.sort();
    files
}

/// Puts `text` into `file`, whole or not at all, and keeps what stood there. Writes nothing when it stands there
/// already; says whether it wrote.
///
/// # Errors
/// It cannot be written; then the file is as it was.
pub fn write(file: &Path, text: &str) -> Result<bool, VersionError> {
    // Through a link: the link stays, and what it leads to is changed.
    let file = &fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let before = read(file)?;
    if before.as_deref() == Some(text) {
        return Ok(false);
    }
    if let Some(before) = &before {
        keep(file, before)?;
    }
    let mode = fs::metadata(file).map_or(0o600, |m| m.permissions().mode() & 0o777);
    put(file, text.as_bytes(), mode)?;
    Ok(true)
}

/// Takes `file` away and keeps what stood in it.
///
/// # Errors
/// It is not there or cannot be removed.
pub fn remove(file: &Path) -> Result<(), VersionError> {
    let before = read(file)?.ok_or_else(|| fail(file)(io::ErrorKind::NotFound.into()))?;
    keep(file, &before)?;
    fs::remove_file(file).map_err(fail(file))?;
    sync(file)
}

fn read(file: &Path) -> Result<Option<String>, VersionError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fail(file)(error)),
    }
}

fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().unwrap_or(Path::new("."));
    folder
        .join(FOLDER)
        .join(file.file_name().unwrap_or_default())
}

/// `000003-1700000000123.zst`: a number, and the time in milliseconds.
fn of(path: PathBuf) -> Option<Version> {
    let (number, time) = path
        .file_name()?
        .to_str()?
        .strip_suffix(ENDING)?
        .split_once('-')?;
    Some(Version {
        number: number.parse().ok()?,
        replaced_at: Wall::from_millis(time.parse().ok()?),
        path,
    })
}

/// Only what is not the newest version already.
fn keep(file: &Path, text: &str) -> Result<(), VersionError> {
    let known = versions(file)?;
    let newest = known.last();
    if newest.is_some_and(|newest| newest.text().is_ok_and(|kept| kept == text)) {
        return Ok(());
    }
    let number = newest.map_or(1, |newest| newest.number + 1);
    let now = clock::wall();
    let path = folder_of(file).join(format!("{number:06}-{}{ENDING}", now.millis()));
    let packed = zstd::encode_all(text.as_bytes(), limits::BACKUP_LEVEL).map_err(fail(&path))?;
    put(&path, &packed, 0o600)?;
    for old in outlived(&known, now) {
        fs::remove_file(&old.path).map_err(fail(&old.path))?;
    }
    Ok(())
}

/// Of the versions before the one that was just added: those too many, and those too old.
fn outlived(before: &[Version], now: Wall) -> impl Iterator<Item = &Version> {
    let most = limits::DEFINITION_VERSIONS - 1;
    let too_many = before.len().saturating_sub(most);
    before.iter().enumerate().filter_map(move |(index, old)| {
        let is_old = now.since(old.replaced_at) > limits::DEFINITION_AGE;
        (index < too_many || is_old).then_some(old)
    })
}

/// Beside it, then renamed, both synced: a reader and a loss of power see the old text or the new one.
fn put(file: &Path, bytes: &[u8], mode: u32) -> Result<(), VersionError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(fail(folder))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}.part", std::process::id()));
    let written = (|| {
        let mut part = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        part.set_permissions(fs::Permissions::from_mode(mode))?;
        part.write_all(bytes)?;
        part.sync_all()?;
        fs::rename(&beside, file)
    })();
    if let Err(error) = written {
        // What it was to become is as it was.
        let _ = fs::remove_file(&beside);
        return Err(fail(file)(error));
    }
    sync(file)
}

fn sync(file: &Path) -> Result<(), VersionError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(fail(folder))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_stood_there_is_kept_once_and_no_number_is_given_twice() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("programs.d/web.toml");
        assert!(write(&file, "one").expect("written"));
        assert!(!write(&file, "one").expect("nothing to write"));
        assert_eq!(versions(&file).expect("none"), []);
        assert!(write(&file, "two").expect("written"));
        assert!(write(&file, "three").expect("written"));
        let texts = |file: &Path| -> Vec<(u64, String)> {
            let all = versions(file).expect("read");
            all.iter()
                .map(|v| (v.number, v.text().expect("sound")))
                .collect()
        };
        let kept = [(1, "one".to_owned()), (2, "two".to_owned())];
        assert_eq!(texts(&file), kept);
        remove(&file).expect("removed");
        assert!(!file.exists());
        assert_eq!(texts(&file).last(), Some(&(3, "three".to_owned())));
        write(&file, "three").expect("written again");
        remove(&file).expect("removed again");
        assert_eq!(texts(&file).len(), 3, "the newest version says it already");
        let folder = file.parent().expect("a folder");
        assert_eq!(files_with_versions(folder), std::slice::from_ref(&file));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&folder_of(&file)), 0o700);
        assert_eq!(mode(&versions(&file).expect("read")[0].path), 0o600);
        let parts = fs::read_dir(folder).expect("there").flatten().count();
        assert_eq!(parts, 1, "only the folder of versions is left");
    }

    #[test]
    fn versions_leave_by_number_and_by_age() {
        let now = Wall::from_millis(1_700_000_000_000);
        let version = |number: u64, age: Duration| Version {
            number,
            replaced_at: Wall::from_millis(
                now.millis() - i64::try_from(age.as_millis()).expect("short"),
            ),
            path: PathBuf::new(),
        };
        let most = u64::try_from(limits::DEFINITION_VERSIONS).expect("few");
        let many: Vec<Version> = (1..=most + 1).map(|n| version(n, Duration::ZERO)).collect();
        let gone: Vec<u64> = outlived(&many, now).map(|v| v.number).collect();
        assert_eq!(gone, [1, 2]);
        let old = [
            version(1, limits::DEFINITION_AGE + Duration::from_secs(1)),
            version(2, Duration::ZERO),
        ];
        let gone: Vec<u64> = outlived(&old, now).map(|v| v.number).collect();
        assert_eq!(gone, [1]);
    }
}
