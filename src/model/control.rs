//! `[control]`: where the supervisor answers, and to whom.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::secret::Secret;

/// `[control]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// The socket, absolute; at most 107 bytes.
    pub socket: PathBuf,
    /// The address it answers at over TCP as well. With port 0 the system chooses one.
    pub http: Option<SocketAddr>,
    /// Who may ask there.
    pub access: Access,
}

/// Who may ask over TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// May do everything.
    pub token: Option<Secret>,
    /// May look.
    pub read_token: Option<Secret>,
    /// Names that `Host` may say, besides addresses and `localhost`; in lower case.
    pub hosts: Vec<String>,
}
