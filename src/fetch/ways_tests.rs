//! The ways to an address: proxies, private addresses, authorities; against real servers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use crossbeam::channel::{Receiver, unbounded};

use super::testing::{Answer, Server, WAIT_MAX};
use super::*;
use crate::model::via::Authority;

fn post(client: &Client, url: &str, via: &Via) -> Result<u16, FetchError> {
    let request = Request {
        url: &Secret::new(url),
        headers: &[],
        body: b"hello",
        timeout: WAIT_MAX,
        via,
    };
    client.post(&request).map(|r| r.status)
}

/// A proxy that says `status` to who asks it to connect and is then the wire itself, to where it says.
fn proxy(status: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("127.0.0.1:{}", listener.local_addr().expect("bound").port());
    let (tell, told) = unbounded();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().expect("a copy"));
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|n| n > 0) {}
            let to = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let _ = tell.send(head);
            let mut out = stream.try_clone().expect("a copy");
            let _ = write!(out, "HTTP/1.1 {status}\r\n\r\n");
            if status.starts_with("200") {
                // Whatever the name is, the server is on loopback.
                let port = to.rsplit(':').next().unwrap_or_default().to_owned();
                let far = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the server");
                let (mut from, mut into) = (far.try_clone().expect("a copy"), out);
                std::thread::spawn(move || std::io::copy(&mut from, &mut into));
                let mut far = far;
                std::thread::spawn(move || std::io::copy(&mut reader, &mut far));
            }
        }
    });
    (address, told)
}

fn through(proxy: &str) -> Via {
    Via {
        proxy: Some(Secret::new(proxy)),
        ..Via::DIRECT
    }
}

#[test]
fn a_proxy_connects_and_resolves_and_nobody_else_is_asked_for_the_name() {
    let server = Server::always(Answer::status(204));
    let port = server.base().rsplit(':').next().expect("a port").to_owned();
    let (address, told) = proxy("200 Fine");
    let client = Client::with_lookup(Box::new(|_| panic!("the proxy looks names up")));
    let url = format!("http://no-such-host.invalid:{port}/x");
    let way = through(&format!("http://us:p%40ss@{address}"));
    assert_eq!(post(&client, &url, &way), Ok(204));
    let head = told.recv_timeout(WAIT_MAX).expect("it was asked");
    assert!(
        head.starts_with(&format!("CONNECT no-such-host.invalid:{port} HTTP/1.1\r\n")),
        "{head}"
    );
    assert!(
        head.to_lowercase()
            .contains("proxy-authorization: basic dxm6cebzcw=="),
        "{head}"
    );
    assert_eq!(server.seen()[0].body, "hello");
    assert!(server.seen()[0].header("proxy-authorization").is_empty());
}

#[test]
fn a_proxy_that_refuses_is_named_by_its_status_and_not_by_its_address() {
    let (address, _told) = proxy("407 Who are you");
    let way = through(&format!("http://us:PLANTED@{address}"));
    let error = post(&Client::default(), "http://example.invalid/", &way).expect_err("refused");
    assert!(
        matches!(&error, FetchError::Proxy(why) if why.contains("407")),
        "{error:?}"
    );
    assert!(!format!("{error} {error:?}").contains("PLANTED"));
    let nobody = through("http://127.0.0.1:1");
    let error = post(&Client::default(), "http://example.invalid/", &nobody).expect_err("nobody");
    assert!(matches!(error, FetchError::Connect(_)), "{error:?}");
}

#[test]
fn no_proxy_is_asked_for_a_metadata_service() {
    let (address, told) = proxy("200 Fine");
    for url in ["http://169.254.169.254/latest", "http://[fe80::1]/"] {
        let way = through(&format!("http://{address}"));
        let refused = post(&Client::default(), url, &way);
        assert_eq!(refused, Err(FetchError::RefusedAddress), "{url}");
    }
    assert!(told.is_empty());
}

#[test]
fn a_strict_target_reaches_no_private_address_nor_uses_a_connection_that_another_opened() {
    let server = Server::always(Answer::status(200));
    let name = |host: &str| server.base().replace("127.0.0.1", host) + "/";
    let client = Client::default();
    let strict = Via {
        allow_private: false,
        ..Via::DIRECT
    };
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(post(&client, &name(host), &Via::DIRECT), Ok(200), "{host}");
        let refused = post(&client, &name(host), &strict);
        assert_eq!(refused, Err(FetchError::PrivateAddress), "{host}");
    }
    assert_eq!(server.seen().len(), 2, "the strict one sent nothing");
}

/// A TLS server with a certificate of its own authority: its address, and the authority's PEM.
fn tls_server() -> (String, String) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("a certificate");
    let issuer = rcgen::Issuer::new(params, key);
    let own = rcgen::KeyPair::generate().expect("a key");
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .and_then(|params| params.signed_by(&own, &issuer))
        .expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("a key that fits");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
            let mut tls = rustls::StreamOwned::new(session, stream);
            let mut request = [0; 4096];
            if tls.read(&mut request).is_ok() {
                let _ = tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        }
    });
    (format!("https://localhost:{port}/"), authority.pem())
}

#[test]
fn an_authority_of_ones_own_is_trusted_by_who_names_it_and_by_nobody_else() {
    let (url, pem) = tls_server();
    let client = Client::default();
    let own = Via {
        authority: Some(Authority::new(&pem)),
        ..Via::DIRECT
    };
    assert_eq!(post(&client, &url, &own), Ok(200));
    let usual = post(&client, &url, &Via::DIRECT);
    assert!(matches!(usual, Err(FetchError::Tls(_))), "{usual:?}");
    let (_, other) = tls_server();
    let wrong = Via {
        authority: Some(Authority::new(&other)),
        ..Via::DIRECT
    };
    let refused = post(&client, &url, &wrong);
    assert!(matches!(refused, Err(FetchError::Tls(_))), "{refused:?}");
    let none = Via {
        authority: Some(Authority::new("nothing")),
        ..Via::DIRECT
    };
    assert_eq!(post(&client, &url, &none), Err(FetchError::BadAuthority));
}

#[test]
fn tls_goes_through_a_proxy_to_the_server_itself() {
    let (url, pem) = tls_server();
    let (address, told) = proxy("200 Fine");
    let way = Via {
        authority: Some(Authority::new(&pem)),
        ..through(&format!("http://{address}"))
    };
    assert_eq!(post(&Client::default(), &url, &way), Ok(200));
    let head = told.recv_timeout(WAIT_MAX).expect("it was asked");
    assert!(head.starts_with("CONNECT localhost:"), "{head}");
}

#[test]
fn threads_that_take_a_way_for_the_first_time_at_once_share_its_connections() {
    let met = std::sync::Barrier::new(4);
    // Answers only when four ask at once: each of them then has a connection of its own.
    let server = Server::start(move |_, _| {
        met.wait();
        Answer::status(200)
    });
    let client = Client::default();
    for _ in 0..2 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| post(&client, &format!("{}/", server.base()), &Via::DIRECT));
            }
        });
    }
    assert_eq!(server.seen().len(), 8);
    assert_eq!(
        server.connections(),
        4,
        "the second four use those of the first"
    );
}
