//! What can go wrong with a request, in words that never hold the URL, a header or a body.

use std::io;

use ureq::Timeout;

/// The part of an exchange that took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Opening the connection, TLS included.
    Connect,
    /// Sending the request.
    Send,
    /// Waiting for the status line and headers.
    Response,
    /// Reading the body.
    Body,
}

impl Phase {
    /// `connecting`, `sending`, ….
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::Send => "sending the request",
            Self::Response => "waiting for the answer",
            Self::Body => "reading the answer",
        }
    }
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Not an absolute `http://` or `https://` address.
    #[error("the address is not an http or https url")]
    BadUrl,
    /// A header's name or value cannot be sent.
    #[error("the header \"{0}\" cannot be sent")]
    BadHeader(String),
    /// The system's resolver knows no such host.
    #[error("no such host")]
    NoSuchHost,
    /// The resolver does not answer: it holds its one thread, and no caller longer than its deadline.
    #[error("name resolution is stuck")]
    ResolverStuck,
    /// Every address of the host is link-local or a metadata service.
    #[error("the host's address is link-local or a metadata service, which is never contacted")]
    RefusedAddress,
    /// Every address of the host is private, and this target may not have one.
    #[error("the host's address is private, and allow_private is false")]
    PrivateAddress,
    /// The proxy's address cannot be used.
    #[error("the proxy's address cannot be used")]
    BadProxy,
    /// The proxy does not connect us.
    #[error("the proxy does not connect: {0}")]
    Proxy(String),
    /// The file of the authority holds no certificate.
    #[error("the ca_file holds no certificate")]
    BadAuthority,
    /// A phase took longer than it may.
    #[error("time-out while {}", .0.as_str())]
    Timeout(Phase),
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(io::ErrorKind),
    /// The other side closed before it had answered.
    #[error("the connection was closed before an answer came")]
    Closed,
    /// TLS failed.
    #[error("tls: {0}")]
    Tls(String),
    /// The answer is not HTTP, or its headers are too long.
    #[error("the answer is not valid http")]
    Malformed,
    /// Any other fault of the connection.
    #[error("connection fault: {0}")]
    Io(io::ErrorKind),
    /// A case that this client does not produce by its own settings.
    #[error("the http client failed")]
    Other,
}

/// Several of ureq's own texts hold the whole URL: nothing of them is passed on but kinds and TLS reasons.
pub(super) fn from_ureq(error: ureq::Error) -> FetchError {
    match error {
        ureq::Error::Other(inner) => inner
            .downcast::<FetchError>()
            .map_or(FetchError::Other, |own| *own),
        ureq::Error::Timeout(which) => FetchError::Timeout(phase(which)),
        ureq::Error::Io(e) => from_io(&e),
        ureq::Error::HostNotFound => FetchError::NoSuchHost,
        ureq::Error::Rustls(e) => FetchError::Tls(crate::text::cut(&e.to_string(), 200).into()),
        ureq::Error::Tls(what) => FetchError::Tls(what.to_owned()),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => FetchError::BadUrl,
        ureq::Error::Protocol(_)
        | ureq::Error::LargeResponseHeader(..)
        | ureq::Error::BodyStalled => FetchError::Malformed,
        // What it says is the proxy's status.
        ureq::Error::ConnectProxyFailed(what) => FetchError::Proxy(
            crate::text::cut(&crate::text::printable(what.as_bytes()), 200).into(),
        ),
        ureq::Error::InvalidProxyUrl => FetchError::BadProxy,
        // ureq's enum is open; what is left are cookies, redirects and decompression, all off.
        _ => FetchError::Other,
    }
}

/// An error that has passed through `std::io`, as those of bodies and of TLS do.
pub(super) fn from_io(error: &io::Error) -> FetchError {
    if let Some(ureq::Error::Timeout(which)) = error.get_ref().and_then(|e| e.downcast_ref()) {
        return FetchError::Timeout(phase(*which));
    }
    // rustls reports its faults this way; its texts name certificates and hosts, never paths.
    if let (io::ErrorKind::InvalidData, Some(inner)) = (error.kind(), error.get_ref()) {
        return FetchError::Tls(crate::text::cut(&inner.to_string(), 200).into());
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => FetchError::Closed,
        kind => FetchError::Io(kind),
    }
}

const fn phase(which: Timeout) -> Phase {
    match which {
        Timeout::Connect | Timeout::Resolve => Phase::Connect,
        Timeout::SendRequest | Timeout::SendBody | Timeout::PerWrite => Phase::Send,
        Timeout::RecvBody => Phase::Body,
        _ => Phase::Response,
    }
}
