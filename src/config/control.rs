//! `[control]` to its settings: the socket, the address over TCP, and who may ask there.

use std::net::{Ipv4Addr, SocketAddr};

use super::fault::wrong;
use super::fields::Fields;
use super::read::Reader;
use super::source::Sources;
use crate::limits;
use crate::model::control::{Access, ControlSettings};
use crate::model::settings::SupervisorSettings;
use crate::secret::Secret;

const SOCKET: &str = "control.socket";
const HTTP: &str = "control.http";
const TOKEN: &str = "control.token";
const READ_TOKEN: &str = "control.read_token";
const HOSTS: &str = "control.hosts";
const SOCKET_NAME: &str = "jikimi.sock";

/// The settings.
pub(super) fn control(
    (reader, odd): (&mut Reader<'_>, &mut Reader<'_>),
    root: &Fields,
    supervisor: &SupervisorSettings,
) -> ControlSettings {
    let socket = root.path_or(SOCKET, || supervisor.state_dir.join(SOCKET_NAME));
    let bytes = socket.as_os_str().len();
    let max = limits::SOCKET_PATH_BYTES_MAX;
    if bytes > max {
        let (key, at) = match (root.place(SOCKET), root.place("supervisor.state_dir")) {
            (Some(at), _) => (SOCKET, at),
            (None, Some(at)) => ("supervisor.state_dir", at),
            (None, None) => ("supervisor.state_dir", Sources::start()),
        };
        let what =
            format!("the path of the socket has {bytes} bytes, {max} at the most are possible");
        reader.fault(at, key, wrong(what, "choose a shorter path"));
    }
    let access = access(reader, root);
    let http = http(reader, root, &access);
    let others = [TOKEN, READ_TOKEN, HOSTS];
    if root.place(HTTP).is_none()
        && let Some((key, at)) = others.iter().find_map(|key| Some((key, root.place(key)?)))
    {
        let what = "it is about HTTP, and there is no address for that";
        odd.fault(at, key, wrong(what, "give control.http, or leave it out"));
    }
    ControlSettings {
        socket,
        http,
        access,
    }
}

fn access(reader: &mut Reader<'_>, root: &Fields) -> Access {
    let mut token = |key: &str| -> Option<Secret> {
        let secret = root.secrets(key).first()?;
        if secret.expose().chars().count() < limits::TOKEN_CHARS_MIN
            && let Some(at) = root.place(key)
        {
            let what = "it is so short that it could be guessed";
            let right = format!(
                "{} characters at the least, as `openssl rand -hex 24` makes them",
                limits::TOKEN_CHARS_MIN
            );
            reader.fault(at, key, wrong(what, right));
        }
        Some(secret.clone())
    };
    let (full, read) = (token(TOKEN), token(READ_TOKEN));
    if let (Some(_), true, Some(at)) = (&full, full == read, root.place(READ_TOKEN)) {
        let what = "it is the same as control.token, which may do everything";
        reader.fault(at, READ_TOKEN, wrong(what, "another one"));
    }
    let hosts = root.words(HOSTS).iter();
    Access {
        token: full,
        read_token: read,
        hosts: hosts.map(|word| word.text.to_ascii_lowercase()).collect(),
    }
}

fn http(reader: &mut Reader<'_>, root: &Fields, access: &Access) -> Option<SocketAddr> {
    let word = root.word(HTTP)?;
    let Some(address) = address(&word.text) else {
        let what = "it is not an address of this machine with a port";
        let right = "for example \"127.0.0.1:9110\" or \"[::1]:9110\"";
        reader.fault(word.at, HTTP, wrong(what, right));
        return None;
    };
    let is_open = access.token.is_none() && access.read_token.is_none();
    // A token that is written and wrong has its own fault.
    let is_written = root.place(TOKEN).is_some() || root.place(READ_TOKEN).is_some();
    if is_open && !is_written && !address.ip().is_loopback() {
        let what = "others could reach it there, and everybody may read without a token";
        let right = "give control.token or control.read_token, or listen on 127.0.0.1";
        reader.fault(word.at, HTTP, wrong(what, right));
    }
    Some(address)
}

/// An address, or `localhost`, with a port. Other names would have to be asked for while a file is read.
fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?))),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_needs_nobody_to_look_it_up() {
        for (text, address_of) in [
            ("localhost:9110", Some("127.0.0.1:9110")),
            ("127.0.0.1:0", Some("127.0.0.1:0")),
            ("[::]:80", Some("[::]:80")),
            ("example.org:80", None),
            ("localhost", None),
            ("localhost:x", None),
            ("127.0.0.1", None),
            (":9110", None),
        ] {
            let expected = address_of.map(|a| a.parse().expect("an address"));
            assert_eq!(address(text), expected, "{text}");
        }
    }
}
