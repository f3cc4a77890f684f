//! Questions whose answer is only whether and how somebody answers: a status, a connection. Keeps no connection
//! and reads no body.

use std::time::Duration;

use super::error::FetchError;
use super::{Client, Prepared, Request, error, exchange, transport};
use crate::clock;
use crate::limits;

impl Client {
    /// The status that a GET is answered with, whatever it is; the body of `request` is not sent, that of the
    /// answer not read.
    ///
    /// # Errors
    /// There was no status in time.
    pub fn status(&self, request: &Request<'_>) -> Result<u16, FetchError> {
        let prepared = Prepared::new(request)?;
        let deadline = clock::mono() + request.timeout.min(limits::ATTEMPT_MAX);
        exchange::begin(deadline, request.via.allow_private);
        let agent = self.agents.of(request.via)?;
        // A kept connection would say nothing of whether a new one is accepted.
        let mut builder = agent.get(&prepared.uri).header("connection", "close");
        for (name, value) in &prepared.headers {
            builder = builder.header(name, value);
        }
        let response = builder.call().map_err(error::from_ureq)?;
        Ok(response.status().as_u16())
    }

    /// Whether a connection to `host` is accepted within `timeout`; it is closed at once.
    ///
    /// # Errors
    /// It is not.
    pub fn reach(&self, host: &str, port: u16, timeout: Duration) -> Result<(), FetchError> {
        let timeout = timeout.min(limits::ATTEMPT_MAX);
        exchange::begin(clock::mono() + timeout, true);
        let mut addresses = self
            .resolver
            .addresses(host, timeout.min(limits::RESOLVE_MAX))?;
        for address in &mut addresses {
            address.set_port(port);
        }
        transport::dial(&addresses).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::secret::Secret;

    fn status_of(answer: &'static [u8]) -> Result<u16, FetchError> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 1024];
            let n = stream.read(&mut request).expect("a request");
            let _ = stream.write_all(answer);
            // Held open: whoever waited for the body's end would wait for the deadline.
            let _ = stream.read(&mut [0; 1]);
            String::from_utf8_lossy(&request[..n]).into_owned()
        });
        let status = Client::default().status(&Request {
            url: &Secret::new(format!("http://127.0.0.1:{port}/health")),
            headers: &[],
            body: &[],
            timeout: Duration::from_secs(5),
            via: &crate::model::via::Via::DIRECT,
        });
        let request = server.join().expect("no panic");
        assert!(request.starts_with("GET /health HTTP/1.1\r\n"), "{request}");
        assert!(request.to_lowercase().contains("connection: close"));
        status
    }

    #[test]
    fn a_status_is_known_before_the_body_has_come() {
        for (answer, status) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"[..], 200),
            (
                b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n",
                302,
            ),
            (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
            (b"HTTP/1.1 500 Oh\r\ncontent-length: 3\r\n\r\n", 500),
        ] {
            assert_eq!(status_of(answer), Ok(status));
        }
        assert!(status_of(b"220 ready when you are\r\n\r\n").is_err());
    }

    #[test]
    fn a_port_is_reached_when_somebody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let client = Client::default();
        assert_eq!(
            client.reach("127.0.0.1", port, Duration::from_secs(5)),
            Ok(())
        );
        drop(listener);
        let refused = client.reach("127.0.0.1", port, Duration::from_secs(5));
        assert!(
            matches!(refused, Err(FetchError::Connect(_))),
            "{refused:?}"
        );
        let metadata = client.reach("169.254.169.254", 80, Duration::from_secs(5));
        assert_eq!(metadata, Err(FetchError::RefusedAddress));
    }
}
