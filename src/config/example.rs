//! `config/example.toml` and the README's table of keys, written from the table. Reads nothing.

use std::fmt::Write as _;

use super::keys::{Availability, Key, Kind};
use super::table::{KEYS, TARGET_KINDS};

const HEAD: &str = "\
# Every key that this version of jikimi takes. A line that begins with # and a blank is a remark; take the #
# away from the others to use them. Values are defaults, or examples where a remark names the default.
#
# Durations are \"500ms\", \"10s\", \"5m\", \"2h\", \"1d\". Relative paths are relative to the folder of the file they
# stand in. ${NAME} and ${NAME:-default} are filled in from the environment in every text, $${ is a plain ${,
# and ${JIKIMI_EXE} is the path of jikimi itself. A secret may also be { file = \"secrets/x\" }.
";

/// The text of `config/example.toml`: every key of this version, commented out. With the `#` taken from
/// the lines that have no blank behind it, it is a configuration too.
#[must_use]
pub fn example() -> String {
    let mut out = HEAD.to_owned();
    section(&mut out, "", "", |k| !k.path.contains('.'));
    for name in sections() {
        match name {
            "program" => {
                section(&mut out, "[program.web]", "program.*.", |key| {
                    probed_by(key).is_none_or(|check| check == CHECKS[0])
                });
                out.push_str("\n# What the one above depends on.\n#[program.db]\n#command = [\"sleep\", \"1d\"]\n");
                probed_otherwise(&mut out);
            }
            "target" => targets(&mut out),
            "route" => section(&mut out, "[[route]]", "route.", |_| true),
            _ => section(&mut out, &format!("[{name}]"), &format!("{name}."), |_| {
                true
            }),
        }
    }
    out
}

/// What a probe can check, of which it checks one.
const CHECKS: [&str; 5] = ["http", "tcp", "exec", "log_line", "notify"];

/// What the probe checks that `key` is the check of.
fn probed_by(key: &Key) -> Option<&'static str> {
    let tail = key.path.strip_prefix("program.*.")?;
    let check = tail
        .strip_prefix("readiness.")
        .or(tail.strip_prefix("liveness."))?;
    CHECKS.iter().copied().find(|name| *name == check)
}

/// A probe checks one thing, so the other checks are other programs'.
fn probed_otherwise(out: &mut String) {
    for check in &CHECKS[1..] {
        let header = format!("[program.by-{check}]\n#command = [\"sleep\", \"1d\"]");
        section(out, &header, "program.*.", |key| {
            probed_by(key) == Some(*check)
        });
    }
}

/// One table a kind; what all kinds have is in the first.
fn targets(out: &mut String) {
    for (i, kind) in TARGET_KINDS.iter().enumerate() {
        // The first is the one that the example's route leads to.
        let name = if i == 0 { "ops" } else { kind };
        let _ = write!(out, "\n#[target.{name}]\n#kind = \"{kind}\"\n");
        let keys = KEYS.iter().filter(|k| {
            k.path.starts_with("target.*.")
                && k.path != "target.*.kind"
                && k.belongs_to(kind)
                && (i == 0 || !k.of.is_empty())
        });
        for key in keys {
            line(out, key, "target.*.");
        }
    }
}

/// The first parts of all paths of several parts, each once.
fn sections() -> Vec<&'static str> {
    let mut names = Vec::new();
    for key in KEYS.iter().filter(|k| k.availability == Availability::Now) {
        if let Some((name, _)) = key.path.split_once('.')
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

fn section(out: &mut String, header: &str, prefix: &str, wanted: impl Fn(&Key) -> bool) {
    if header.is_empty() {
        out.push('\n');
    } else {
        let _ = write!(out, "\n#{header}\n");
    }
    for key in KEYS
        .iter()
        .filter(|k| k.path.starts_with(prefix) && wanted(k))
    {
        line(out, key, prefix);
    }
}

/// A remark and the key.
fn line(out: &mut String, key: &Key, prefix: &str) {
    if key.availability == Availability::Later {
        return;
    }
    let mut remark = key.doc.to_owned();
    if let Kind::Choice {
        now: now @ [_, _, ..],
        ..
    } = key.kind
    {
        let _ = write!(remark, " One of {}.", now.join(", "));
    }
    match (key.default_words, key.default, key.required) {
        (Some(words), _, _) => {
            let _ = write!(remark, " Default: {words}.");
        }
        (None, None, true) => remark.push_str(" Must be there."),
        (None, None, false) => remark.push_str(" Default: none."),
        (None, Some(_), _) => {}
    }
    let name = key.path.strip_prefix(prefix).unwrap_or(key.path);
    let _ = writeln!(out, "# {remark}\n#{name} = {}", key.example);
}

/// The README's table of the keys of this version.
#[must_use]
pub fn key_table_markdown() -> String {
    let mut out = "| key | value | default | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for key in KEYS.iter().filter(|k| k.availability == Availability::Now) {
        let default = match (key.default, key.default_words) {
            (Some(default), _) => format!("`{default}`"),
            (None, Some(words)) => words.to_owned(),
            (None, None) if key.required => "must be there".to_owned(),
            (None, None) => "none".to_owned(),
        };
        let mut of = key.of.join(", ");
        if !of.is_empty() {
            of.insert_str(0, " of ");
        }
        let _ = writeln!(
            out,
            "| `{}`{of} | {} | {} | {} |",
            key.for_people(),
            key.kind.describe(),
            default,
            key.doc
        );
    }
    out
}
