//! What a program wants of the operating system: user, groups, mask, priority, limits, session. Reads the values, and
//! says at load what could not be done at the start.

use super::accounts;
use super::fault::{Wrong, did_you_mean, shown, wrong};
use super::fields::Block;
use super::keys::Key;
use super::read::{Reader, Typed, Word, filled};
use super::source::At;
use super::syntax::{Node, Value};
use crate::model::os::{Account, Identity, LIMIT_NAMES, Limit, OsSettings};
use crate::model::program::Environment;
use crate::text;

const USER: &str = "program.*.user";
const GROUP: &str = "program.*.group";
const FURTHER: &str = "program.*.supplementary_groups";

/// The name or number of a user or group.
pub(super) fn account(
    reader: &mut Reader<'_>,
    key: &Key,
    name: &str,
    node: &Node,
) -> Option<Typed> {
    let word = match &node.value {
        Value::Integer(i) => Word {
            at: node.at,
            raw: i.to_string(),
            text: i.to_string(),
        },
        _ => reader.word(key, name, node)?,
    };
    match filled(&word) {
        Ok(()) => Some(Typed::Word(word)),
        Err(wrong) => {
            reader.fault(node.at, name, wrong);
            None
        }
    }
}

/// Octal digits.
pub(super) fn umask(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<Typed> {
    if let Value::Integer(_) = node.value {
        // 22 and 0o22 look the same from here, and mean different masks.
        let w = wrong("a mask is written in octal", "in quotes, as \"022\"");
        reader.fault(node.at, name, w);
        return None;
    }
    let word = reader.word(key, name, node)?;
    let digits = word.text.len() <= 4 && word.text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mask = i64::from_str_radix(&word.text, 8)
        .ok()
        .filter(|mask| digits && *mask <= 0o777);
    if mask.is_none() {
        let what = format!("{} is no mask", shown(&word.raw));
        reader.fault(
            node.at,
            name,
            wrong(what, "octal digits, from \"000\" to \"777\""),
        );
    }
    mask.map(Typed::Integer)
}

/// `{ nofile = 65536, core = "unlimited", as = "1GiB:2GiB" }`.
pub(super) fn limits(reader: &mut Reader<'_>, key: &Key, name: &str, node: &Node) -> Option<Typed> {
    let Value::Table(table) = &node.value else {
        return reader.wrong_type(key, name, node);
    };
    let mut limits = Vec::new();
    for (limit, entry) in table {
        let full = format!("{name}.{}", text::printable(limit.as_bytes()));
        let Some(known) = LIMIT_NAMES.iter().find(|known| *known == limit) else {
            let what = format!("{} is no limit", shown(limit));
            let right = did_you_mean(limit, LIMIT_NAMES.iter().copied())
                .unwrap_or_else(|| format!("one of {}", LIMIT_NAMES.join(", ")));
            reader.fault(entry.at, &full, wrong(what, right));
            continue;
        };
        let at = entry.node.at;
        let bounds = match &entry.node.value {
            Value::Integer(i) => bounds(&i.to_string()),
            Value::Text(raw) => match reader.fill_in(at, &full, raw) {
                Some(word) => bounds(&word.text),
                None => continue,
            },
            other => Err(wrong(
                format!("{} cannot stand here", other.describe()),
                LIMIT_FORMS,
            )),
        };
        match bounds {
            Ok((soft, hard)) => limits.push(Limit {
                name: known,
                soft,
                hard,
            }),
            Err(wrong) => reader.fault(at, &full, wrong),
        }
    }
    (limits.len() == table.len()).then_some(Typed::Limits(limits))
}

const LIMIT_FORMS: &str = "a number, a size, \"unlimited\", or two of them as \"1024:65536\"";

/// One value for both, or the soft and the hard one.
fn bounds(text: &str) -> Result<(Option<u64>, Option<u64>), Wrong> {
    let bad = || wrong(format!("{} is no limit", shown(text)), LIMIT_FORMS);
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    let (soft, hard) = (bound(soft).ok_or_else(bad)?, bound(hard).ok_or_else(bad)?);
    if soft > hard {
        let what = format!("{}: the first is above the second", shown(text));
        return Err(wrong(what, "the soft limit first, then the hard one"));
    }
    let or_none = |bound: u64| (bound != u64::MAX).then_some(bound);
    Ok((or_none(soft), or_none(hard)))
}

/// The largest number is the kernel's own word for "unlimited".
fn bound(text: &str) -> Option<u64> {
    match text.trim() {
        "unlimited" | "infinity" => Some(u64::MAX),
        text => text.parse().ok().or_else(|| text::parse_size(text)),
    }
}

/// The settings, and what a login would set in `environment` unless the program's own variables name it.
pub(super) fn settings(
    reader: &mut Reader<'_>,
    block: &Block,
    environment: &mut Environment,
) -> OsSettings {
    let fields = &block.fields;
    OsSettings {
        identity: identity(reader, block, environment),
        umask: (fields.written("program.*.umask").is_some())
            .then(|| fields.integer("program.*.umask")),
        nice: (fields.written("program.*.nice").is_some())
            .then(|| fields.integer("program.*.nice")),
        limits: fields.limits("program.*.rlimits").to_vec(),
        new_session: fields.switch("program.*.new_session"),
    }
}

/// Whom it becomes; none when that is who we are and nothing else is to be had.
fn identity(
    reader: &mut Reader<'_>,
    block: &Block,
    environment: &mut Environment,
) -> Option<Identity> {
    let names = Names {
        user: block.fields.word(USER),
        group: block.fields.word(GROUP),
        further: block.fields.words(FURTHER),
    };
    if names.user.is_none() && names.group.is_none() && names.further.is_empty() {
        return None;
    }
    let before = reader.faults.len();
    let user = names.user.and_then(|word| {
        let found = accounts::user(&word.text);
        if found.is_none() {
            unknown(reader, block, "user", word);
        }
        found
    });
    if let Some(user) = &user
        && let Some(entry) = &user.entry
    {
        for (name, value) in entry.variables(&user.account.name) {
            environment.own.entry(name.into()).or_insert(value);
        }
    }
    let group = match (names.group, &user) {
        (Some(word), _) => known_group(reader, block, "group", word),
        (None, Some(user)) => first_group(reader, block, (user, names.user)),
        (None, None) => Some(accounts::group_of(accounts::own().1)),
    };
    let further = names
        .further
        .iter()
        .filter_map(|word| known_group(reader, block, "supplementary_groups", word))
        .map(|group| group.id)
        .collect();
    if reader.faults.len() > before {
        return None;
    }
    let identity = Identity {
        user: user.map(|found| found.account),
        group: group?,
        further,
    };
    permitted(reader, block, &names, identity)
}

/// As written.
struct Names<'a> {
    user: Option<&'a Word>,
    group: Option<&'a Word>,
    further: &'a [Word],
}

