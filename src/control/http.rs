//! Reading an HTTP/1.1 request, as far as a local server needs it: one request a connection, everything bounded
//! in bytes and time. Knows no route; see [`super::response`] for the answer.

use std::io;

use super::conn::Conn;
use super::response::Problem;
use crate::clock::Mono;
use crate::limits;

/// A request that has arrived whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The parts of the path between slashes, percent-decoded each (so a name may hold a slash).
    pub path: Vec<String>,
    /// The query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// At most the bound given to [`read_request`].
    pub body: Vec<u8>,
}

impl Request {
    /// The first value of the query parameter `name`.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// All values of the query parameter `name`.
    pub fn params<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The value of the header `name` (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// Why there is no request.
#[derive(Debug)]
pub enum ReadError {
    /// The peer went away, or never said a whole request's worth; there is nobody to answer.
    Gone(io::Error),
    /// It is answered with this.
    Bad(Problem),
}

impl From<Problem> for ReadError {
    fn from(problem: Problem) -> Self {
        Self::Bad(problem)
    }
}

/// Reads one request before `deadline`, its body at most `body_max` bytes.
///
/// # Errors
/// Every malformed, oversized or late request is a [`Problem`] to answer with.
pub fn read_request(conn: &Conn, body_max: usize, deadline: Mono) -> Result<Request, ReadError> {
    let (head, rest) = read_head(conn, deadline)?;
    let mut request = parse_head(&head)?;
    let length = body_length(&request, body_max)?;
    if length > rest.len() && request.header("expect").is_some() {
        conn.write_all(b"HTTP/1.1 100 Continue\r\n\r\n", deadline)
            .map_err(ReadError::Gone)?;
    }
    request.body = rest;
    request.body.truncate(length);
    while request.body.len() < length {
        let mut chunk = [0; 8 * 1024];
        let want = (length - request.body.len()).min(chunk.len());
        let n = read_some(conn, &mut chunk[..want], deadline)?;
        request.body.extend_from_slice(&chunk[..n]);
    }
    Ok(request)
}

fn read_head(conn: &Conn, deadline: Mono) -> Result<(Vec<u8>, Vec<u8>), ReadError> {
    let mut head = Vec::with_capacity(1024);
    let mut chunk = [0; 4 * 1024];
    loop {
        let n = read_some(conn, &mut chunk, deadline)?;
        // The blank line may straddle two reads.
        let from = head.len().saturating_sub(3);
        head.extend_from_slice(&chunk[..n]);
        let end = head_end(&head, from);
        if end.unwrap_or(head.len()) > limits::CONTROL_HEAD_BYTES {
            return Err(Problem::new(431, "the request's headers are too large").into());
        }
        if let Some(at) = end {
            let rest = head.split_off(at);
            return Ok((head, rest));
        }
    }
}

fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find_map(|at| match &bytes[at..] {
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        [b'\n', b'\n', ..] => Some(at + 2),
        _ => None,
    })
}

fn read_some(conn: &Conn, buffer: &mut [u8], deadline: Mono) -> Result<usize, ReadError> {
    loop {
        return match conn.read(buffer, deadline) {
            Ok(0) => Err(ReadError::Gone(io::ErrorKind::UnexpectedEof.into())),
            Ok(n) => Ok(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                Err(Problem::new(408, "the request did not arrive in time").into())
            }
            Err(e) => Err(ReadError::Gone(e)),
        };
    }
}

fn parse_head(head: &[u8]) -> Result<Request, Problem> {
    let mut slots = [httparse::EMPTY_HEADER; limits::CONTROL_HEADERS];
    let mut parsed = httparse::Request::new(&mut slots);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Problem::new(400, "not an HTTP request")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Problem::new(431, "the request has too many headers"));
        }
        Err(error) => {
            return Err(Problem::new(400, format!("not an HTTP request: {error}")));
        }
    }
    let (path, query) = split_target(parsed.path.unwrap_or_default())?;
    Ok(Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path,
        query,
        headers: parsed
            .headers
            .iter()
            .map(|h| {
                (
                    h.name.to_ascii_lowercase(),
                    String::from_utf8_lossy(h.value).into_owned(),
                )
            })
            .collect(),
        body: Vec::new(),
    })
}

