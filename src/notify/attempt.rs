//! One attempt at one delivery: render, send, judge; plainer or to the chat's new id if the target asks for that.
//! What is said of an incident in how many tasks is [`super::telling`]'s.
//! Runs on a worker; knows neither the outbox nor the other targets.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::breaker::Input;
use super::providers::{self, Context, HttpRequest, Instead, Judgement, Scope, Task, Tier, Told};
use super::run;
use super::telling::Telling;
use crate::clock::{self, Mono};
use crate::fetch::{Client, FetchError, Phase, Request, Response};
use crate::limits;
use crate::model::delivery::{Leased, Outcome};
use crate::model::living::Effect;
use crate::model::target::{Audience, ProviderSpec, TargetSpec};
use crate::text;

/// What an attempt needs.
pub(super) struct Attempt<'a> {
    pub(super) client: &'a Client,
    pub(super) spec: &'a TargetSpec,
    pub(super) leased: &'a Leased,
    /// The supervisor's name.
    pub(super) host: &'a str,
    /// The chat's id since it moved.
    pub(super) moved_to: Option<String>,
    /// The end of the attempt.
    pub(super) deadline: Mono,
    /// Readable once nobody waits for it any more.
    pub(super) cancel: BorrowedFd<'a>,
}

/// What an attempt says of the host it went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It answered, whatever that was.
    Answered,
    /// No connection came about.
    Unreached,
    /// Neither: nothing was sent, something else is between, or it is one address there that hangs.
    Unknown,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) outcome: Outcome,
    pub(super) scope: Scope,
    pub(super) pause: Option<Duration>,
    /// The status of the last answer.
    pub(super) status: Option<u16>,
    /// The body, when the next attempt must repeat it.
    pub(super) frozen_body: Option<String>,
    /// The chat's new id.
    pub(super) moved_to: Option<String>,
    /// A form that was refused before this one was taken, for the log.
    pub(super) degraded: Option<String>,
    /// What was done, in order.
    pub(super) did: Vec<&'static str>,
    /// Why a message was sent anew instead of being changed.
    pub(super) afresh: Option<String>,
    /// Why a topic or thread was not used, for the log.
    pub(super) placeless: Option<String>,
    /// Why there was nothing to send.
    pub(super) skipped: Option<&'static str>,
    /// A message of its own was sent.
    pub(super) is_new: bool,
    /// What was asked of the target.
    pub(super) requests: u32,
    /// What that says of its host.
    pub(super) reach: Reach,
    /// The target may have taken something without our hearing of it.
    pub(super) is_doubtful: bool,
    /// What is known of the target from now on.
    pub(super) effect: Effect,
}

impl Report {
    /// A report of an attempt that did not reach the target.
    pub(super) fn unsent(reason: &str) -> Self {
        Self {
            outcome: Outcome::Retryable {
                reason: reason.to_owned(),
                after: None,
            },
            scope: Scope::Target,
            pause: None,
            status: None,
            frozen_body: None,
            moved_to: None,
            degraded: None,
            did: Vec::new(),
            afresh: None,
            placeless: None,
            skipped: None,
            is_new: false,
            requests: 0,
            reach: Reach::Unknown,
            is_doubtful: false,
            effect: Effect::default(),
        }
    }

    /// What it means for the target's breaker.
    pub(super) fn breaker_input(&self) -> Input {
        match &self.outcome {
            Outcome::Retryable { after: Some(_), .. } => Input::Held,
            Outcome::Retryable { after: None, .. } => Input::Failed,
            Outcome::Permanent {
                target_gone: true, ..
            } => Input::Gone,
            // Refusals of us rather than of the message.
            Outcome::Permanent { .. } if matches!(self.status, None | Some(401 | 403 | 404)) => {
                Input::Failed
            }
            // A target that refuses a message is well.
            Outcome::Delivered { .. } | Outcome::Permanent { .. } => Input::Succeeded,
        }
    }

    /// Why it failed, if it did.
    pub(super) fn error(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Delivered { .. } => None,
            Outcome::Retryable { reason, .. } | Outcome::Permanent { reason, .. } => Some(reason),
        }
    }
}

/// Whose message it is, when its target stands in for another.
fn meant_for(leased: &Leased) -> Option<String> {
    let target = leased.known.instead_of.as_ref()?;
    Some(format!("meant for {target}, which cannot be told"))
}

