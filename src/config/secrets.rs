//! Secret values: addresses, tokens, signing keys, headers, each also as `{ file = … }`. No fault of this file
//! shows a value, not even a wrong one. Part of [`super::read`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_PAD_INDIFFERENT;

use super::env::{absolute_in, expand};
use super::fault::{Wrong, wrong};
use super::keys::{Key, Kind};
use super::read::{Reader, Typed};
use super::source::read_text;
use super::syntax::{Node, Value};
use crate::limits;
use crate::secret::Secret;

/// A secret that its key's kind says how to check.
pub(super) fn single(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<Typed> {
    let text = text(reader, key, name, node)?;
    let checked = match key.kind {
        Kind::BotToken => check_bot_token(&text),
        Kind::SlackToken => check_slack_token(&text),
        Kind::RoutingKey => super::machines::check(key.kind, &text),
        Kind::Proxy => super::via::check_proxy(&text),
        kind => super::chats::check(kind, &text).unwrap_or_else(|| check_url(&text)),
    };
    if let Err(wrong) = checked {
        reader.fault(node.at, name, wrong);
        return None;
    }
    Some(Typed::Secrets(vec![Secret::new(text)]))
}

/// One signing key or a list of them.
pub(super) fn signing_keys(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    let nodes = match &node.value {
        Value::List(list) if list.is_empty() => {
            let w = wrong("the list is empty", "name a secret, or leave the key out");
            reader.fault(node.at, name, w);
            return None;
        }
        Value::List(list) => list.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut secrets = Vec::new();
    for item in nodes {
        let Some(text) = text(reader, key, name, item) else {
            continue;
        };
        match check_signing_key(&text) {
            Ok(()) => secrets.push(Secret::new(text)),
            Err(wrong) => reader.fault(item.at, name, wrong),
        }
    }
    (secrets.len() == nodes.len()).then_some(Typed::Secrets(secrets))
}

/// Request headers, or variables of an environment.
pub(super) fn headers(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    let Value::Table(table) = &node.value else {
        return reader.wrong_type(key, name, node);
    };
    let mut headers = Vec::new();
    for (header, entry) in table {
        let full = format!("{name}.{}", crate::text::printable(header.as_bytes()));
        if let Err(wrong) = check_name(key.kind, header) {
            reader.fault(entry.at, &full, wrong);
            continue;
        }
        let Some(text) = text(reader, key, &full, &entry.node) else {
            continue;
        };
        match check_value(key.kind, &text) {
            Ok(()) => headers.push((header.clone(), Secret::new(text))),
            Err(wrong) => reader.fault(entry.node.at, &full, wrong),
        }
    }
    (headers.len() == table.len()).then_some(Typed::Headers(headers))
}

/// The secret itself: a text, whose variables are noted, or what a file holds.
fn text(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<String> {
    let result = match &node.value {
        Value::Text(raw) => {
            // Noted first: a variable of a secret that is wrong is still a secret.
            if let Ok(expanded) = expand(raw, reader.env) {
                reader.secret_variables.extend(expanded.variables);
            }
            return reader.fill_in(node.at, name, raw).and_then(|word| {
                if word.text.is_empty() {
                    let w = wrong("it is empty", "write the secret, or leave the key out");
                    reader.fault(node.at, name, w);
                    return None;
                }
                Some(word.text)
            });
        }
        Value::Table(table) => match (table.get("file"), table.len()) {
            (Some(entry), 1) => {
                let path = reader.word(key, name, &entry.node)?;
                let path = absolute_in(reader.sources.folder(node.at), path.text.as_ref());
                read_secret(&path)
            }
            _ => Err(wrong(
                "a table here names a file and nothing else",
                "{ file = \"secrets/x\" }",
            )),
        },
        _ => Err(wrong(
            format!("{} cannot stand here", node.value.describe()),
            "a text in \"quotes\", or { file = \"secrets/x\" }",
        )),
    };
    result.map_err(|w| reader.fault(node.at, name, w)).ok()
}

/// What a secret's file holds, without the line ends behind it.
fn read_secret(path: &std::path::Path) -> Result<String, Wrong> {
    let file_is = |w: Wrong| wrong(format!("the secret's file: {}", w.what), w.right);
    let text = read_text(path, limits::SECRET_FILE_BYTES_MAX).map_err(file_is)?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(wrong(
            "the secret's file is empty",
            "put the secret into it",
        ));
    }
    if text.contains('\0') {
        return Err(wrong(
            "the secret's file has a NUL character",
            "take it out",
        ));
    }
    Ok(text.to_owned())
}

/// `http://` or `https://`, a host, perhaps a port; no user or password, no blanks.
pub(super) fn check_url(url: &str) -> Result<(), Wrong> {
    const RIGHT: &str = "an address as https://host/path";
    let rest = match url.split_once("://") {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") =>
        {
            rest
        }
        _ => return Err(wrong("it does not begin with https:// or http://", RIGHT)),
    };
    if !url.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(wrong(
            "it has blanks or characters an address cannot have",
            RIGHT,
        ));
    }
    if rest.contains('#') {
        return Err(wrong(
            "it has a # part, which is never sent",
            "leave that part out",
        ));
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(wrong(
            "it has a user or password",
            "leave them out; a webhook can send them as headers",
        ));
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6
            .split_once(']')
            .ok_or_else(|| wrong("its host is not closed", RIGHT))?,
        None => match authority.find(':') {
            Some(at) => authority.split_at(at),
            None => (authority, ""),
        },
    };
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
    if host.is_empty() || !host.bytes().all(is_host) {
        return Err(wrong("it has no host, or none that could be", RIGHT));
    }
    if !port.is_empty() && port[1..].parse::<u16>().ok().is_none_or(|p| p == 0) {
        return Err(wrong("its port is no number from 1 to 65535", RIGHT));
    }
    Ok(())
}

/// Standard Webhooks, ed25519: `whsk_` and the base64, padded or not, of the seed and the public key that belongs to it.
fn check_key_pair(encoded: &str) -> Result<(), Wrong> {
    const RIGHT: &str =
        "whsk_ and the base64 of the 32 bytes of the seed and the 32 of its public key";
    let key = STANDARD_PAD_INDIFFERENT
        .decode(encoded)
        .map_err(|_| wrong("it is no base64 behind whsk_", RIGHT))?;
    if key.len() != 64 {
        return Err(wrong(format!("its key has {} bytes", key.len()), RIGHT));
    }
    let (seed, public) = key.split_at(32);
    ring::signature::Ed25519KeyPair::from_seed_and_public_key(seed, public)
        .map(|_| ())
        .map_err(|_| wrong("its public key does not belong to its seed", RIGHT))
}

/// Standard Webhooks: `whsec_` and the base64, padded or not, of 24 to 64 bytes.
fn check_signing_key(text: &str) -> Result<(), Wrong> {
    const RIGHT: &str = "whsec_ and the base64 of 24 to 64 random bytes";
    if let Some(pair) = text.strip_prefix("whsk_") {
        return check_key_pair(pair);
    }
    let Some(encoded) = text.strip_prefix("whsec_") else {
        return Err(wrong("it does not begin with whsec_", RIGHT));
    };
    let key = STANDARD_PAD_INDIFFERENT
        .decode(encoded)
        .map_err(|_| wrong("it is no base64 behind whsec_", RIGHT))?;
    if !(24..=64).contains(&key.len()) {
        return Err(wrong(format!("its key has {} bytes", key.len()), RIGHT));
    }
    Ok(())
}

/// It becomes a part of the request's path, so nothing else can be in it.
fn check_bot_token(text: &str) -> Result<(), Wrong> {
    let good = text.split_once(':').is_some_and(|(bot, key)| {
        let is_key = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        !bot.is_empty()
            && bot.bytes().all(|b| b.is_ascii_digit())
            && !key.is_empty()
            && key.bytes().all(is_key)
    });
    if good {
        return Ok(());
    }
    Err(wrong(
        "it is no token of a bot",
        "digits, a colon and the key, as @BotFather gives it",
    ))
}

/// It becomes a header.
fn check_slack_token(text: &str) -> Result<(), Wrong> {
    if text.starts_with("xox") && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(wrong(
        "it is no token of Slack's",
        "the bot token as Slack shows it, which begins with xoxb-",
    ))
}

/// Headers that belong to the message or the connection.
const OWN_HEADERS: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn check_name(kind: Kind, name: &str) -> Result<(), Wrong> {
    match kind {
        Kind::Sealed => super::machines::check_variable(name),
        _ => check_header_name(name),
    }
}

/// A variable may have any value but one with a NUL, which no text here has.
fn check_value(kind: Kind, value: &str) -> Result<(), Wrong> {
    match kind {
        Kind::Sealed => Ok(()),
        _ => check_header_value(value),
    }
}

fn check_header_name(name: &str) -> Result<(), Wrong> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(wrong("it is no name of a header", "letters, digits and -"));
    }
    let lower = name.to_ascii_lowercase();
    if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("webhook-") {
        return Err(wrong("jikimi sets this header itself", "leave it out"));
    }
    Ok(())
}

