//! Who may ask over TCP, and what: tokens, and defence against web pages of others. The judgement is pure; the
//! gate before the API adds the tokens of the moment and a count of wrong ones.
//!
//! A browser can be made to send requests here by any page, also to loopback. Two things tell such a request:
//! `Host` names another server (the page's name was bound to our address: "DNS rebinding"), or `Origin` and
//! `Sec-Fetch-Site` name another page. Both are refused even with the right token; there are no CORS headers.

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::conn::Peer;
use super::http::Request;
use super::response::{Problem, Response};
use super::server::{Call, Handler};
use crate::clock::{Mono, mono};
use crate::limits;
use crate::model::control::Access;
use crate::secret::Secret;

/// The API behind tokens.
pub struct Gate {
    api: Arc<dyn Handler>,
    access: Arc<RwLock<Access>>,
    wrong: Mutex<Wrong>,
}

impl Gate {
    /// `api`, for those whom `access` names at the moment.
    pub fn new(api: Arc<dyn Handler>, access: Arc<RwLock<Access>>) -> Self {
        Self {
            api,
            access,
            wrong: Mutex::default(),
        }
    }
}

impl Handler for Gate {
    fn admit(&self, request: &Request, peer: &Peer) -> Result<(), Problem> {
        let judged = judge(&self.access.read(), request);
        match judged {
            Ok(()) => Ok(()),
            Err(Refused::Problem(problem)) => Err(problem),
            Err(Refused::WrongToken) => {
                let counted = self.wrong.lock().count(mono());
                if counted == limits::HTTP_WRONG_TOKENS {
                    log::warn!("http: many requests with a wrong token, the last from {peer}");
                }
                if counted > limits::HTTP_WRONG_TOKENS {
                    let wait = limits::HTTP_WRONG_WINDOW.as_secs().to_string();
                    let detail = "too many requests with a wrong token";
                    return Err(Problem::new(429, detail).header("Retry-After", wait));
                }
                Err(unknown("the token is wrong"))
            }
        }
    }

    fn handle(&self, request: &Request, call: &Call) -> Response {
        self.api.handle(request, call)
    }
}

/// Wrong tokens within a window. The right one is served whatever others try: a token is too long to be guessed,
/// and nobody is to lock its holder out.
#[derive(Debug, Default)]
struct Wrong {
    since: Mono,
    count: u32,
}

