//! Pseudo-terminals of runs: making them, and the masters that there are. A master is read by the pump alone; it is
//! kept open by the holder as well, so that the end of a supervisor hangs up nothing.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    InputModes, OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize,
};

use super::RunReaders;
use super::pipes::{PIPES, PipeDir, PipeId};
use crate::ids::RunId;
use crate::limits;
use crate::model::log::Stream;
use crate::model::name::InstanceName;

/// A run's terminal as made.
#[derive(Debug)]
pub struct RunTerminal {
    /// Becomes its three standard streams. Nobody else may keep it: with the last one its output ends.
    pub slave: OwnedFd,
    /// For typing; writing to it never waits.
    pub writer: OwnedFd,
    /// Where the pipe is that its output goes through.
    pub path: PathBuf,
}

/// The masters of the runs there are, each under the name of the pipe that its output goes to. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Masters(Arc<Mutex<BTreeMap<PipeId, Arc<OwnedFd>>>>);

impl Masters {
    pub(super) fn holding(masters: impl IntoIterator<Item = (PipeId, OwnedFd)>) -> Self {
        let all = Self::default();
        for (id, master) in masters {
            all.insert(id, master);
        }
        all
    }

    pub(super) fn insert(&self, id: PipeId, master: OwnedFd) {
        self.0.lock().insert(id, Arc::new(master));
    }

    pub(super) fn get(&self, id: &PipeId) -> Option<Arc<OwnedFd>> {
        self.0.lock().get(id).cloned()
    }

    pub(super) fn remove(&self, id: &PipeId) {
        // Closed after the lock: it hangs up.
        let removed = self.0.lock().remove(id);
        drop(removed);
    }

    pub(super) fn remove_run(&self, run: RunId) {
        let mut masters = self.0.lock();
        let (over, left) = std::mem::take(&mut *masters)
            .into_iter()
            .partition(|(id, _)| id.run == run);
        *masters = left;
        drop(masters);
        drop::<BTreeMap<_, _>>(over);
    }

    /// The master of a run, for typing.
    pub(super) fn writer(&self, instance: &InstanceName, run: RunId) -> io::Result<OwnedFd> {
        let master = self.get(&id_of(instance, run));
        let master = master.ok_or(io::ErrorKind::NotFound)?;
        Ok(rustix::io::fcntl_dupfd_cloexec(&*master, 3)?)
    }
}

/// Whether the run has a terminal, as the files say: a pipe of one stream, and none of the other.
pub(super) fn is_terminals(state_dir: &Path, instance: &InstanceName, run: RunId) -> bool {
    let out = id_of(instance, run);
    let err = PipeId {
        stream: Stream::Stderr,
        ..out.clone()
    };
    let is_there = |id: &PipeId| state_dir.join(PIPES).join(id.to_string()).exists();
    is_there(&out) && !is_there(&err)
}

fn id_of(instance: &InstanceName, run: RunId) -> PipeId {
    PipeId {
        run,
        instance: instance.clone(),
        stream: Stream::Stdout,
    }
}

/// Makes a terminal, and the pipe that its output goes to.
pub(super) fn make(
    (pipes, masters): (&PipeDir, &Masters),
    instance: &InstanceName,
    run: RunId,
) -> io::Result<(RunTerminal, RunReaders)> {
    let id = id_of(instance, run);
    let (master, slave) = open()?;
    let writer = rustix::io::fcntl_dupfd_cloexec(&master, 3)?;
    let made = pipes.make(id.clone())?;
    masters.insert(id, master);
    let terminal = RunTerminal {
        slave,
        writer,
        path: pipes.path_of(&made.id),
    };
    Ok((terminal, RunReaders(vec![(made.id, made.reader)])))
}

/// Master and slave. By the master alone, not by a name: `/dev/pts` may be another one than ours.
fn open() -> io::Result<(OwnedFd, OwnedFd)> {
    // Ours it is never: a supervisor may lead a session without a terminal, and would take it for its own.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    rustix::io::ioctl_fionbio(&master, true)?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    let mut modes = tcgetattr(&slave)?;
    // Lines end in the files as those of other programs do.
    modes.output_modes.remove(OutputModes::ONLCR);
    modes.input_modes.insert(InputModes::IUTF8);
    tcsetattr(&slave, OptionalActions::Now, &modes)?;
    let (ws_row, ws_col) = limits::TERMINAL_SIZE;
    let size = Winsize {
        ws_row,
        ws_col,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&slave, size)?;
    Ok((master, slave))
}
