//! The client against a real server that behaves as badly as servers do.

use std::io;
use std::time::Duration;

use crossbeam::channel::bounded;

use super::testing::{Answer, Server, WAIT_MAX};
use super::*;

const SHORT: Duration = Duration::from_millis(300);

fn client() -> Client {
    Client::default()
}

fn post_body(
    client: &Client,
    url: &Secret,
    body: &[u8],
    timeout: Duration,
) -> Result<Response, FetchError> {
    client.post(&Request {
        url,
        headers: &[("x-token".to_owned(), Secret::new("tok"))],
        body,
        timeout,
        via: &Via::DIRECT,
    })
}

fn post(client: &Client, url: &Secret, timeout: Duration) -> Result<Response, FetchError> {
    post_body(client, url, b"hello", timeout)
}

#[test]
fn an_answer_comes_back_whatever_its_status_and_the_connection_is_kept() {
    let server = Server::start(|_, n| Answer::body([200, 404, 500, 204][n], "said"));
    let client = client();
    for status in [200, 404, 500, 204] {
        let response = post(&client, &server.url("/hook?a=b"), WAIT_MAX).expect("an answer");
        assert_eq!(response.status, status);
    }
    let seen = server.seen();
    assert_eq!(seen[0].path, "/hook?a=b");
    assert_eq!(seen[0].body, "hello");
    assert_eq!(seen[0].header("x-token"), "tok");
    assert_eq!(server.connections(), 1, "one connection carries all four");
}

#[test]
fn every_method_reaches_its_server_by_the_same_rules() {
    let server = Server::always(Answer::status(204));
    let client = client();
    let methods = [Method::Post, Method::Put, Method::Patch, Method::Delete];
    for method in methods {
        let request = Request {
            url: &server.url("/m"),
            headers: &[("x-token".to_owned(), Secret::new("tok"))],
            body: b"hello",
            timeout: WAIT_MAX,
            via: &Via::DIRECT,
        };
        let response = client.send(method, &request).expect("an answer");
        assert_eq!(response.status, 204);
    }
    let seen = server.seen();
    for (seen, method) in seen.iter().zip(methods) {
        let body = if method == Method::Delete {
            ""
        } else {
            "hello"
        };
        assert_eq!((&*seen.method, &*seen.body), (method.as_str(), body));
        assert_eq!(seen.header("x-token"), "tok");
    }
    assert_eq!(seen.len(), 4);
    assert_eq!(server.connections(), 1, "one connection carries all four");
}

#[test]
fn a_redirect_is_returned_and_not_followed() {
    let server = Server::always(Answer::header(302, "location", "/elsewhere"));
    let response = post(&client(), &server.url("/"), WAIT_MAX).expect("an answer");
    assert_eq!(response.status, 302);
    assert_eq!(response.header("location"), Some("/elsewhere"));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_server_that_never_answers_or_trickles_bytes_is_left_at_the_deadline() {
    for (answer, phase) in [
        (Answer::Hang, Phase::Response),
        (Answer::TrickleHeaders, Phase::Response),
        (Answer::TrickleBody, Phase::Body),
    ] {
        let server = Server::always(answer.clone());
        let result = post(&client(), &server.url("/"), SHORT);
        assert_eq!(result, Err(FetchError::Timeout(phase)), "{answer:?}");
    }
}

#[test]
fn a_server_that_never_reads_or_only_sips_is_left_at_the_deadline() {
    for server in [Server::deaf(), Server::sipping()] {
        let result = post_body(&client(), &server.url("/"), &vec![b'x'; 16 << 20], SHORT);
        assert_eq!(result, Err(FetchError::Timeout(Phase::Send)));
    }
}

#[test]
fn a_server_that_closes_early_or_speaks_another_protocol_is_an_error() {
    let server = Server::always(Answer::Close);
    let result = post(&client(), &server.url("/"), WAIT_MAX);
    assert_eq!(result, Err(FetchError::Closed));
    assert_eq!(
        server.seen().len(),
        1,
        "a fresh connection is not tried twice"
    );
    let server = Server::always(Answer::Garbage);
    let result = post(&client(), &server.url("/"), WAIT_MAX);
    assert_eq!(result, Err(FetchError::Malformed));
}

#[test]
fn an_endless_body_is_cut_at_its_limit() {
    let server = Server::always(Answer::Endless);
    let response = post(&client(), &server.url("/"), WAIT_MAX).expect("an answer");
    assert_eq!(response.body.len() as u64, limits::RESPONSE_BODY_MAX);
}

#[test]
fn a_kept_connection_that_was_closed_meanwhile_is_replaced_once() {
    let server = Server::start(|_, n| match n {
        0 => Answer::ReplyAndLeave(200),
        _ => Answer::status(201),
    });
    let client = client();
    let url = server.url("/");
    assert_eq!(post(&client, &url, WAIT_MAX).map(|r| r.status), Ok(200));
    assert_eq!(post(&client, &url, WAIT_MAX).map(|r| r.status), Ok(201));
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_port_nobody_listens_on_and_a_host_nobody_knows_are_errors() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = Secret::new(format!("http://{}/", free.local_addr().expect("bound")));
    drop(free);
    assert_eq!(
        post(&client(), &url, WAIT_MAX),
        Err(FetchError::Connect(io::ErrorKind::ConnectionRefused))
    );
    let nobody = Client::with_lookup(Box::new(|_| Ok(Vec::new())));
    assert_eq!(
        post(&nobody, &Secret::new("http://nobody.test/"), WAIT_MAX),
        Err(FetchError::NoSuchHost)
    );
}

#[test]
fn metadata_addresses_are_refused_as_literals_and_as_what_a_name_resolves_to() {
    let client = Client::with_lookup(Box::new(|_| {
        Ok(vec!["169.254.169.254:0".parse().expect("an address")])
    }));
    for url in [
        "http://169.254.169.254/latest",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]:8080/",
        "http://rebound.test/",
    ] {
        let result = post(&client, &Secret::new(url), WAIT_MAX);
        assert_eq!(result, Err(FetchError::RefusedAddress), "{url}");
    }
}