fn check_header_value(value: &str) -> Result<(), Wrong> {
    if value.len() > limits::HEADER_VALUE_BYTES_MAX {
        let right = format!("{} bytes at the most", limits::HEADER_VALUE_BYTES_MAX);
        return Err(wrong("it is too long for a header", right));
    }
    if !value.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err(wrong(
            "it has characters that a header cannot have",
            "plain ASCII on one line",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_never_repeated() {
        for good in [
            "https://discord.com/api/webhooks/1/abc",
            "http://127.0.0.1:9119/",
            "HTTPS://host",
            "https://[::1]:8080/x?y=z",
            "http://host_1.lan:1/a:b@c",
        ] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "discord.com/api",
            "ftp://secret",
            "https://",
            "https:///secret",
            "https://a b/secret",
            "https://user:secret@host/",
            "https://host:0/secret",
            "https://host:99999/",
            "https://host:/x",
            "https://[::1/secret",
            "https://ho\"st/secret",
            "https://host/secret#part",
            "https://호스트/",
        ] {
            let error = check_url(bad).expect_err(bad);
            assert!(!format!("{error:?}").contains("secret"), "{bad}: {error:?}");
        }
    }

    #[test]
    fn signing_keys_have_24_to_64_bytes_padded_or_not() {
        let key = |n: usize| {
            format!(
                "whsec_{}",
                base64::engine::general_purpose::STANDARD.encode(vec![7; n])
            )
        };
        for n in [24, 25, 26, 64] {
            assert_eq!(check_signing_key(&key(n)), Ok(()), "{n}");
            assert_eq!(
                check_signing_key(key(n).trim_end_matches('=')),
                Ok(()),
                "{n} unpadded"
            );
        }
        for bad in [
            key(23),
            key(65),
            "whsec_".to_owned(),
            "whsec_?".to_owned(),
            "hunter2".to_owned(),
        ] {
            assert!(check_signing_key(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_pair_is_one_whose_halves_belong_together() {
        let good = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
        assert_eq!(check_signing_key(good), Ok(()));
        assert_eq!(check_signing_key(good.trim_end_matches('=')), Ok(()));
        for bad in [
            "whsk_",
            "whsk_?",
            "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=",
        ] {
            assert!(check_signing_key(bad).is_err(), "{bad}");
        }
        assert!(check_signing_key(&good.replace("VKID", "VKIE")).is_err());
    }

    #[test]
    fn headers_of_the_message_itself_are_not_overridden() {
        for name in [
            "Host",
            "content-length",
            "Webhook-Id",
            "webhook-signature",
            "",
            "a b",
            "x:",
        ] {
            assert!(check_header_name(name).is_err(), "{name}");
        }
        for name in ["Authorization", "X-Token", "Content-Type"] {
            assert_eq!(check_header_name(name), Ok(()), "{name}");
        }
        assert!(check_header_value("a\r\nHost: evil").is_err());
        assert_eq!(check_header_value("Bearer x"), Ok(()));
    }

    #[test]
    fn a_bot_token_cannot_change_the_path_it_becomes_a_part_of() {
        assert_eq!(check_bot_token("123456:AAH-x_y"), Ok(()));
        for bad in ["", "AAH", "1:", ":x", "1:x/../y", "1:x?y", "x:y"] {
            assert!(check_bot_token(bad).is_err(), "{bad}");
        }
    }
}
