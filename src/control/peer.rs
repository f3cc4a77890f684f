//! Who is at the other end of a socket, by the kernel's word.

use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub uid: u32,
    /// 0 when it lies outside our pid namespace, as somebody outside does for a supervisor in a container.
    pub pid: i32,
}

/// Who connected; for the connecting side, who called `listen`.
pub(super) fn credentials(socket: &impl AsFd) -> io::Result<Credentials> {
    // Not rustix, for whose type a pid is never 0.
    let credentials = getsockopt(socket, PeerCredentials)?;
    Ok(Credentials {
        uid: credentials.uid(),
        pid: credentials.pid(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_end_of_our_own_socket_is_this_process() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let found = credentials(&one).expect("the kernel knows");
        assert_eq!(u32::try_from(found.pid), Ok(std::process::id()));
        assert_eq!(found.uid, rustix::process::geteuid().as_raw());
    }
}
