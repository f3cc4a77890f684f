//! Sockets of the control server: the listener, the connection with deadlines, the peer behind it. Owns
//! nothing of HTTP.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::{ControlError, peer};
use crate::clock::{Mono, mono};
use crate::limits;

/// Where connections come from. A file that is bound is removed when the listener is dropped.
#[derive(Debug)]
pub enum Listener {
    /// A socket file, mode 0600.
    Unix(SocketFile),
    /// A port.
    Tcp(TcpListener),
}

/// A listening socket file and what it takes to know it again.
#[derive(Debug)]
pub struct SocketFile {
    listener: UnixListener,
    path: PathBuf,
    identity: (u64, u64),
}

impl Listener {
    /// Listens on the socket file `path`, which nobody else can open from the moment it exists. A file left by a
    /// supervisor that is gone is replaced.
    ///
    /// # Errors
    /// Somebody answers there, something that is no socket is there, or the folder cannot be written to.
    pub fn unix(path: &Path) -> Result<Self, ControlError> {
        remove_stale(path)?;
        let fault = |source: io::Error| ControlError::Bind {
            at: path.display().to_string(),
            source,
        };
        let listener = bind_private(path).map_err(fault)?;
        let meta = fs::symlink_metadata(path).map_err(fault)?;
        listener.set_nonblocking(true).map_err(fault)?;
        Ok(Self::Unix(SocketFile {
            listener,
            path: path.to_path_buf(),
            identity: (meta.dev(), meta.ino()),
        }))
    }

    /// Listens on `address`.
    pub fn tcp(address: SocketAddr) -> Result<Self, ControlError> {
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(Self::Tcp(listener))
        };
        listen().map_err(|source| ControlError::Bind {
            at: address.to_string(),
            source,
        })
    }

    /// The address of a port; nothing for a socket file.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(listener) => listener.local_addr().ok(),
        }
    }

    /// Makes the socket file again when somebody removed it, as cleaners of temporary folders do.
    ///
    /// # Errors
    /// As [`Listener::unix`].
    pub fn renew_if_removed(&mut self) -> Result<(), ControlError> {
        if let Self::Unix(file) = self
            && fs::symlink_metadata(&file.path).is_err()
        {
            let path = file.path.clone();
            *self = Self::unix(&path)?;
            log::warn!("{} was removed; made again", path.display());
        }
        Ok(())
    }

    /// The next connection, without waiting for one.
    pub fn accept(&self) -> io::Result<Conn> {
        match self {
            Self::Unix(file) => file.listener.accept().map(|(s, _)| Conn::Unix(s)),
            Self::Tcp(listener) => listener.accept().map(|(s, from)| Conn::Tcp(s, from)),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(file) => file.listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        }
    }
}

impl SocketFile {
    fn is_in_place(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Only our own: a later supervisor may have put its socket in this place.
        if self.is_in_place()
            && let Err(error) = fs::remove_file(&self.path)
        {
            log::warn!(
                "the socket {} could not be removed: {error}",
                self.path.display()
            );
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), ControlError> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let at = || path.display().to_string();
    if !meta.file_type().is_socket() {
        return Err(ControlError::NoSocket { at: at() });
    }
    if connect(path, limits::CLIENT_TIMEOUT).is_ok() {
        return Err(ControlError::InUse { at: at() });
    }
    fs::remove_file(path).map_err(|source| ControlError::Bind { at: at(), source })
}

fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let fd = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // Linux makes the file with the mode of the socket's own inode, so there is no moment in which others
    // could connect. A umask would do it too, but it belongs to all threads.
    rustix::fs::fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&fd, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(
        &fd,
        i32::try_from(limits::CONTROL_CONNECTIONS).unwrap_or(i32::MAX),
    )?;
    Ok(UnixListener::from(fd))
}

/// Connects to the socket file `path`, waiting at most `timeout` for a supervisor that is slow to accept.
pub fn connect(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let fd = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let stream = UnixStream::from(fd);
    // connect(2) of a socket file waits as long as a send may when the backlog is full.
    stream.set_write_timeout(Some(timeout))?;
    rustix::net::connect(&stream, &SocketAddrUnix::new(path)?)?;
    Ok(stream)
}

/// One connection. Every read and write has a deadline.
#[derive(Debug)]
pub enum Conn {
    /// From a socket file.
    Unix(UnixStream),
    /// From a port, with the peer's address.
    Tcp(TcpStream, SocketAddr),
}

impl Conn {
    /// Reads what there is into `buffer`, waiting until `deadline` for the first byte.
    pub fn read(&self, buffer: &mut [u8], deadline: Mono) -> io::Result<usize> {
        let patience = Some(remaining(deadline)?);
        match self {
            Self::Unix(s) => s.set_read_timeout(patience)?,
            Self::Tcp(s, _) => s.set_read_timeout(patience)?,
        }
        let read = match self {
            Self::Unix(s) => (&mut &*s).read(buffer),
            Self::Tcp(s, _) => (&mut &*s).read(buffer),
        };
        read.map_err(timed_out)
    }

    /// Writes all of `bytes` before `deadline`.
    pub fn write_all(&self, mut bytes: &[u8], deadline: Mono) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes, deadline) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8], deadline: Mono) -> io::Result<usize> {
        let patience = Some(remaining(deadline)?);
        match self {
            Self::Unix(s) => s.set_write_timeout(patience)?,
            Self::Tcp(s, _) => s.set_write_timeout(patience)?,
        }
        let written = match self {
            Self::Unix(s) => (&mut &*s).write(bytes),
            Self::Tcp(s, _) => (&mut &*s).write(bytes),
        };
        written.map_err(timed_out)
    }

    /// Ends one or both directions; whoever waits on this connection is woken.
    pub fn shutdown(&self, how: Shutdown) {
        // A peer that is gone already makes this fail, which is no news.
        let _ = match self {
            Self::Unix(s) => s.shutdown(how),
            Self::Tcp(s, _) => s.shutdown(how),
        };
    }

    /// The peer has closed both directions: nobody will read an answer.
    pub fn is_abandoned(&self) -> bool {
        let mut fds = [PollFd::new(self, PollFlags::empty())];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&at_once)).is_ok_and(|n| n > 0)
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        match self {
            Self::Unix(s) => peer::credentials(s).map_or(Peer::Unknown, |found| Peer::Process {
                uid: found.uid,
                pid: found.pid,
            }),
            Self::Tcp(_, from) => Peer::Address(*from),
        }
    }
}

impl AsFd for Conn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(s) => s.as_fd(),
            Self::Tcp(s, _) => s.as_fd(),
        }
    }
}

/// A time-out of zero means "for ever" to the kernel, so a deadline that has passed is an error here.
fn remaining(deadline: Mono) -> io::Result<Duration> {
    let left = deadline.since(mono());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left.max(Duration::from_millis(1)))
}

fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

/// Who sent a request. Its text goes into the record of who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process on this machine, as the kernel tells.
    Process {
        /// Its user.
        uid: u32,
        /// Its id, 0 when it is outside our pid namespace.
        pid: i32,
    },
    /// Somebody behind an address.
    Address(SocketAddr),
    /// The kernel did not tell.
    Unknown,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { uid, pid: 0 } => write!(f, "uid {uid} (outside of this container)"),
            Self::Process { uid, pid } => write!(f, "uid {uid} (pid {pid})"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Unknown => f.write_str("an unknown peer"),
        }
    }
}
