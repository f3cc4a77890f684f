//! `upgrade`: the running supervisor becomes the version that this command is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crossbeam::channel::never;

use super::connect::Place;
use super::output::{Failure, Out, chain, complain};
use crate::clock::{self, Wall};
use crate::config::{self, Env};
use crate::control::api::{ShutdownAnswer, Status};
use crate::control::client::{Client, Patience};
use crate::control::http::percent_encode;
use crate::limits;
use crate::store::{OpenError, Store};
use crate::text;

/// Asks the supervisor to become this binary, and waits until it answers as that.
pub fn upgrade(place: &Place, out: &mut Out) -> Result<(), Failure> {
    let client = place.client()?;
    let before: Status = client.get("/api/v1/status")?;
    let pid = before.supervisor.pid;
    check(Path::new(&before.supervisor.config), pid)?;
    let file = std::env::current_exe()
        .map_err(|e| Failure::Failed(format!("this binary has no path: {}", chain(&e))))?;
    let asked = format!(
        "/api/v1/upgrade?binary={}",
        percent_encode(&file.to_string_lossy())
    );
    let _: ShutdownAnswer = client.post(&asked, Patience::Short)?;
    complain(&format!(
        "the supervisor (pid {pid}) becomes {}; its programs run on",
        file.display()
    ));
    let after = wait_for_another(&client, before.supervisor.started_at)?;
    out.line(&format!(
        "{} became {} (pid {})",
        before.supervisor.version, after.supervisor.version, after.supervisor.pid
    ))
}

/// Whether this version can do the work of the supervisor `pid`: it must accept its configuration, read with its
/// variables, and know its database.
fn check(path: &Path, pid: u32) -> Result<(), Failure> {
    let env = surroundings(pid)?;
    let loaded = config::load(path, &env).map_err(|faults| {
        complain(&faults.to_string());
        Failure::Config("this version refuses the configuration; nothing was changed".to_owned())
    })?;
    let state_dir = &loaded.settings.supervisor.state_dir;
    match Store::open_read_only(state_dir) {
        // An older one is brought up to date at the start.
        Ok(_) | Err(OpenError::Older { .. }) => Ok(()),
        Err(error) => Err(Failure::Failed(format!(
            "{}; nothing was changed",
            chain(&error)
        ))),
    }
}

/// The variables and the directory of the supervisor, which are not those of this command.
fn surroundings(pid: u32) -> Result<Env, Failure> {
    use std::os::unix::ffi::OsStringExt as _;
    let fail = |e: std::io::Error| {
        Failure::Failed(format!(
            "cannot read the variables of pid {pid}: {}",
            chain(&e)
        ))
    };
    let environ = crate::procfs::environ(pid).map_err(fail)?;
    let variables: BTreeMap<OsString, OsString> = environ
        .into_iter()
        .map(|(name, value)| (OsString::from_vec(name), OsString::from_vec(value)))
        .collect();
    let directory: PathBuf = std::fs::read_link(format!("/proc/{pid}/cwd")).map_err(fail)?;
    let mut env = Env::capture();
    let exe = env
        .variables
        .remove(std::ffi::OsStr::new(config::EXE_VARIABLE));
    env.variables = variables;
    if let Some(exe) = exe {
        env.variables.insert(config::EXE_VARIABLE.into(), exe);
    }
    env.directory = directory;
    Ok(env)
}

/// The supervisor that began after the one of `started_at`.
fn wait_for_another(client: &Client, started_at: Wall) -> Result<Status, Failure> {
    let until = clock::mono() + limits::UPGRADE_WAIT;
    loop {
        // While it becomes another there is no socket.
        match client.get::<Status>("/api/v1/status") {
            Ok(status) if status.supervisor.started_at != started_at => return Ok(status),
            Ok(_) | Err(_) if clock::mono() < until => {
                let _ = never::<()>().recv_timeout(limits::UPGRADE_LOOK);
            }
            Ok(_) => return Err(Failure::Failed("it did not become another".to_owned())),
            Err(error) => {
                return Err(Failure::Failed(format!(
                    "the new version did not answer within {}: {}; the programs run on, and `jikimi run` takes \
                     them over",
                    text::duration(limits::UPGRADE_WAIT),
                    chain(&error)
                )));
            }
        }
    }
}