/// What a chat is told besides.
pub(super) fn asides(leased: &Leased) -> Vec<String> {
    let dropped = match leased.known.dropped {
        0 => None,
        1 => Some("1 message before this was dropped: too many waited".to_owned()),
        n => Some(format!(
            "{n} messages before this were dropped: too many waited"
        )),
    };
    meant_for(leased).into_iter().chain(dropped).collect()
}

impl Attempt<'_> {
    /// Tells it: a machine every event by itself, people by one message an incident.
    pub(super) fn make(mut self) -> Report {
        if self.spec.provider.audience() == Audience::Chat {
            return Telling::new(self).carry_out();
        }
        let mut report = Report::unsent("not sent");
        let note = meant_for(self.leased);
        let told = Told {
            note: note.as_deref(),
            ..Told::of(self.leased).in_voice(&self.spec.voice)
        };
        self.perform(&told, (Task::CREATE, Tier::Rich), &mut report);
        report
    }

    /// Does one task: at most one request for each tier and one for a moved chat, all within the deadline. What came
    /// of it is in `report`; returns what asks for another task.
    pub(super) fn perform(
        &mut self,
        told: &Told<'_>,
        (task, mut tier): (Task<'_>, Tier),
        report: &mut Report,
    ) -> Option<Instead> {
        let provider = providers::of(&self.spec.provider);
        loop {
            let context = self.context(task, tier);
            let request = provider.request(told, &context);
            let answer = self.send(&request);
            report.requests = report.requests.saturating_add(1);
            report.status = answer.as_ref().ok().map(|r| r.status);
            report.reach = match &answer {
                Ok(_) if self.is_direct() => Reach::Answered,
                Err(unanswered) if self.is_direct() => unanswered.reach,
                Ok(_) | Err(_) => Reach::Unknown,
            };
            report.is_doubtful |= answer.as_ref().err().is_some_and(|e| e.is_doubtful);
            let judgement = match answer {
                Ok(response) => provider.classify(&response, &context),
                Err(unanswered) => unanswered.judgement,
            };
            report.frozen_body = request.is_frozen.then_some(request.body);
            report.scope = judgement.scope;
            report.pause = judgement.pause;
            report.outcome = self.without_secrets(judgement.outcome);
            match judgement.instead? {
                Instead::Plainer => {
                    let plainer = tier.plainer().filter(|_| !self.is_late())?;
                    report.degraded = report.error().map(str::to_owned);
                    tier = plainer;
                }
                Instead::MovedTo(id) => {
                    if report.moved_to.is_some() {
                        return None;
                    }
                    report.moved_to = Some(id.clone());
                    self.moved_to = Some(id);
                    // Messages of the old chat are not in the new one, and their ids may be others' there.
                    if matches!(task, Task::Edit(_) | Task::Delete(_)) {
                        return Some(Instead::Afresh);
                    }
                }
                other @ (Instead::Afresh | Instead::WithoutPlace) => return Some(other),
            }
        }
    }

    fn is_late(&self) -> bool {
        clock::mono() >= self.deadline
    }

    /// Whether an answer comes from the host itself.
    fn is_direct(&self) -> bool {
        let is_exec = matches!(self.spec.provider, ProviderSpec::Exec(_));
        !is_exec && self.spec.via.proxy.is_none()
    }

    fn context<'c>(&'c self, task: Task<'c>, tier: Tier) -> Context<'c> {
        Context {
            host: self.host,
            now: clock::wall(),
            tier,
            moved_to: self.moved_to.as_deref(),
            task,
        }
    }

    /// The answer, or what it means that there is none.
    fn send(&self, request: &HttpRequest) -> Result<Response, Unanswered> {
        if let ProviderSpec::Exec(exec) = &self.spec.provider {
            let end = run::run(exec, request, self.deadline, self.cancel);
            return end.map_err(|judgement| Unanswered {
                judgement,
                is_doubtful: false,
                reach: Reach::Unknown,
            });
        }
        let sent = Request {
            url: &request.url,
            headers: &request.headers,
            body: request.body.as_bytes(),
            timeout: self.deadline.since(clock::mono()),
            via: &self.spec.via,
        };
        let answer = self.client.send(request.method, &sent);
        answer.map_err(|error| Unanswered {
            judgement: judge_fault(&error),
            is_doubtful: may_have_arrived(&error),
            reach: reach(&error),
        })
    }

    fn without_secrets(&self, outcome: Outcome) -> Outcome {
        let clean = |reason: String| presentable(reason, &self.spec.provider);
        match outcome {
            Outcome::Delivered { .. } => outcome,
            Outcome::Retryable { reason, after } => Outcome::Retryable {
                reason: clean(reason),
                after,
            },
            Outcome::Permanent {
                reason,
                target_gone,
            } => Outcome::Permanent {
                reason: clean(reason),
                target_gone,
            },
        }
    }
}

