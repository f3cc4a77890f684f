//! Lines of `[section]` and `key = value`, as supervisord and systemd write them. Knows no key.

use super::Faulty;

/// A section with its lines.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) entries: Vec<Entry>,
}

/// One `key = value`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) line: usize,
}

/// How the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Values go on in indented lines; ` ;` begins a remark; keys in any case.
    Supervisord,
    /// Values go on after a `\` at the end.
    Systemd,
}

/// All sections.
pub(super) fn read(text: &str, dialect: Dialect) -> Result<Vec<Section>, Faulty> {
    let mut sections: Vec<Section> = Vec::new();
    let mut goes_on = false;
    for (n, raw) in text.lines().enumerate() {
        let (line, trimmed) = (n + 1, raw.trim());
        let is_remark = trimmed.starts_with(['#', ';']);
        if dialect == Dialect::Systemd && goes_on {
            if !is_remark {
                goes_on = append(&mut sections, dialect, trimmed);
            }
            continue;
        }
        if trimmed.is_empty() || is_remark {
            continue;
        }
        if dialect == Dialect::Supervisord && raw.starts_with([' ', '\t']) {
            if sections.last().is_none_or(|s| s.entries.is_empty()) {
                return Err((line, "an indented line goes on with nothing".to_owned()));
            }
            append(&mut sections, dialect, trimmed);
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[') {
            sections.push(section(name, line)?);
            continue;
        }
        let Some(section) = sections.last_mut() else {
            return Err((line, "it stands before the first [section]".to_owned()));
        };
        section.entries.push(entry(trimmed, line, dialect)?);
        goes_on = dialect == Dialect::Systemd && append(&mut sections, dialect, "");
    }
    Ok(sections)
}

fn section(name: &str, line: usize) -> Result<Section, Faulty> {
    let Some((name, _)) = name.split_once(']') else {
        return Err((line, "a [ is not closed".to_owned()));
    };
    Ok(Section {
        name: name.trim().to_owned(),
        line,
        entries: Vec::new(),
    })
}

fn entry(text: &str, line: usize, dialect: Dialect) -> Result<Entry, Faulty> {
    let at = match dialect {
        Dialect::Supervisord => text.find(['=', ':']),
        Dialect::Systemd => text.find('='),
    };
    let Some(at) = at.filter(|at| *at > 0) else {
        return Err((line, "it is neither a [section] nor key = value".to_owned()));
    };
    let (key, value) = (text[..at].trim(), text[at + 1..].trim());
    let (key, value) = match dialect {
        Dialect::Supervisord => (key.to_lowercase(), without_remark(value)),
        Dialect::Systemd => (key.to_owned(), value),
    };
    Ok(Entry {
        key,
        value: value.to_owned(),
        line,
    })
}

/// `a ; b` is `a`.
fn without_remark(value: &str) -> &str {
    let at = [" ;", "\t;"]
        .iter()
        .filter_map(|mark| value.find(mark))
        .min();
    at.map_or(value, |at| value[..at].trim_end())
}

/// Adds `more` to the last value; says whether that goes on in the next line.
fn append(sections: &mut [Section], dialect: Dialect, more: &str) -> bool {
    let last = sections.last_mut().and_then(|s| s.entries.last_mut());
    let Some(entry) = last else { return false };
    match dialect {
        Dialect::Supervisord => {
            entry.value.push('\n');
            entry.value.push_str(without_remark(more));
            false
        }
        Dialect::Systemd => {
            if !more.is_empty() {
                entry.value.push(' ');
                entry.value.push_str(more);
            }
            match entry.value.strip_suffix('\\') {
                Some(before) => {
                    entry.value = before.trim_end().to_owned();
                    true
                }
                None => false,
            }
        }
    }
}

impl Section {
    /// The last value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rfind(|e| e.key == key)
    }
}

/// `true`, `yes`, `on`, `1` and their opposites.
pub(super) fn switch(entry: &Entry) -> Result<bool, Faulty> {
    match entry.value.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(bad(entry, "true or false")),
    }
}

/// A value that is none.
pub(super) fn bad(entry: &Entry, right: &str) -> Faulty {
    let what = format!("{} = {:?}: write {right}", entry.key, entry.value);
    (entry.line, what)
}
