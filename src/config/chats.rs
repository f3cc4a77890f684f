//! The chats that are reached by an address or a token and need no more reading than their keys, and the forms of
//! those keys. No fault of this file shows a secret.

use super::fault::{Wrong, wrong};
use super::fields::Fields;
use super::keys::{Key, Kind};
use super::read::{Reader, Typed};
use super::syntax::Node;
use crate::limits;
use crate::model::target::{
    GoogleChat, Gotify, Matrix, Mattermost, Ntfy, ProviderSpec, Pushover, Teams,
};

/// Pushover's address.
const PUSHOVER: &str = "https://api.pushover.net";

/// The provider of `kind`, if everything it needs could be read.
pub(super) fn provider(kind: &str, fields: &Fields) -> Option<ProviderSpec> {
    let secret = |path: &str| fields.secrets(path).first().cloned();
    let address = || secret("target.*.url");
    let token = || secret("target.*.token");
    let server = || fields.text_written("target.*.url");
    Some(match kind {
        "ntfy" => ProviderSpec::Ntfy(Ntfy {
            url: server()?,
            topic: secret("target.*.topic")?,
            token: token(),
        }),
        "mattermost" => ProviderSpec::Mattermost(Mattermost { url: address()? }),
        "google_chat" => ProviderSpec::GoogleChat(GoogleChat { url: address()? }),
        "teams" => ProviderSpec::Teams(Teams { url: address()? }),
        "matrix" => ProviderSpec::Matrix(Matrix {
            url: server()?,
            token: token()?,
            room: fields.text_written("target.*.room")?,
        }),
        "gotify" => ProviderSpec::Gotify(Gotify {
            url: server()?,
            token: token()?,
            client_token: secret("target.*.client_token"),
        }),
        "pushover" => ProviderSpec::Pushover(Pushover {
            url: server().unwrap_or_else(|| PUSHOVER.to_owned()),
            token: token()?,
            user: secret("target.*.user")?,
        }),
        _ => return None,
    })
}

/// A secret that is sent in a header.
fn check_token(text: &str) -> Result<(), Wrong> {
    if text.bytes().all(|b| b.is_ascii_graphic())
        && text.len() <= limits::HEADER_VALUE_BYTES_MAX / 2
    {
        return Ok(());
    }
    Err(wrong(
        "it is no token: it has blanks or other characters a token cannot have, or is too long",
        "the token as the service shows it",
    ))
}

/// The name of an ntfy topic, which becomes a part of a path.
fn check_topic(text: &str) -> Result<(), Wrong> {
    let is_good = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    if (1..=64).contains(&text.len()) && text.bytes().all(is_good) {
        return Ok(());
    }
    Err(wrong(
        "it is no topic",
        "1 to 64 letters, digits, _ and -, without the server's address",
    ))
}

/// A key of Pushover's, of an application, a user or a group.
fn check_pushover_key(text: &str) -> Result<(), Wrong> {
    if text.len() == 30 && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(wrong(
        "it is no key of Pushover's",
        "30 letters and digits, as pushover.net shows them",
    ))
}

/// The id of a Matrix room.
pub(super) fn room(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<Typed> {
    let word = reader.word(key, name, node)?;
    match check_room(&word.text) {
        Ok(()) => Some(Typed::Word(word)),
        Err(wrong) => {
            reader.fault(node.at, name, wrong);
            None
        }
    }
}

/// Whether it is one. Its alias is not enough: that can be moved to another room.
fn check_room(text: &str) -> Result<(), Wrong> {
    const RIGHT: &str = "the room's id from its advanced settings, as \"!abc:example.org\"";
    if text.starts_with('#') {
        return Err(wrong("it is an alias of a room", RIGHT));
    }
    let is_good = text.len() <= 255 && !text.contains(char::is_whitespace);
    match text.strip_prefix('!') {
        Some(rest) if is_good && !rest.is_empty() => Ok(()),
        Some(_) | None => Err(wrong("it is no room", RIGHT)),
    }
}

/// The secret's form, by what it opens.
pub(super) fn check(kind: Kind, secret: &str) -> Option<Result<(), Wrong>> {
    match kind {
        Kind::Token => Some(check_token(secret)),
        Kind::Topic => Some(check_topic(secret)),
        Kind::PushoverKey => Some(check_pushover_key(secret)),
        _ => None,
    }
}
