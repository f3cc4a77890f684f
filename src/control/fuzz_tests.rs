//! Requests that nobody in his right mind sends: the parser answers each with a request or a refusal, and never
//! reads beyond its bounds.

use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::conn::Conn;
use super::http::{ReadError, Request, read_request};
use crate::clock::mono;
use crate::limits;

/// Longer than reading takes on a loaded machine: everything has been sent when it begins.
const PATIENCE: Duration = Duration::from_secs(20);
const BODY_MAX: usize = 64;

fn read(bytes: &[u8]) -> Result<Request, ReadError> {
    let (mut theirs, ours) = UnixStream::pair().expect("two descriptors");
    // A socket takes this much without a reader.
    theirs.write_all(bytes).expect("there is room");
    theirs.shutdown(Shutdown::Write).expect("it is open");
    read_request(&Conn::Unix(ours), BODY_MAX, mono() + PATIENCE)
}

/// Everything that must hold whatever was sent.
fn check(bytes: &[u8]) {
    match read(bytes) {
        Ok(request) => {
            assert!(request.body.len() <= BODY_MAX);
            assert!(request.headers.len() <= limits::CONTROL_HEADERS);
            assert!(!request.path.is_empty(), "{request:?}");
            let is_token = |b: u8| b.is_ascii_graphic();
            assert!(request.method.bytes().all(is_token), "{request:?}");
        }
        Err(ReadError::Bad(problem)) => {
            let known = [400, 411, 413, 431];
            assert!(known.contains(&problem.status), "{problem:?}");
        }
        Err(ReadError::Gone(_)) => {}
    }
}

const GOOD: &[u8] =
    b"POST /api/v1/programs/web%3A0/send?name=a+b&wait=true HTTP/1.1\r\nHost: localhost\r\n\
    Authorization: Bearer abc\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_request_with_anything_wrong_is_refused_or_understood_and_never_more() {
    let mut random = fastrand::Rng::with_seed(7);
    let pieces: [&[u8]; 14] = [
        b"\r\n",
        b"\r\n\r\n",
        b"\n\n",
        b"\0",
        b"%",
        b"%2e%2e/",
        b"/..",
        b"\xff\xfe",
        b" ",
        b":",
        b"Content-Length: 18446744073709551616\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Host: a\r\nHost: b\r\n",
        b"HTTP/1.1",
    ];
    for _ in 0..3_000 {
        let mut bytes = GOOD.to_vec();
        for _ in 0..=random.usize(..4) {
            let at = random.usize(..=bytes.len());
            match random.u8(..4) {
                0 => bytes.truncate(at),
                1 => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = random.u8(..);
                    }
                }
                2 => {
                    let piece = pieces[random.usize(..pieces.len())];
                    bytes.splice(at..at, piece.iter().copied());
                }
                _ => {
                    let end = (at + random.usize(..8)).min(bytes.len());
                    bytes.drain(at..end);
                }
            }
        }
        check(&bytes);
    }
}

#[test]
fn noise_is_no_request() {
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..1_000 {
        let mut bytes: Vec<u8> = (0..random.usize(..300)).map(|_| random.u8(..)).collect();
        bytes.extend_from_slice(b"\r\n\r\n");
        check(&bytes);
    }
    let long = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(40_000));
    let refused = read(long.as_bytes()).map_err(|error| match error {
        ReadError::Bad(problem) => problem.status,
        ReadError::Gone(_) => 0,
    });
    assert_eq!(refused, Err(431));
}

#[test]
fn a_path_is_never_more_than_names() {
    for (target, parts) in [
        (
            "/api/v1/programs/..%2f..%2fetc%2fpasswd/explain",
            "../../etc/passwd",
        ),
        ("/api/v1/programs/%2e%2e/explain", ".."),
        ("/api/v1/programs/..\\..\\x/explain", "..\\..\\x"),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let request = read(text.as_bytes()).expect("a request");
        assert_eq!(request.path[3], parts, "one part, whatever is in it");
        assert_eq!(request.path.len(), 5);
    }
}
