//! What the health of a program is judged by: its probes, and the times that go with them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::pattern::Pattern;
use crate::secret::Secret;

/// Everything of a program that says when it is ready and whether it does well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HealthSettings {
    /// Says when it is ready. Without one it is when its start is confirmed.
    pub readiness: Option<Arc<Probe>>,
    /// A line of its output that says when it is ready, in place of a probe.
    pub ready_line: Option<Pattern>,
    /// Its failing ends the run and counts as a failure.
    pub liveness: Option<Arc<Probe>>,
    /// From the spawn to being ready; longer has failed.
    pub start_timeout: Option<Duration>,
}

impl HealthSettings {
    /// Whether there is more to wait for than the confirmation of its start.
    #[must_use]
    pub fn has_readiness(&self) -> bool {
        self.readiness.is_some() || self.ready_line.is_some()
    }

    /// The probe for `aspect`.
    #[must_use]
    pub fn probe(&self, aspect: Aspect) -> Option<&Arc<Probe>> {
        match aspect {
            Aspect::Readiness => self.readiness.as_ref(),
            Aspect::Liveness => self.liveness.as_ref(),
        }
    }

    /// Whether the program itself says how it does in that respect.
    #[must_use]
    pub fn is_notified(&self, aspect: Aspect) -> bool {
        self.probe(aspect)
            .is_some_and(|probe| probe.check == Check::Notify)
    }

    /// Whether it says anything itself.
    #[must_use]
    pub fn notifies(&self) -> bool {
        self.is_notified(Aspect::Readiness) || self.is_notified(Aspect::Liveness)
    }

    /// How often at the least it must say that it is alive, if it must.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        let probe = self.liveness.as_ref();
        let probe = probe.filter(|probe| probe.check == Check::Notify)?;
        Some(probe.interval.saturating_mul(probe.failure_threshold))
    }
}

/// What a probe is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// Whether it can be used.
    Readiness,
    /// Whether it is worth keeping.
    Liveness,
}

/// One probe: what is checked, how often, and what counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// What is checked.
    pub check: Check,
    /// From one check to the next.
    pub interval: Duration,
    /// The whole of one check.
    pub timeout: Duration,
    /// Before the first check.
    pub initial_delay: Duration,
    /// Passes in a row that make it healthy.
    pub success_threshold: u32,
    /// Failures in a row that make it unhealthy.
    pub failure_threshold: u32,
}

/// What is checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// A GET that is answered with 200 to 399.
    Http {
        /// Where; may hold a password.
        url: Secret,
        /// As people may see it.
        shown: String,
    },
    /// A connection that is accepted.
    Tcp {
        /// A name or an address.
        host: String,
        /// Where it listens.
        port: u16,
    },
    /// A command that ends with 0.
    Exec(Vec<String>),
    /// Nothing is checked: the program says so itself (`sd_notify`).
    Notify,
}

/// What is checked, for people: `GET http://127.0.0.1:8080/`.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { shown, .. } => write!(f, "GET {shown}"),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp [{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp {host}:{port}"),
            Self::Notify => f.write_str("notify"),
            // Only its name: arguments may hold secrets.
            Self::Exec(command) => {
                write!(f, "exec {}", command.first().map_or("", String::as_str))
            }
        }
    }
}
