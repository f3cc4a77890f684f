//! How targets are reached: `proxy`, `ca_file` and `allow_private` of `[notify]` and of each target.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fault::{Wrong, wrong};
use super::fields::{Block, Fields};
use super::read::Reader;
use super::secrets::check_url;
use super::source::read_text;
use crate::limits;
use crate::model::via::{Authority, Via};
use crate::secret::Secret;

/// At a target: no proxy although there is one for all.
const NO_PROXY: &str = "none";

/// The way for targets that do not say otherwise.
pub(super) fn of_notify(reader: &mut Reader<'_>, root: &Fields) -> Via {
    let via = Via {
        allow_private: root.switch("notify.allow_private"),
        proxy: proxy(root, "notify.proxy", None),
        authority: authority(reader, (root, "notify.ca_file"), "notify.ca_file"),
    };
    check(reader, (root, "notify.proxy"), ("notify", &via));
    via
}

/// The way of one target, under the `usual` one.
pub(super) fn of_target(reader: &mut Reader<'_>, block: &Block, usual: &Via) -> Via {
    const PROXY: &str = "target.*.proxy";
    const PRIVATE: &str = "target.*.allow_private";
    let fields = &block.fields;
    let own = authority(
        reader,
        (fields, "target.*.ca_file"),
        &format!("{}.ca_file", block.shown),
    );
    let via = Via {
        allow_private: fields.switch_or(PRIVATE, usual.allow_private),
        proxy: proxy(fields, PROXY, usual.proxy.clone()),
        authority: own.or_else(|| usual.authority.clone()),
    };
    let decides = [PROXY, PRIVATE]
        .into_iter()
        .find(|k| fields.place(k).is_some());
    if let Some(key) = decides {
        check(reader, (fields, key), (&block.shown, &via));
    }
    via
}

fn proxy(fields: &Fields, key: &str, usual: Option<Secret>) -> Option<Secret> {
    match fields.secrets(key).first() {
        None => usual,
        Some(word) if word.expose() == NO_PROXY => None,
        Some(address) => Some(address.clone()),
    }
}

/// A proxy looks names up itself: what it connects to is not seen.
fn check(reader: &mut Reader<'_>, (fields, key): (&Fields, &str), (shown, via): (&str, &Via)) {
    if via.allow_private || via.proxy.is_none() {
        return;
    }
    if let Some(at) = fields.place(key) {
        let what = "with a proxy allow_private = false cannot be kept: the proxy looks names up";
        let right = "leave one of them out, and let the proxy decide";
        let last = key.rsplit('.').next().unwrap_or(key);
        reader.fault(at, &format!("{shown}.{last}"), wrong(what, right));
    }
}

fn authority(
    reader: &mut Reader<'_>,
    (fields, key): (&Fields, &str),
    full: &str,
) -> Option<Authority> {
    let (path, _) = fields.path(key)?;
    let at = fields.place(key)?;
    let read = read_text(path, limits::CA_FILE_BYTES_MAX)
        .map_err(|w| wrong(format!("the file of certificates: {}", w.what), w.right))
        .and_then(|pem| check_pem(&pem).map(|()| Authority::new(&pem)));
    read.map_err(|w| reader.fault(at, full, w)).ok()
}

/// At least one certificate (RFC 7468), and every one in base64 that begins as DER does.
fn check_pem(pem: &str) -> Result<(), Wrong> {
    const RIGHT: &str = "PEM: -----BEGIN CERTIFICATE----- and so on";
    let mut blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1).peekable();
    if blocks.peek().is_none() {
        return Err(wrong("the file holds no certificate", RIGHT));
    }
    for block in blocks {
        let (body, _) = block
            .split_once("-----END CERTIFICATE-----")
            .ok_or_else(|| wrong("a certificate in the file has no end", RIGHT))?;
        let packed: String = body.split_ascii_whitespace().collect();
        let is_der = STANDARD
            .decode(packed)
            .is_ok_and(|der| der.first() == Some(&0x30));
        if !is_der {
            return Err(wrong("a certificate in the file is damaged", RIGHT));
        }
    }
    Ok(())
}

/// `none`, or where an HTTP proxy is, perhaps with a user and password.
pub(super) fn check_proxy(text: &str) -> Result<(), Wrong> {
    const RIGHT: &str = "http://host:port, or \"none\"";
    if text == NO_PROXY {
        return Ok(());
    }
    if text.to_ascii_lowercase().starts_with("socks") {
        return Err(wrong("socks proxies are not available", RIGHT));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(wrong("it does not begin with http:// or https://", RIGHT));
    };
    let bare = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if !bare
        .trim_end_matches('/')
        .bytes()
        .all(|b| b != b'/' && b != b'?')
    {
        return Err(wrong("it has a path, which no proxy has", RIGHT));
    }
    check_url(&format!("{scheme}://{bare}")).map_err(|w| wrong(w.what, RIGHT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_checked_and_never_repeated() {
        for good in [
            "none",
            "http://127.0.0.1:3128",
            "http://user:p%40ss@proxy.lan:8080/",
            "https://proxy.lan",
        ] {
            assert_eq!(check_proxy(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "proxy:3128",
            "socks5://secret:1080",
            "ftp://secret",
            "http://user:secret@",
            "http://host/secret",
            "http://host:0",
        ] {
            let error = check_proxy(bad).expect_err(bad);
            assert!(!format!("{error:?}").contains("secret"), "{bad}: {error:?}");
        }
    }

    #[test]
    fn a_file_of_certificates_holds_one_and_whole_ones() {
        let good = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert_eq!(check_pem(good), Ok(()));
        assert_eq!(check_pem(&format!("comment\n{good}{good}")), Ok(()));
        for bad in [
            "",
            "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
            "-----BEGIN CERTIFICATE-----\nMAA=\n",
            "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert!(check_pem(bad).is_err(), "{bad}");
        }
    }
}
