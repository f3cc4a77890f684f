//! The way in over TCP (`control.http`): opened when its port is free, tried again on the relay's beat while it is
//! not. Supervision does not need it: a fault is an issue. Owns that server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::facts::Issues;
use crate::control::ControlError;
use crate::control::conn::Listener;
use crate::control::gate::Gate;
use crate::control::handler::Api;
use crate::control::server::{Bounds, Server};
use crate::model::control::{Access, ControlSettings};

/// The name of its issue.
const PART: &str = "http";

/// The door; clones share it.
#[derive(Clone)]
pub(super) struct Door(Arc<Inner>);

struct Inner {
    wanted: Option<SocketAddr>,
    access: Arc<RwLock<Access>>,
    issues: Issues,
    state: Mutex<State>,
}

enum State {
    /// There is nothing behind it, or nobody is to come in.
    Shut,
    /// It is to be opened, and is not yet; or somebody is at it.
    Waiting(Arc<Api>),
    Open {
        server: Server,
        address: Option<SocketAddr>,
    },
}

impl State {
    fn take_waiting(&mut self) -> Option<Arc<Api>> {
        match std::mem::replace(self, Self::Shut) {
            Self::Waiting(api) => Some(api),
            other => {
                *self = other;
                None
            }
        }
    }
}

impl Door {
    /// A shut one, and the list that its faults go to.
    pub fn with_issues(settings: &ControlSettings) -> (Self, Issues) {
        let issues = Issues::default();
        let inner = Inner {
            wanted: settings.http,
            access: Arc::new(RwLock::new(settings.access.clone())),
            issues: issues.clone(),
            state: Mutex::new(State::Shut),
        };
        (Self(Arc::new(inner)), issues)
    }

    /// Who may come in from here on.
    pub fn configure(&self, settings: &ControlSettings) {
        *self.0.access.write() = settings.access.clone();
    }

    /// Opens it for the first time.
    pub fn begin(&self, api: Arc<Api>) {
        if self.0.wanted.is_some() {
            *self.0.state.lock() = State::Waiting(api);
            self.open();
        }
    }

    /// Tries to open it, if it is to be open and is not.
    pub fn open(&self) {
        let Some(wanted) = self.0.wanted else {
            return;
        };
        // Taken out meanwhile, so that the port is asked for once and without a lock.
        let Some(api) = self.0.state.lock().take_waiting() else {
            return;
        };
        let next = match self.listen(wanted, &api) {
            Ok((server, address)) => {
                if let Some(address) = address {
                    log::info!("answers at http://{address}");
                }
                self.0.issues.set(PART, None);
                State::Open { server, address }
            }
            Err(error) => {
                let words = told(&error, wanted);
                if self.0.issues.set(PART, Some(words.clone())) {
                    log::error!("{words}; it is tried again");
                }
                State::Waiting(api)
            }
        };
        *self.0.state.lock() = next;
    }

    fn listen(
        &self,
        wanted: SocketAddr,
        api: &Arc<Api>,
    ) -> Result<(Server, Option<SocketAddr>), ControlError> {
        let listener = Listener::tcp(wanted)?;
        let address = listener.tcp_address();
        let gate = Gate::new(Arc::clone(api) as _, Arc::clone(&self.0.access));
        let server = Server::start(listener, Bounds::HTTP, Arc::new(gate))?;
        Ok((server, address))
    }

    /// Where it is open.
    pub fn address(&self) -> Option<SocketAddr> {
        match &*self.0.state.lock() {
            State::Open { address, .. } => *address,
            State::Shut | State::Waiting(_) => None,
        }
    }

    /// Shuts it for good; returns when no thread of it is left.
    pub fn close(&self) {
        let state = std::mem::replace(&mut *self.0.state.lock(), State::Shut);
        if let State::Open { server, .. } = state {
            server.stop();
        }
    }
}

fn told(error: &ControlError, wanted: SocketAddr) -> String {
    match error {
        ControlError::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
            format!("{wanted} is taken by another program")
        }
        ControlError::Bind { source, .. } => format!("{error}: {source}"),
        ControlError::InUse { .. } | ControlError::NoSocket { .. } | ControlError::Thread(_) => {
            error.to_string()
        }
    }
}