/// The group of a user's entry.
fn first_group(
    reader: &mut Reader<'_>,
    block: &Block,
    (user, word): (&accounts::Found, Option<&Word>),
) -> Option<Account> {
    if let Some(entry) = &user.entry {
        return Some(accounts::group_of(entry.gid));
    }
    let what = format!("this machine has no entry of user {}", user.account.id);
    let at = word.map_or(block.at, |word| word.at);
    reader.fault(
        at,
        &full(block, "user"),
        wrong(what, "say its group too, as group = 1000"),
    );
    None
}

fn known_group(reader: &mut Reader<'_>, block: &Block, key: &str, word: &Word) -> Option<Account> {
    let found = accounts::group(&word.text);
    if found.is_none() {
        unknown(reader, block, key, word);
    }
    found
}

fn unknown(reader: &mut Reader<'_>, block: &Block, key: &str, word: &Word) {
    let noun = if key == "user" { "user" } else { "group" };
    let what = format!("this machine has no {noun} {}", shown(&word.raw));
    let right = format!("a {noun} that there is, by its name or number");
    reader.fault(word.at, &full(block, key), wrong(what, right));
}

/// Who may not become others may still say who it is.
fn permitted(
    reader: &mut Reader<'_>,
    block: &Block,
    names: &Names<'_>,
    identity: Identity,
) -> Option<Identity> {
    if accounts::may_become_others() {
        return Some(identity);
    }
    let (uid, gid) = accounts::own();
    let mut refuse = |at: At, key: &str, whom: &str| {
        let what = format!("jikimi runs as uid {uid}, which cannot become {whom}");
        let right = "run jikimi as root, or leave it out";
        reader.fault(at, &full(block, key), wrong(what, right));
    };
    if let (Some(word), Some(user)) = (names.user, &identity.user)
        && user.id != uid
    {
        refuse(word.at, "user", &format!("user {}", user.name));
    } else if let Some(word) = names.group
        && identity.group.id != gid
    {
        refuse(word.at, "group", &format!("group {}", identity.group.name));
    } else if let Some(word) = names.further.first() {
        refuse(word.at, "supplementary_groups", "a member of other groups");
    }
    None
}

fn full(block: &Block, key: &str) -> String {
    format!("{}.{key}", block.shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_one_number_or_two_in_their_order() {
        for (text, meant) in [
            ("65536", Some((Some(65_536), Some(65_536)))),
            ("0", Some((Some(0), Some(0)))),
            ("unlimited", Some((None, None))),
            ("1GiB", Some((Some(1 << 30), Some(1 << 30)))),
            ("1024:65536", Some((Some(1024), Some(65_536)))),
            ("0:unlimited", Some((Some(0), None))),
            ("18446744073709551615", Some((None, None))),
            ("2:1", None),
            ("unlimited:1", None),
            ("-1", None),
            ("many", None),
            ("1:2:3", None),
            ("", None),
        ] {
            assert_eq!(bounds(text).ok(), meant, "{text}");
        }
    }
}
