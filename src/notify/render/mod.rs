//! A delivery as a message for people, before any provider's form: a title, facts, the last lines of output.
//! Pure. All text in it is cleaned to single printable lines; none of it is markup.

mod content;
mod group;
pub(super) mod own;
mod sparkline;
#[cfg(test)]
mod tests;
mod words;

use crate::clock::Wall;
use crate::limits;
use crate::model::delivery::Leased;
use crate::model::event::{Event, EventKind, Facts, Severity};
use crate::model::incident::IncidentState;
use crate::model::voice::Voice;
use crate::text;

/// What stands before the text.
pub(super) struct Message {
    /// One line that says it all.
    pub(super) title: String,
    /// Label and value, in order.
    pub(super) facts: Vec<(&'static str, String)>,
    /// The last lines of output, oldest first.
    pub(super) tail: Vec<String>,
    /// Where it comes from, and by what a double is recognised.
    pub(super) footer: String,
    /// When it happened.
    pub(super) time: Wall,
    /// Its colour and sign.
    pub(super) mood: Mood,
    /// The fact with this label is the pause until this moment: a provider that shows moments as they pass may show
    /// that instead of its value.
    pub(super) moment: Option<(&'static str, Wall)>,
}

/// How bad it is, good news included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Something ended well.
    Good,
    /// Worth recording.
    Info,
    /// Worth a look.
    Warning,
    /// Worth getting up for.
    Critical,
}

impl Mood {
    /// A sign that is also seen without colours.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Good => "🟢",
            Self::Info => "🔵",
            Self::Warning => "🟠",
            Self::Critical => "🔴",
        }
    }

    /// Red, green and blue.
    pub(super) const fn colour(self) -> u32 {
        match self {
            Self::Good => 0x2E_CC71,
            Self::Info => 0x34_98DB,
            Self::Warning => 0xE6_7E22,
            Self::Critical => 0xE7_4C3C,
        }
    }
}

impl Message {
    /// The message of `leased` in words of `voice`, from the supervisor called `host`.
    pub(super) fn of(leased: &Leased, host: &str, voice: &Voice) -> Self {
        let event = &leased.event;
        let summary = own::summary(leased, voice);
        let speaker = group::speaker(leased).and_then(|member| member.event.as_ref());
        Self {
            title: line(&summary, limits::MESSAGE_TITLE),
            facts: content::facts(leased, voice.language),
            tail: tail(&speaker.unwrap_or(event).facts),
            footer: line(&format!("{host} · {}", event.id), limits::MESSAGE_VALUE),
            time: event.time,
            mood: mood(leased),
            moment: content::moment(event, voice.language).filter(|_| speaker.is_none()),
        }
    }

    /// Puts `note` before all facts.
    pub(super) fn note(&mut self, note: &str, voice: &Voice) {
        let label = words::of(voice.language).note;
        self.facts
            .insert(0, (label, line(note, limits::MESSAGE_VALUE)));
    }

    /// Title, facts and footer, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} {}", self.mood.sign(), self.title)];
        lines.extend(
            self.facts
                .iter()
                .map(|(label, value)| format!("{label}: {value}")),
        );
        lines.push(self.footer.clone());
        lines
    }

    /// The last lines of output that fit into `max` characters, and at least a part of the very last.
    pub(super) fn tail_within(&self, max: usize) -> String {
        let mut kept: Vec<&str> = Vec::new();
        let mut room = max;
        for line in self.tail.iter().rev() {
            let cost = line.encode_utf16().count() + 1;
            if cost > room {
                break;
            }
            room -= cost;
            kept.push(line);
        }
        if let (true, Some(last)) = (kept.is_empty(), self.tail.last()) {
            return text::cut_by(last, max, char::len_utf16).into_owned();
        }
        kept.reverse();
        kept.join("\n")
    }
}

/// Untrusted text as one printable line without outer blanks, at most `max` UTF-16 units long.
fn line(raw: &str, max: usize) -> String {
    let clean = text::printable(raw.trim().as_bytes());
    text::cut_by(&clean, max, char::len_utf16).into_owned()
}

fn tail(facts: &Facts) -> Vec<String> {
    let skip = facts
        .log_tail
        .len()
        .saturating_sub(limits::MESSAGE_TAIL_LINES);
    facts.log_tail[skip..]
        .iter()
        .map(|raw| line(raw.trim_end(), limits::MESSAGE_TAIL_LINE))
        .filter(|l| !l.is_empty())
        .collect()
}

fn mood(leased: &Leased) -> Mood {
    if let (false, Some(all)) = (leased.known.members.is_empty(), &leased.incident) {
        return match (all.state, all.severity) {
            (IncidentState::Resolved, _) => Mood::Good,
            (IncidentState::Open, Severity::Critical) => Mood::Critical,
            (IncidentState::Open, Severity::Info | Severity::Warning) => Mood::Warning,
        };
    }
    if is_good_news(&leased.event) {
        return Mood::Good;
    }
    match leased.event.severity {
        Severity::Info => Mood::Info,
        Severity::Warning => Mood::Warning,
        Severity::Critical => Mood::Critical,
    }
}

/// These have the severity of what they end, and are no cause for alarm.
fn is_good_news(event: &Event) -> bool {
    matches!(
        event.kind,
        EventKind::ProgramRecovered
            | EventKind::ProgramHealthy
            | EventKind::RuleCleared
            | EventKind::SupervisorRestored
            | EventKind::TargetRestored
            | EventKind::StorageRestored
    )
}
