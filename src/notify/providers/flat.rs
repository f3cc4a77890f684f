//! A message as plain text within a length, for providers that show text as it is, and the two ways in which all
//! providers keep to a length. Pure.

use serde_json::Value;

use super::Tier;
use crate::notify::render::Message;
use crate::text;

/// How much may be said, and what a character takes of it.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) max: usize,
    pub(super) cost: fn(char) -> usize,
}

impl Room {
    /// `text` without what does not fit.
    pub(super) fn cut(self, text: &str) -> String {
        text::cut_by(text, self.max, self.cost).into_owned()
    }

    fn of(self, text: &str) -> usize {
        text.chars().map(self.cost).sum()
    }
}

/// What a character takes in a text of JSON, in bytes.
pub(super) const fn json_cost(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\t' => 2,
        c => c.len_utf8(),
    }
}

/// The sign and the title.
pub(super) fn title(message: &Message) -> String {
    format!("{} {}", message.mood.sign(), unlinked(&message.title))
}

/// Facts, last lines of output and footer. What does not fit is taken from the output first.
pub(super) fn body(message: &Message, room: Room) -> String {
    let mut lines: Vec<String> = message
        .facts
        .iter()
        .map(|(label, value)| unlinked(&format!("{label}: {value}")))
        .collect();
    let footer = unlinked(&message.footer);
    // Each line's end, and the two blank lines around the output.
    let ends = (lines.len() + 3) * (room.cost)('\n');
    let taken = lines.iter().map(|l| room.of(l)).sum::<usize>() + room.of(&footer) + ends;
    let tail = tail(
        message,
        Room {
            max: room.max.saturating_sub(taken),
            ..room
        },
    );
    if !tail.is_empty() {
        lines.extend([String::new(), tail, String::new()]);
    }
    lines.push(footer);
    room.cut(&lines.join("\n"))
}

/// The title and all the rest of it.
pub(super) fn whole(message: &Message, room: Room) -> String {
    let title = title(message);
    let rest = Room {
        max: room.max.saturating_sub(room.of(&title) + (room.cost)('\n')),
        ..room
    };
    room.cut(&format!("{title}\n{}", body(message, rest)))
}

/// The last lines of output that fit whole, and at least a part of the very last.
fn tail(message: &Message, room: Room) -> String {
    let mut kept: Vec<String> = Vec::new();
    let mut left = room.max;
    for line in message.tail.iter().rev() {
        let line = unlinked(line);
        let Some(rest) = left.checked_sub(room.of(&line) + (room.cost)('\n')) else {
            break;
        };
        left = rest;
        kept.push(line);
    }
    if let (true, Some(last)) = (kept.is_empty(), message.tail.last()) {
        return room.cut(&unlinked(last));
    }
    kept.reverse();
    kept.join("\n")
}

/// `text` in which nothing is found by those who look for addresses and names in plain text: a word joiner, which
/// nobody sees, stands inside of them.
pub(super) fn unlinked(text: &str) -> String {
    const WWW: &str = "www.";
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        out.push(c);
        let follows = &text[at + c.len_utf8()..];
        let ends_www = c == '.'
            && text[..=at]
                .get((at + 1).saturating_sub(WWW.len())..)
                .is_some_and(|end| end.eq_ignore_ascii_case(WWW));
        if c == '@' || ends_www || (c == ':' && follows.starts_with("//")) {
            out.push('\u{2060}');
        }
    }
    out
}

/// What `make` gives at `tier`, or plainer where that is longer than `max` bytes.
pub(super) fn fitting(tier: Tier, max: usize, make: impl Fn(Tier) -> Value) -> Value {
    let value = make(tier);
    match tier.plainer() {
        Some(plainer) if value.to_string().len() > max => fitting(plainer, max, make),
        Some(_) | None => value,
    }
}
