//! Messages in words of one's own: what a target's template says. One that fails, though it was tried when the
//! configuration was read, costs no message: the built-in words take its place, and the fault is logged once.

use super::{Message, line};
use crate::limits;
use crate::model::delivery::Leased;
use crate::model::template::{Scene, Template, Values};
use crate::model::voice::Voice;

/// What the template says of `leased`; none when there is none, when it fails, or says nothing.
pub(in crate::notify) fn text(leased: &Leased, host: &str, voice: &Voice) -> Option<String> {
    let template = voice.template.as_ref()?;
    let summary = summary(leased, voice);
    let scene = Scene {
        event: &leased.event,
        incident: leased.incident.as_ref(),
        summary: &summary,
        host,
        language: voice.language,
    };
    match template.render(&Values::from(&scene)) {
        Ok(text) => Some(text).filter(|text| !text.trim().is_empty()),
        Err(error) => {
            complain(leased, voice, &error.to_string());
            None
        }
    }
}

/// The line that says what `leased` tells.
pub(super) fn summary(leased: &Leased, voice: &Voice) -> String {
    super::group::title(leased, voice.language)
        .unwrap_or_else(|| crate::alert::summary_in(&leased.event, voice.language))
}

/// The same as a body, which is JSON.
pub(in crate::notify) fn body(leased: &Leased, host: &str, voice: &Voice) -> Option<String> {
    let text = text(leased, host, voice)?;
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Some(text),
        Err(error) => {
            complain(leased, voice, &format!("it made no JSON: {error}"));
            None
        }
    }
}

fn complain(leased: &Leased, voice: &Voice, why: &str) {
    let is_first = voice
        .template
        .as_ref()
        .is_some_and(Template::is_first_fault);
    if is_first {
        let (target, kind) = (&leased.target, leased.event.kind.as_str());
        log::warn!(
            "the template of target {target} fails with {kind}, the built-in words are sent instead: {why}"
        );
    }
}

impl Message {
    /// Says `text` instead of facts and output: its first line as the title, the others as they are.
    pub(in crate::notify) fn say(&mut self, text: &str) {
        let mut lines = text.lines().filter(|l| !l.trim().is_empty());
        self.title = line(lines.next().unwrap_or_default(), limits::MESSAGE_TITLE);
        self.facts.clear();
        self.moment = None;
        self.tail = lines
            .take(limits::MESSAGE_TAIL_LINES)
            .map(|l| line(l, limits::MESSAGE_TAIL_LINE))
            .collect();
    }
}
