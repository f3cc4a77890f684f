//! Whether a target can be reached, without telling it anything: a connection, and nothing over it.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::model::target::TargetSpec;
use crate::notify::providers;

/// Connects to where `target` is, or to its proxy. None: it has no address. What is said names a host and a port, and
/// nothing behind them.
#[must_use]
pub fn knock(target: &TargetSpec, within: Duration) -> Option<Result<String, String>> {
    let own = providers::host(&target.provider);
    let url = match &target.via.proxy {
        Some(proxy) => proxy.expose().to_owned(),
        None => own,
    };
    let (host, port) = host_and_port(&url)?;
    let what = if target.via.proxy.is_some() {
        "its proxy".to_owned()
    } else {
        format!("{host}:{port}")
    };
    Some(connect(&host, port, within).map_or_else(
        |why| Err(format!("{what} cannot be reached: {why}")),
        |()| Ok(what.clone()),
    ))
}

fn connect(host: &str, port: u16, within: Duration) -> Result<(), String> {
    let addresses = (host, port)
        .to_socket_addrs()
        .map_err(|_| "its name is not known".to_owned())?;
    let mut why = "its name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, within) {
            Ok(_) => return Ok(()),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

/// Of `scheme://[user@]host[:port]…`.
fn host_and_port(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let place = authority.rsplit('@').next()?;
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let bare = |host: &str| {
        host.trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned()
    };
    match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => Some((bare(host), port.parse().ok()?)),
        _ if place.is_empty() => None,
        _ => Some((bare(place), usual)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_told_from_what_is_around_them() {
        let of = |url: &str| host_and_port(url);
        assert_eq!(
            of("https://a.example/x/secret"),
            Some(("a.example".into(), 443))
        );
        assert_eq!(
            of("http://u:p@127.0.0.1:81?q"),
            Some(("127.0.0.1".into(), 81))
        );
        assert_eq!(of("http://[::1]:8080/"), Some(("::1".into(), 8080)));
        assert_eq!(of("http://[::1]"), Some(("::1".into(), 80)));
        for none in ["exec://x", "nothing", "http://", "http://a:b"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
