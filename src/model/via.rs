//! How an address outside is reached: directly or through a proxy, whether it may be a private one, and whom TLS
//! trusts on the way.

use std::fmt;
use std::sync::Arc;

use crate::secret::Secret;

/// The way to an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Via {
    /// Whether addresses of private networks, loopback included, may be contacted.
    pub allow_private: bool,
    /// An `http://` or `https://` proxy that is asked to connect; it looks names up itself.
    pub proxy: Option<Secret>,
    /// Trusted in place of the authorities that everybody trusts.
    pub authority: Option<Authority>,
}

impl Via {
    /// Straight, anywhere it is allowed at all, trusting what everybody trusts.
    pub const DIRECT: Self = Self {
        allow_private: true,
        proxy: None,
        authority: None,
    };
}

impl Default for Via {
    fn default() -> Self {
        Self::DIRECT
    }
}

/// Certificates of an authority of one's own, as PEM.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Authority(Arc<str>);

impl Authority {
    /// Wraps `pem`, which holds at least one certificate.
    #[must_use]
    pub fn new(pem: &str) -> Self {
        Self(Arc::from(pem))
    }

    /// The PEM text.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({} bytes)", self.0.len())
    }
}