/// What a target says may repeat what we sent it: its own address, say, on a page of a proxy. Secrets first, then
/// the length: one that is cut in two would not be found.
fn presentable(reason: String, target: &ProviderSpec) -> String {
    let clean = redacted(reason, target);
    text::cut(&clean, limits::REASON_MAX).into_owned()
}

/// That there is no answer, and what it means.
struct Unanswered {
    judgement: Judgement,
    /// The request may have been taken all the same.
    is_doubtful: bool,
    reach: Reach,
}

/// What a fault says of the host. One that takes the request and hangs may do so at one address alone.
const fn reach(error: &FetchError) -> Reach {
    match error {
        FetchError::NoSuchHost | FetchError::Timeout(Phase::Connect) | FetchError::Connect(_) => {
            Reach::Unreached
        }
        FetchError::BadUrl
        | FetchError::BadHeader(_)
        | FetchError::ResolverStuck
        | FetchError::RefusedAddress
        | FetchError::PrivateAddress
        | FetchError::BadProxy
        | FetchError::Proxy(_)
        | FetchError::BadAuthority
        | FetchError::Timeout(Phase::Send | Phase::Response | Phase::Body)
        | FetchError::Closed
        | FetchError::Tls(_)
        | FetchError::Malformed
        | FetchError::Io(_)
        | FetchError::Other => Reach::Unknown,
    }
}

/// Whether the request may have been taken though no answer came.
const fn may_have_arrived(error: &FetchError) -> bool {
    matches!(
        error,
        FetchError::Timeout(Phase::Response | Phase::Body)
            | FetchError::Closed
            | FetchError::Malformed
            | FetchError::Io(_)
    )
}

fn judge_fault(error: &FetchError) -> Judgement {
    let reason = error.to_string();
    match error {
        // No attempt will ever be different.
        FetchError::BadUrl | FetchError::BadHeader(_) => Outcome::Permanent {
            reason,
            target_gone: false,
        },
        FetchError::NoSuchHost
        | FetchError::ResolverStuck
        | FetchError::RefusedAddress
        | FetchError::PrivateAddress
        | FetchError::BadProxy
        | FetchError::Proxy(_)
        | FetchError::BadAuthority
        | FetchError::Timeout(_)
        | FetchError::Connect(_)
        | FetchError::Closed
        | FetchError::Tls(_)
        | FetchError::Malformed
        | FetchError::Io(_)
        | FetchError::Other => Outcome::Retryable {
            reason,
            after: None,
        },
    }
    .into()
}

/// `text` without any secret of `target`: whole addresses, and the parts of them that are keys.
pub(super) fn redacted(mut text: String, target: &ProviderSpec) -> String {
    for part in target.parts().iter().filter(|p| p.is_secret) {
        let whole = part.text.expose();
        let parts = whole.split(['/', '?', '&', '=', ':', '@', '.', ' ']);
        // Shorter pieces are words, not keys.
        for piece in std::iter::once(whole).chain(parts.filter(|p| p.len() >= 6)) {
            if !piece.is_empty() && text.contains(piece) {
                text = text.replace(piece, "[redacted]");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::testing::webhook_to;
    use crate::secret::Secret;

    #[test]
    fn wherever_a_reason_is_cut_no_part_of_a_secret_is_left() {
        let target = webhook_to(Secret::new(
            "http://a.test/KEYKEYKEY0123456789?key=KEYOTHER",
        ));
        for before in 0..2 * limits::REASON_MAX {
            let said = format!("{}/KEYKEYKEY0123456789 KEYOTHER", ".".repeat(before));
            let shown = presentable(said, &target);
            assert!(!shown.contains("KEY"), "{shown}");
            assert!(shown.chars().count() <= limits::REASON_MAX, "{shown}");
        }
    }
}
