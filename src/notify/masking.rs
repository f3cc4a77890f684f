//! Secrets taken out of what is shown of a request, in each spelling that a request has them in. Pure.

use std::fmt::Write as _;

use super::attempt::redacted;
use crate::model::target::ProviderSpec;

/// Stands where a secret stood.
pub(super) const MASK: &str = "[redacted]";

/// Scheme and host, and behind them only what we have put there ourselves.
pub(super) fn url(url: &str, target: &ProviderSpec) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let mut out = format!("{scheme}://{host}");
    let mut word = String::new();
    for sign in path.chars().chain(['\0']) {
        if !matches!(sign, '/' | '?' | '&' | '=' | '#' | '\0') {
            word.push(sign);
            continue;
        }
        let is_secret = !word.is_empty()
            && (is_configured(&word, target) || is_configured(&decoded(&word), target));
        out.push_str(if is_secret { MASK } else { &word });
        word.clear();
        if sign != '\0' {
            out.push(sign);
        }
    }
    out
}

/// Whether `word` stands in a secret setting, or has one in it.
fn is_configured(word: &str, target: &ProviderSpec) -> bool {
    target.parts().iter().filter(|p| p.is_secret).any(|part| {
        let whole = part.text.expose();
        let mut words = whole.split(['/', '?', '&', '=', '#']);
        word.contains(whole) && !whole.is_empty() || words.any(|known| known == word)
    })
}

/// Names of headers whose values are keys, also in another spelling than they are configured in.
const KEYS: [&str; 5] = ["authorization", "cookie", "token", "key", "secret"];

/// The value of the header `name`.
pub(super) fn header(name: &str, value: &str, target: &ProviderSpec) -> String {
    let name = name.to_ascii_lowercase();
    if !KEYS.iter().any(|key| name.contains(key)) {
        return redacted(body(value.to_owned(), target), target);
    }
    match value.split_once(' ') {
        Some((scheme @ ("Bearer" | "Basic" | "Token"), _)) => format!("{scheme} {MASK}"),
        Some(_) | None => MASK.to_owned(),
    }
}

/// A body is of our own making: a secret stands in it whole, in one of its [`spellings`], or not at all.
pub(super) fn body(mut body: String, target: &ProviderSpec) -> String {
    // Variables of a program are often words and numbers, which stand elsewhere too.
    let shortest = if matches!(target, ProviderSpec::Exec(_)) {
        4
    } else {
        1
    };
    let parts = target.parts();
    let secrets = parts.iter().filter(|p| p.is_secret);
    for part in secrets.filter(|p| p.text.expose().len() >= shortest) {
        for form in spellings(part.text.expose()) {
            body = body.replace(&form, MASK);
        }
    }
    body
}

/// As it is, as JSON writes it, and as an address or a form does, with hexadecimal digits of either case.
fn spellings(whole: &str) -> Vec<String> {
    if whole.is_empty() {
        return Vec::new();
    }
    let quoted = serde_json::Value::from(whole).to_string();
    let quoted = quoted[1..quoted.len() - 1].to_owned();
    let mut forms = vec![whole.to_owned(), quoted];
    for unreserved in ["-._~", "-._~!$'()*,", "-._*"] {
        for is_upper in [true, false] {
            let coded = encoded(whole, (unreserved, is_upper));
            forms.push(coded.replace("%20", "+"));
            forms.push(coded);
        }
    }
    forms.sort_unstable();
    forms.dedup();
    // The longest first: what is part of another one would leave the rest of it.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms
}

fn encoded(text: &str, (unreserved, is_upper): (&str, bool)) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || unreserved.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else if is_upper {
            let _ = write!(out, "%{byte:02X}");
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out
}

fn decoded(word: &str) -> String {
    let bytes = word.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let coded = word
            .get(at + 1..at + 3)
            .filter(|_| *byte == b'%')
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(coded.unwrap_or(*byte));
        at += if coded.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::testing::webhook_to;
    use crate::secret::Secret;

    #[test]
    fn of_an_address_the_host_is_shown_and_nothing_that_was_configured_behind_it() {
        let target = webhook_to(Secret::new(
            "https://me:pw@hooks.test:8443/services/T0/abc?k=v",
        ));
        assert_eq!(
            url(
                "https://me:pw@hooks.test:8443/services/T0/abc?k=v&wait=true",
                &target
            ),
            "https://hooks.test:8443/[redacted]/[redacted]/[redacted]?[redacted]=[redacted]&wait=true"
        );
        assert_eq!(url("http://a.test/", &target), "http://a.test/");
    }

    #[test]
    fn keys_in_headers_and_bodies_are_masked_in_every_spelling() {
        let target = webhook_to(Secret::new("https://hooks.test/a\"bcdefgh"));
        let shown = |name: &str, value: &str| header(name, value, &target);
        assert_eq!(shown("Authorization", "Basic bWU6cHc="), "Basic [redacted]");
        assert_eq!(shown("X-Gotify-Key", "abc"), "[redacted]");
        assert_eq!(shown("user-agent", "jikimi/1"), "jikimi/1");
        let masked = body(
            r#"{"to": "https://hooks.test/a\"bcdefgh", "word": "hooks"}"#.to_owned(),
            &target,
        );
        assert_eq!(masked, r#"{"to": "[redacted]", "word": "hooks"}"#);
    }

    #[test]
    fn a_secret_is_masked_also_where_it_is_percent_encoded() {
        let secret = "https://a.test/p q/ü+x";
        let target = webhook_to(Secret::new(secret));
        for coded in [
            "https%3A%2F%2Fa.test%2Fp%20q%2F%C3%BC%2Bx",
            "https%3a%2f%2fa.test%2fp%20q%2f%c3%bc%2bx",
            "https%3A%2F%2Fa.test%2Fp+q%2F%C3%BC%2Bx",
            secret,
        ] {
            let said = format!("to={coded}&x=1");
            assert_eq!(body(said, &target), "to=[redacted]&x=1", "{coded}");
        }
        for (coded, shown) in [
            ("http://b.test/v/p%20q", "http://b.test/v/[redacted]"),
            ("http://b.test/%C3%BC%2Bx/v", "http://b.test/[redacted]/v"),
            ("http://b.test/%c3%bc%2bx", "http://b.test/[redacted]"),
            ("http://b.test/100%", "http://b.test/100%"),
            ("http://b.test/%zz%é", "http://b.test/%zz%é"),
        ] {
            assert_eq!(url(coded, &target), shown);
        }
    }
}