type Target = (Vec<String>, Vec<(String, String)>);

/// `/a/b?c=d` as its decoded parts. An empty part at the end (a trailing slash) is dropped.
fn split_target(target: &str) -> Result<Target, Problem> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some(path) = path.strip_prefix('/') else {
        return Err(Problem::new(400, "the request's path must begin with /"));
    };
    let bad = || {
        Problem::new(
            400,
            "the request's path or query is not percent-encoded UTF-8",
        )
    };
    let mut parts = Vec::new();
    for part in path.strip_suffix('/').unwrap_or(path).split('/') {
        parts.push(percent_decode(part).ok_or_else(bad)?);
    }
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_decode(&text.replace('+', " ")).ok_or_else(bad);
        pairs.push((decode(name)?, decode(value)?));
    }
    Ok((parts, pairs))
}

/// The length of the body that follows. Two lengths, or a length beside a transfer coding, are how requests
/// are smuggled (RFC 9112 section 6.3), so both are refused.
fn body_length(request: &Request, max: usize) -> Result<usize, Problem> {
    if request.header("transfer-encoding").is_some() {
        return Err(Problem::new(411, "send the body with a Content-Length"));
    }
    let mut lengths = request
        .headers
        .iter()
        .filter(|(n, _)| n == "content-length");
    let Some((_, text)) = lengths.next() else {
        return Ok(0);
    };
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits || lengths.next().is_some() {
        return Err(Problem::new(400, "the Content-Length is not one number"));
    }
    match text.parse::<usize>() {
        Ok(length) if length <= max => Ok(length),
        _ => Err(Problem::new(
            413,
            format!("the body is larger than {max} bytes"),
        )),
    }
}

/// Everything but `A-Z a-z 0-9 - . _ ~` as `%XX` (RFC 3986).
pub fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The text behind `%XX`; nothing when it is cut short or no UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_percent_encoded_reads_back_and_cut_codes_do_not() {
        for text in ["web:0", "tag:게임 *", "a/b?c&d+e%"] {
            assert_eq!(percent_decode(&percent_encode(text)).as_deref(), Some(text));
        }
        for bad in ["%", "%4", "%zz", "%ff", "%+1"] {
            assert_eq!(percent_decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_target_is_split_before_it_is_decoded() {
        let (path, query) = split_target("/a%2Fb/c?x=1%262&y&z=a+b").expect("a good target");
        assert_eq!(path, ["a/b", "c"]);
        let pairs: Vec<(&str, &str)> = query
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(pairs, [("x", "1&2"), ("y", ""), ("z", "a b")]);
        assert!(split_target("http://other/").is_err());
    }

    #[test]
    fn smuggled_and_oversized_lengths_are_refused() {
        let status = |headers: &[(&str, &str)]| {
            let request = Request {
                headers: headers
                    .iter()
                    .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                    .collect(),
                ..Request::default()
            };
            body_length(&request, 100).map_err(|p| p.status)
        };
        assert_eq!(status(&[]), Ok(0));
        assert_eq!(status(&[("content-length", "100")]), Ok(100));
        assert_eq!(status(&[("content-length", "101")]), Err(413));
        assert_eq!(
            status(&[("content-length", "99999999999999999999999")]),
            Err(413)
        );
        for bad in ["-1", "+1", "", "1 2", "0x10"] {
            assert_eq!(status(&[("content-length", bad)]), Err(400), "{bad}");
        }
        assert_eq!(
            status(&[("content-length", "1"), ("content-length", "1")]),
            Err(400)
        );
        assert_eq!(
            status(&[("content-length", "1"), ("transfer-encoding", "chunked")]),
            Err(411)
        );
    }

    #[test]
    fn the_end_of_the_head_is_found_across_reads() {
        let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest";
        assert_eq!(head_end(bytes, 0), Some(bytes.len() - 4));
        assert_eq!(head_end(&bytes[..bytes.len() - 5], 0), None);
        assert_eq!(head_end(b"GET / HTTP/1.0\n\n", 12), Some(16));
    }
}
