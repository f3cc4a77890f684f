//! The one HTTP client: short requests to a configured address, with every wait bounded. Sees only the base.
//!
//! Architecture invariant: nothing of a URL, a header or a body reaches an error or a log line of ours; no
//! redirect is followed, no proxy but a configured one is asked, no body is read without bound, and no link-local
//! or metadata address is ever contacted. [`QUIET_LOG_TARGETS`] names the libraries whose own log lines are not
//! that careful.

mod address;
mod agents;
mod check;
mod error;
mod exchange;
mod method;
mod resolver;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod transport;
#[cfg(test)]
mod ways_tests;

use std::io::Read;
use std::time::Duration;

use ureq::http::{HeaderName, HeaderValue, Uri};

pub use self::error::{FetchError, Phase};
pub use self::method::Method;
pub(crate) use self::resolver::Lookup;
use crate::clock;
use crate::limits;
use crate::model::via::Via;
use crate::secret::Secret;

/// Log targets that must not be let through below `warn`: at `trace` they hold whole URLs.
pub const QUIET_LOG_TARGETS: [&str; 3] = ["ureq", "ureq_proto", "rustls"];

/// A request with a body.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Where to; `http` or `https`. A `user:password@` in it becomes basic authentication.
    pub url: &'a Secret,
    /// Sent as they are, beside `Host` and `Content-Length`; values are treated as secrets.
    pub headers: &'a [(String, Secret)],
    /// The body.
    pub body: &'a [u8],
    /// The whole exchange, from looking the name up to the last byte of the answer; never more than
    /// [`limits::ATTEMPT_MAX`].
    pub timeout: Duration,
    /// The way there.
    pub via: &'a Via,
}

/// The answer, whatever its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status; 3xx is returned as it is.
    pub status: u16,
    /// Names in lower case, values as text where they are text.
    pub headers: Vec<(String, String)>,
    /// At most [`limits::RESPONSE_BODY_MAX`] bytes of it.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header called `name` (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// Keeps idle connections and the resolver's thread, which starts with the first name; shared by all who send.
pub struct Client {
    agents: agents::Agents,
    resolver: resolver::Handle,
    // Dropped after the agents: the thread ends with their handles to it.
    _resolver: resolver::Owner,
}

impl Default for Client {
    /// A client that looks names up as the system does.
    fn default() -> Self {
        Self::with_lookup(Box::new(resolver::system_lookup))
    }
}

impl Client {
    /// A client that looks names up with `lookup`.
    pub(crate) fn with_lookup(lookup: Box<Lookup>) -> Self {
        let (handle, owner) = resolver::prepare(lookup);
        Self {
            agents: agents::Agents::new(handle.clone()),
            resolver: handle,
            _resolver: owner,
        }
    }

    /// Posts: see [`Self::send`].
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn post(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        self.send(Method::Post, request)
    }

    /// Sends one request and reads its answer. A kept connection that turns out to have been closed before the
    /// request reached anybody is replaced once.
    ///
    /// # Errors
    /// There was no answer; see [`FetchError`]. No status is an error.
    pub fn send(&self, method: Method, request: &Request<'_>) -> Result<Response, FetchError> {
        let deadline = clock::mono() + request.timeout.min(limits::ATTEMPT_MAX);
        let prepared = Prepared::new(request)?;
        let agent = self.agents.of(request.via)?;
        let once = || {
            exchange::begin(deadline, request.via.allow_private);
            exchange_once(&agent, method, (&prepared, request.body))
        };
        match once() {
            Err(FetchError::Closed | FetchError::Io(_)) if exchange::was_stale() => once(),
            result => result,
        }
    }
}

fn exchange_once(
    agent: &ureq::Agent,
    method: Method,
    (to, body): (&Prepared, &[u8]),
) -> Result<Response, FetchError> {
    let response = method
        .run(agent, (&to.uri, &to.headers), body)
        .map_err(error::from_ureq)?;
    let (parts, body) = response.into_parts();
    let headers = parts
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    Ok(Response {
        status: parts.status.as_u16(),
        headers,
        body: read_bounded(body)?,
    })
}

/// Reads to the end, so that the connection can be kept, or to the limit, after which it is closed.
fn read_bounded(mut body: ureq::Body) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    body.as_reader()
        .take(limits::RESPONSE_BODY_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| error::from_io(&e))?;
    bytes.truncate(usize::try_from(limits::RESPONSE_BODY_MAX).unwrap_or(usize::MAX));
    Ok(bytes)
}

/// A request that can be sent more than once.
struct Prepared {
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Prepared {
    fn new(request: &Request<'_>) -> Result<Self, FetchError> {
        let (uri, user) = split_user(request.url.expose())?;
        refuse_behind_proxy(&uri, request.via)?;
        let mut headers = Vec::with_capacity(request.headers.len() + 1);
        for (name, value) in request.headers {
            headers.push(header(name, value.expose())?);
        }
        if let Some(user) = user {
            headers.push(header("authorization", &basic(&user))?);
        }
        Ok(Self { uri, headers })
    }
}

/// A proxy looks names up itself, out of our sight; what is spelt as an address is judged here.
fn refuse_behind_proxy(uri: &Uri, via: &Via) -> Result<(), FetchError> {
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(ip) if via.proxy.is_some() => address::judge(ip, via.allow_private),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), FetchError> {
    let bad = || FetchError::BadHeader(crate::text::printable(name.as_bytes()).into_owned());
    let parsed = name.parse::<HeaderName>().map_err(|_| bad())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
    // Kept out of ureq's own debug output.
    value.set_sensitive(true);
    Ok((parsed, value))
}

/// The address without its `user:password@`, and that part.
fn split_user(url: &str) -> Result<(Uri, Option<String>), FetchError> {
    let bad = FetchError::BadUrl;
    let (scheme, rest) = url.trim().split_once("://").ok_or(bad.clone())?;
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err(bad);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, authority),
    };
    let path = path.split('#').next().unwrap_or_default();
    let uri: Uri = format!("{}://{host}{path}", scheme.to_ascii_lowercase())
        .parse()
        .map_err(|_| FetchError::BadUrl)?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(FetchError::BadUrl);
    }
    Ok((uri, user))
}

/// RFC 7617; the user and password stand percent-encoded in a URL.
fn basic(user: &str) -> String {
    use base64::Engine as _;
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let mut plain = percent_decode(name);
    plain.push(b':');
    plain.extend(percent_decode(password));
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(plain)
    )
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    out
}