#[test]
fn a_hanging_lookup_holds_only_its_own_thread() {
    let server = Server::always(Answer::status(200));
    let (release, held) = bounded::<()>(0);
    let client = Client::with_lookup(Box::new(move |_| {
        let _ = held.recv_timeout(WAIT_MAX);
        Ok(vec!["127.0.0.1:0".parse().expect("an address")])
    }));
    for _ in 0..3 {
        let result = post(&client, &Secret::new("http://hanging.test/"), SHORT);
        assert_eq!(result, Err(FetchError::ResolverStuck));
    }
    let literal = post(&client, &server.url("/"), WAIT_MAX).map(|r| r.status);
    assert_eq!(literal, Ok(200), "addresses need no lookup");
    drop(release);
}

#[test]
fn names_are_looked_up_once_and_then_remembered() {
    let server = Server::always(Answer::status(200));
    let (asked, questions) = bounded(16);
    let client = Client::with_lookup(Box::new(move |host| {
        let _ = asked.try_send(host.to_owned());
        Ok(vec!["127.0.0.1:0".parse().expect("an address")])
    }));
    let url = Secret::new(server.base().replace("127.0.0.1", "named.test"));
    for _ in 0..3 {
        assert_eq!(post(&client, &url, WAIT_MAX).map(|r| r.status), Ok(200));
    }
    assert_eq!(questions.try_iter().collect::<Vec<_>>(), ["named.test"]);
}

#[test]
fn addresses_that_are_no_http_urls_are_refused_without_repeating_them() {
    let client = client();
    for url in [
        "",
        "hooks.example/PLANTED",
        "ftp://example/PLANTED",
        "http://",
        "http:///PLANTED",
        "http://exa mple/PLANTED",
        "unix:///PLANTED",
    ] {
        let error = post(&client, &Secret::new(url), WAIT_MAX).expect_err("not an address");
        assert_eq!(error, FetchError::BadUrl, "{url}");
        assert!(!format!("{error} {error:?}").contains("PLANTED"));
    }
    let error = client
        .post(&Request {
            url: &Secret::new("http://127.0.0.1:1/"),
            headers: &[("x-a".to_owned(), Secret::new("PLANTED\n"))],
            body: b"",
            timeout: SHORT,
            via: &Via::DIRECT,
        })
        .expect_err("a line break cannot stand in a header");
    assert_eq!(error, FetchError::BadHeader("x-a".to_owned()));
}

#[test]
fn a_user_in_the_address_becomes_basic_authentication() {
    let server = Server::always(Answer::status(200));
    let url = Secret::new(server.base().replace("://", "://me:p%40ss@") + "/x");
    assert_eq!(post(&client(), &url, WAIT_MAX).map(|r| r.status), Ok(200));
    let seen = server.seen();
    assert_eq!(seen[0].header("authorization"), "Basic bWU6cEBzcw==");
    assert!(!seen[0].header("host").contains("me"));
}

#[test]
fn a_server_that_never_begins_tls_is_left_at_the_deadline() {
    let server = Server::deaf();
    let url = Secret::new(server.base().replace("http://", "https://"));
    assert_eq!(
        post(&client(), &url, SHORT),
        Err(FetchError::Timeout(Phase::Connect))
    );
}
