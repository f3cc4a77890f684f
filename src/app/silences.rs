//! Silences as people ask for them: names are looked up here, the journal does the rest. Owns no thread.

use crossbeam::channel::bounded;

use crate::clock;
use crate::ids::SilenceId;
use crate::journal::{Journal, Order};
use crate::limits;
use crate::model::command::SilenceRequest;
use crate::model::name;
use crate::model::settings::Settings;
use crate::model::silence::Silence;

/// Begins what `request` asks for, and answers it.
pub(super) fn begin(request: &SilenceRequest, settings: &Settings, journal: &Journal) {
    let known: Vec<_> = settings
        .programs
        .iter()
        .flat_map(|program| {
            let tags = program.tags.clone();
            program.instance_names().map(move |n| (n, tags.clone()))
        })
        .collect();
    let unknown = name::select(&request.patterns, &known).err();
    let answer = match unknown {
        Some(unknown) => Err(unknown),
        None => Ok(ask(journal, request)),
    };
    // The asker may have gone.
    let _ = request.reply.try_send(answer);
}

fn ask(journal: &Journal, request: &SilenceRequest) -> Option<Silence> {
    let since = clock::wall();
    let silence = Silence {
        id: SilenceId::new(),
        programs: request.patterns.clone(),
        reason: request.reason.clone(),
        by: request.by.clone(),
        since,
        until: since + request.lasts,
        ended_at: None,
        past: std::collections::BTreeMap::new(),
    };
    let (reply, answer) = bounded(1);
    journal.silence(Order::Begin(silence, reply));
    answer.recv_timeout(limits::JOURNAL_ANSWER).ok().flatten()
}

/// Ends the one that `which` names: its id, or the end of it when only one ends so.
pub(super) fn end(which: &str, by: String, journal: &Journal) -> Option<Silence> {
    let active = journal.silences();
    let which = which.to_ascii_uppercase();
    let mut like = active
        .iter()
        .filter(|silence| silence.id.to_string().ends_with(&which));
    let (Some(found), None) = (like.next(), like.next()) else {
        return None;
    };
    let (reply, answer) = bounded(1);
    journal.silence(Order::End(found.id, by, reply));
    answer.recv_timeout(limits::JOURNAL_ANSWER).ok().flatten()
}
