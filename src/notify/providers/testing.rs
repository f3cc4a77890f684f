//! What the tests of all providers share: deliveries of the worst kind, and requests and judgements in short.

use serde_json::Value;

use super::{Context, HttpRequest, Instead, Judgement, Scope, Task, Tier, Told, of};
use crate::clock::Wall;
use crate::fetch::Response;
use crate::model::delivery::{Leased, Outcome};
use crate::model::target::ProviderSpec;
use crate::notify::testing::delivery;

/// The moment of every attempt.
pub(in crate::notify) const NOW: Wall = Wall::from_millis(1_767_323_050_000);

/// A new message at `tier`.
pub(in crate::notify) fn context(tier: Tier) -> Context<'static> {
    Context {
        host: "box-1",
        now: NOW,
        tier,
        moved_to: None,
        task: Task::CREATE,
    }
}

/// The request that does `context`'s task.
pub(in crate::notify) fn request_of(
    leased: &Leased,
    target: &ProviderSpec,
    context: &Context<'_>,
) -> HttpRequest {
    of(target).request(&Told::of(leased), context)
}

/// The body of a new message.
pub(in crate::notify) fn body_of(leased: &Leased, target: &ProviderSpec, tier: Tier) -> Value {
    let request = request_of(leased, target, &context(tier));
    serde_json::from_str(&request.body).expect("our own JSON")
}

/// The text at `pointer`, or nothing.
pub(in crate::notify) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// Its length as most providers count.
pub(in crate::notify) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Everything a hostile program can put into an event.
pub(in crate::notify) fn hostile() -> Leased {
    let mut leased = delivery("ops");
    let evil = "@everyone <!channel> <@U1> <@&1> [x](https://evil.test) *b* _i_ ~s~ `c` ```end``` | > # - \u{1b}[31m🔥 /cmd @user";
    leased.event.facts.cause = Some(evil.repeat(40));
    leased.event.facts.asked_by = Some(evil.repeat(40));
    leased.event.facts.target = Some("🔥".repeat(4_000));
    leased.event.facts.log_tail = (0..200).map(|_| evil.repeat(40)).collect();
    leased
}

/// What `response` to a new message means.
pub(in crate::notify) fn judgement_of(target: &ProviderSpec, response: &Response) -> Judgement {
    of(target).classify(response, &context(Tier::Rich))
}

/// What an answer comes to, in a word.
pub(in crate::notify) fn word(judgement: &Judgement) -> String {
    match &judgement.instead {
        Some(Instead::Plainer) => return "plainer".to_owned(),
        Some(Instead::MovedTo(id)) => return format!("moved {id}"),
        Some(Instead::Afresh) => return "afresh".to_owned(),
        Some(Instead::WithoutPlace) => return "without place".to_owned(),
        None => {}
    }
    let scope = match judgement.scope {
        Scope::Target => "",
        Scope::Host => " host",
    };
    match &judgement.outcome {
        Outcome::Delivered { message } => {
            let id = message.as_ref().map_or("-", |m| m.id.as_str());
            format!("ok {id}")
        }
        Outcome::Retryable { after: None, .. } => "retry".to_owned(),
        Outcome::Retryable {
            after: Some(wait), ..
        } => {
            format!("wait {}{scope}", wait.as_secs_f64())
        }
        Outcome::Permanent {
            target_gone: true, ..
        } => "gone".to_owned(),
        Outcome::Permanent {
            target_gone: false, ..
        } => "dead".to_owned(),
    }
}

/// What that answer means, in a word.
pub(in crate::notify) fn judge(
    target: &ProviderSpec,
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> String {
    let response = Response {
        status,
        headers: headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
        body: body.as_bytes().to_vec(),
    };
    word(&judgement_of(target, &response))
}
