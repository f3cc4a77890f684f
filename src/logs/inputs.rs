//! Named pipes for the standard input of runs, beside those of their output: making them, opening one again,
//! removing them. Never reads or writes one.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

use super::pipes::{PIPES, PipeDir};
use crate::ids::RunId;
use crate::model::name::InstanceName;

/// The end of such a pipe's name.
const SUFFIX: &str = ".in";

/// Both ends of the pipe a run reads its standard input from.
#[derive(Debug)]
pub struct RunInput {
    /// Becomes its standard input. Its own open, read-write: a supervisor that dies is no end of its input.
    pub stdin: OwnedFd,
    /// Ours, which never waits.
    pub writer: OwnedFd,
    /// Where the pipe is.
    pub path: PathBuf,
}

fn name(instance: &InstanceName, run: RunId) -> String {
    format!("{run}.{instance}{SUFFIX}")
}

/// Where the pipe of a run is, if it has one.
pub(super) fn path(state_dir: &Path, instance: &InstanceName, run: RunId) -> PathBuf {
    state_dir.join(PIPES).join(name(instance, run))
}

impl PipeDir {
    /// Makes the pipe of a run.
    pub(super) fn make_input(&self, instance: &InstanceName, run: RunId) -> io::Result<RunInput> {
        let name = name(instance, run);
        let stdin = self.make_named(&name)?;
        match self.open_writer(&name) {
            Ok(writer) => Ok(RunInput {
                stdin,
                writer,
                path: self.path_of_name(&name),
            }),
            Err(error) => {
                self.unlink_name(&name);
                Err(error.into())
            }
        }
    }

    /// Our end of the pipe of a run that an earlier supervisor started; an error when nobody reads it.
    pub(super) fn open_input(&self, instance: &InstanceName, run: RunId) -> io::Result<OwnedFd> {
        let writer = self.open_writer(&name(instance, run))?;
        // What somebody put into its place is not typed into.
        if FileType::from_raw_mode(fstat(&writer)?.st_mode) != FileType::Fifo {
            return Err(Errno::NXIO.into());
        }
        Ok(writer)
    }

    /// The run is over.
    pub(super) fn unlink_input(&self, instance: &InstanceName, run: RunId) {
        self.unlink_name(&name(instance, run));
    }

    /// Removes those that nobody reads: what an earlier supervisor's runs left.
    pub(super) fn sweep_inputs(&self) {
        for name in self.input_names() {
            if matches!(self.open_writer(&name), Err(Errno::NXIO)) {
                self.unlink_name(&name);
            }
        }
    }

    /// The end: none of them has a reader of ours.
    pub(super) fn unlink_inputs(&self) {
        for name in self.input_names() {
            self.unlink_name(&name);
        }
    }

    fn input_names(&self) -> Vec<String> {
        let names = self.names().unwrap_or_else(|error| {
            log::warn!("cannot look for pipes: {error}");
            Vec::new()
        });
        names.into_iter().filter(|n| n.ends_with(SUFFIX)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_opened_again_by_its_name_while_somebody_reads_it_and_swept_when_nobody_does() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pipes = PipeDir::open(folder.path()).expect("our own folder");
        let (web, run) = (InstanceName::indexed("web", 3), RunId::new());
        let made = pipes.make_input(&web, run).expect("a pipe");
        assert_eq!(rustix::io::write(&made.writer, b"a\n"), Ok(2));
        // The supervisor dies: its input has no end, and the next one writes on.
        drop(made.writer);
        let again = pipes.open_input(&web, run).expect("it is read");
        assert_eq!(rustix::io::write(&again, b"b\n"), Ok(2));
        let mut read = [0; 8];
        assert_eq!(rustix::io::read(&made.stdin, &mut read), Ok(4));
        assert_eq!(&read[..4], b"a\nb\n");
        pipes.sweep_inputs();
        assert!(made.path.exists(), "it is read");
        drop((made.stdin, again));
        assert!(pipes.open_input(&web, run).is_err(), "nobody reads it");
        pipes.sweep_inputs();
        assert!(!made.path.exists(), "nobody reads it");
    }

    #[test]
    fn it_is_no_pipe_of_output_and_takes_no_more_than_it_holds() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pipes = PipeDir::open(folder.path()).expect("our own folder");
        let (web, run) = (InstanceName::single("web"), RunId::new());
        let made = pipes.make_input(&web, run).expect("a pipe");
        assert_eq!(pipes.list().expect("our own folder"), []);
        let line = [b'x'; rustix::pipe::PIPE_BUF];
        let mut taken = 0;
        let end = loop {
            match rustix::io::write(&made.writer, &line) {
                Ok(n) => taken += n,
                Err(error) => break error,
            }
        };
        assert_eq!(end, Errno::AGAIN);
        assert!(taken <= crate::limits::PIPE_BYTES, "{taken}");
        pipes.unlink_inputs();
        assert!(!made.path.exists());
    }
}