impl Wrong {
    fn count(&mut self, now: Mono) -> u32 {
        if self.count == 0 || now.since(self.since) >= limits::HTTP_WRONG_WINDOW {
            (self.since, self.count) = (now, 0);
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

enum Refused {
    Problem(Problem),
    WrongToken,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

fn judge(access: &Access, request: &Request) -> Result<(), Refused> {
    let host = host_of(request)?;
    if !is_known(host, &access.hosts) {
        let detail = "Host: not a name of this server; control.hosts can add it";
        return Err(Problem::new(403, detail).into());
    }
    if is_foreign(request, host) {
        return Err(Problem::new(403, "another web page may not ask here").into());
    }
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let is_reading = request.method == "GET";
    match path.as_slice() {
        // The page has no data in it.
        ["healthz" | ""] if is_reading => return Ok(()),
        _ => {}
    }
    let may_do_all = match given(request)? {
        Some(token) if access.token.as_ref().is_some_and(|t| is_same(t, token)) => true,
        Some(token)
            if access
                .read_token
                .as_ref()
                .is_some_and(|t| is_same(t, token)) =>
        {
            false
        }
        Some(_) | None if is_open(access) => false,
        Some(_) => return Err(Refused::WrongToken),
        None => return Err(unknown("send a token, as Authorization: Bearer").into()),
    };
    if is_reading || may_do_all {
        return Ok(());
    }
    let detail = match access.token {
        Some(_) => "this token is for reading",
        None => "without control.token HTTP is for reading; use the command line, or set one",
    };
    Err(Problem::new(403, detail).into())
}

fn is_open(access: &Access) -> bool {
    access.token.is_none() && access.read_token.is_none()
}

fn unknown(detail: &str) -> Problem {
    Problem::new(401, detail).header("WWW-Authenticate", "Bearer realm=\"jikimi\"".to_owned())
}

/// The one `Host` of the request, as it was sent.
fn host_of(request: &Request) -> Result<&str, Problem> {
    let mut hosts = request.headers.iter().filter(|(name, _)| name == "host");
    match (hosts.next(), hosts.next()) {
        (Some((_, host)), None) => Ok(host.trim()),
        _ => Err(Problem::new(400, "send one Host")),
    }
}

/// An address cannot be rebound, so any will do: the server may be asked under all the machine has.
fn is_known(host: &str, names: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if port.is_empty() || is_port(port) => name,
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if is_port(&format!(":{port}")) => name,
            Some(_) => return false,
            None => host,
        },
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.parse::<IpAddr>().is_ok() || names.contains(&name)
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|digits| digits.parse::<u16>().is_ok())
}

/// Sent for a page that is not ours.
fn is_foreign(request: &Request, host: &str) -> bool {
    let mut origins = request.headers.iter().filter(|(name, _)| name == "origin");
    let is_other = |origin: &str| {
        let rest = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        rest.is_none_or(|authority| !authority.eq_ignore_ascii_case(host))
    };
    if origins.any(|(_, origin)| is_other(origin.trim())) {
        return true;
    }
    let is_own = match request.header("sec-fetch-site") {
        Some(site) => matches!(site, "same-origin" | "none"),
        None => true,
    };
    // A link from elsewhere to the page itself.
    let is_visit = request.header("sec-fetch-mode") == Some("navigate")
        && request.method == "GET"
        && request.path.iter().all(String::is_empty);
    !is_own && !is_visit
}

/// The token that the request carries, if any.
fn given(request: &Request) -> Result<Option<&str>, Problem> {
    let mut headers = request
        .headers
        .iter()
        .filter(|(name, _)| name == "authorization");
    let Some((_, value)) = headers.next() else {
        return Ok(None);
    };
    let bearer = value
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match (bearer, headers.next()) {
        (Some((_, token)), None) => Ok(Some(token.trim())),
        _ => Err(unknown("send one token, as Authorization: Bearer")),
    }
}

/// Takes as long whatever is the same of them: digests are compared, all bytes of them, so neither the length of
/// the token nor how much of it was guessed shows in the time.
fn is_same(token: &Secret, given: &str) -> bool {
    use sha2::Digest as _;
    let (wanted, given) = (
        sha2::Sha256::digest(token.expose()),
        sha2::Sha256::digest(given),
    );
    let bytes = wanted.iter().zip(given.iter());
    std::hint::black_box(bytes.fold(0_u8, |differs, (a, b)| differs | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "full-token-0123456789";
    const READ: &str = "read-token-0123456789";

    fn access(has_token: bool, has_read: bool) -> Access {
        Access {
            token: has_token.then(|| Secret::new(FULL)),
            read_token: has_read.then(|| Secret::new(READ)),
            hosts: vec!["box.example.org".to_owned()],
        }
    }

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            method: method.to_owned(),
            path: path.split('/').map(str::to_owned).collect(),
            headers: headers
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            ..Request::default()
        }
    }

    /// The status it is refused with; 200 when it is let in, 0 for a wrong token.
    fn status(access: &Access, request: &Request) -> u16 {
        match judge(access, request) {
            Ok(()) => 200,
            Err(Refused::Problem(problem)) => problem.status,
            Err(Refused::WrongToken) => 0,
        }
    }

    #[test]
    fn each_role_does_what_it_may() {
        let bearer = |token: &str| format!("Bearer {token}");
        // (tokens there are) (token sent) → reading, doing.
        for ((full, read), sent, expected) in [
            ((false, false), None, (200, 403)),
            ((false, false), Some("anything"), (200, 403)),
            ((true, false), None, (401, 401)),
            ((true, false), Some(FULL), (200, 200)),
            ((true, false), Some(READ), (0, 0)),
            ((true, true), Some(READ), (200, 403)),
            ((true, true), Some(FULL), (200, 200)),
            ((true, true), Some("full-token-012345678"), (0, 0)),
            ((true, true), Some(""), (0, 0)),
            ((false, true), None, (401, 401)),
            ((false, true), Some(READ), (200, 403)),
        ] {
            let access = access(full, read);
            let value = sent.map(bearer);
            let mut headers = vec![("host", "127.0.0.1:9110")];
            headers.extend(value.as_deref().map(|v| ("authorization", v)));
            let look = request("GET", "api/v1/status", &headers);
            let act = request("POST", "api/v1/programs/web/stop", &headers);
            assert_eq!(
                (status(&access, &look), status(&access, &act)),
                expected,
                "{full} {read} {sent:?}"
            );
            let alive = request("GET", "healthz", &[("host", "localhost")]);
            assert_eq!(status(&access, &alive), 200);
        }
        for odd in ["Basic abc", "Bearer", FULL] {
            let headers = [("host", "localhost"), ("authorization", odd)];
            let look = request("GET", "api/v1/status", &headers);
            assert_eq!(status(&access(true, true), &look), 401, "{odd}");
        }
    }

    #[test]
    fn a_name_that_was_bound_to_our_address_is_refused_also_with_the_token() {
        let bearer = format!("Bearer {FULL}");
        for (host, expected) in [
            ("localhost", 200),
            ("LOCALHOST:9110", 200),
            ("127.0.0.1:1", 200),
            ("192.168.1.9:9110", 200),
            ("[::1]:9110", 200),
            ("[::1]", 200),
            ("box.example.org:443", 200),
            ("Box.Example.org.", 200),
            ("evil.example", 403),
            ("localhost.evil.example", 403),
            ("127.0.0.1.evil.example", 403),
            ("evil.example:9110", 403),
            ("localhost:evil", 403),
            ("[::1]evil", 403),
            ("[::1", 403),
            ("", 403),
        ] {
            let headers = [("host", host), ("authorization", bearer.as_str())];
            let asked = request("POST", "api/v1/reload", &headers);
            assert_eq!(status(&access(true, false), &asked), expected, "{host}");
        }
        let none = request("GET", "healthz", &[]);
        assert_eq!(status(&access(true, false), &none), 400);
        let two = [("host", "localhost"), ("host", "evil.example")];
        let two = request("GET", "healthz", &two);
        assert_eq!(status(&access(true, false), &two), 400);
    }

    #[test]
    fn other_pages_are_refused_also_with_the_token() {
        let bearer = format!("Bearer {FULL}");
        for (header, expected) in [
            (("origin", "http://127.0.0.1:9110"), 200),
            (("origin", "https://127.0.0.1:9110"), 200),
            (("origin", "http://127.0.0.1:3000"), 403),
            (("origin", "http://evil.example"), 403),
            (("origin", "null"), 403),
            (("origin", ""), 403),
            (("origin", "file://127.0.0.1:9110"), 403),
            (("sec-fetch-site", "same-origin"), 200),
            (("sec-fetch-site", "none"), 200),
            (("sec-fetch-site", "cross-site"), 403),
            (("sec-fetch-site", "same-site"), 403),
        ] {
            let headers = [
                ("host", "127.0.0.1:9110"),
                ("authorization", bearer.as_str()),
                header,
            ];
            for (method, path) in [("GET", "api/v1/status"), ("POST", "api/v1/reload")] {
                let asked = request(method, path, &headers);
                let found = status(&access(true, false), &asked);
                assert_eq!(found, expected, "{method} {header:?}");
            }
        }
        let link = [
            ("host", "localhost"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ];
        assert_eq!(
            status(&access(true, false), &request("GET", "", &link)),
            200
        );
        let asked = request("GET", "api/v1/status", &link);
        assert_eq!(status(&access(false, false), &asked), 403);
    }

    #[test]
    fn wrong_tokens_are_counted_by_the_window() {
        let mut wrong = Wrong::default();
        let start = Mono::default() + limits::HTTP_WRONG_WINDOW;
        assert_eq!((wrong.count(start), wrong.count(start)), (1, 2));
        assert_eq!(wrong.count(start + limits::HTTP_WRONG_WINDOW), 1);
    }

    #[test]
    fn only_the_same_token_is_the_same() {
        let token = Secret::new(FULL);
        assert!(is_same(&token, FULL));
        for other in ["", "full-token-012345678", "full-token-01234567890", READ] {
            assert!(!is_same(&token, other), "{other}");
        }
    }
}
