//! `notify test`: an incident made up for one target goes through the real outbox: its message is made, edited and
//! resolved, each followed to its outcome.

use super::connect::Place;
use super::output::{Failure, Out};
use crate::clock::mono;
use crate::control::api::{DeliveryLine, TestAnswer};
use crate::control::client::{Client, Patience};
use crate::control::deliveries::DeliveryDetail;
use crate::control::http::percent_encode;
use crate::ids::IncidentId;
use crate::limits;
use crate::model::delivery::DeliveryState;
use crate::model::target::{TargetState, TargetView};
use crate::model::trial::Step;
use crate::text;

/// Opens, changes and ends a made-up incident at `target`, and says what became of each.
pub fn test(place: &Place, target: &str, out: &mut Out) -> Result<(), Failure> {
    let client = place.client()?;
    let incident = IncidentId::new();
    for step in Step::ALL {
        let path = format!(
            "/api/v1/targets/{}/test?step={}&incident={incident}",
            percent_encode(target),
            step.as_str()
        );
        let sent: TestAnswer = client.post(&path, Patience::Short)?;
        let what = match step {
            Step::Open => "something is wrong",
            Step::Update => "there is more to say",
            Step::Resolve => "it is over",
        };
        out.line(&format!("{what}: delivery {} is on its way", sent.delivery))?;
        let (line, target) = follow(&client, &sent)?;
        let outcome = outcome(&line, target.as_ref())?;
        let path = format!("/api/v1/deliveries/{}/detail", sent.delivery);
        out.line(&format!("  {outcome}{}", done(&client.get(&path)?)))?;
    }
    Ok(())
}

/// `: edited, status 200, message 17`.
fn done(detail: &DeliveryDetail) -> String {
    let last = detail.tries.last();
    let parts = [
        last.and_then(|t| t.did.clone()),
        last.and_then(|t| t.fallback.clone()),
        last.and_then(|t| Some(format!("status {}", t.status?))),
        detail.message_id.as_ref().map(|id| format!("message {id}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return String::new();
    }
    let said = parts.join(", ");
    format!(": {}", text::printable(said.as_bytes()))
}

/// The delivery when it is settled, or as it stands after [`limits::NOTIFY_TEST_WAIT`] or when nothing will come
/// of it, with its target then. The server holds each question, so this asks a few times at most.
fn follow(
    client: &Client,
    sent: &TestAnswer,
) -> Result<(DeliveryLine, Option<TargetView>), Failure> {
    let path = format!("/api/v1/deliveries/{}?wait=true", sent.delivery);
    let deadline = mono() + limits::NOTIFY_TEST_WAIT;
    loop {
        let line: DeliveryLine = client.get(&path)?;
        if line.is_settled() {
            return Ok((line, None));
        }
        let target = view(client, &line.target)?;
        // An older message may have gone before the test, and shown that nothing gets through.
        let is_held = target.as_ref().is_some_and(takes_nothing);
        if is_held || deadline.since(mono()).is_zero() {
            return Ok((line, target));
        }
    }
}

fn takes_nothing(target: &TargetView) -> bool {
    matches!(target.state, TargetState::Open | TargetState::Dead)
}

fn view(client: &Client, name: &str) -> Result<Option<TargetView>, Failure> {
    let targets: Vec<TargetView> = client.get("/api/v1/targets")?;
    Ok(targets.into_iter().find(|t| t.name == name))
}

fn outcome(line: &DeliveryLine, view: Option<&TargetView>) -> Result<String, Failure> {
    let target = &line.target;
    let known = view.and_then(|v| v.last_error.as_ref());
    let why = match line.last_error.as_ref().or(known) {
        Some(error) => format!(": {}", text::printable(error.as_bytes())),
        None => String::new(),
    };
    Err(Failure::Failed(match line.state {
        DeliveryState::Delivered => return Ok(format!("{target} has taken the message")),
        DeliveryState::Dead => format!("{target} refused the message{why}"),
        DeliveryState::Expired => format!("{target} was not reached in time{why}"),
        DeliveryState::Pending | DeliveryState::Leased if view.is_some_and(takes_nothing) => {
            format!("{target} takes no messages now, so this one waits{why}")
        }
        DeliveryState::Pending | DeliveryState::Leased => format!(
            "{target} has not taken the message within {} s (attempts: {}); it is tried again{why}",
            limits::NOTIFY_TEST_WAIT.as_secs(),
            line.attempts
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DeliveryId, EventId};

    #[test]
    fn only_a_delivered_message_is_a_success_and_the_reason_is_told() {
        for state in [
            DeliveryState::Pending,
            DeliveryState::Leased,
            DeliveryState::Delivered,
            DeliveryState::Dead,
            DeliveryState::Expired,
        ] {
            let line = DeliveryLine {
                id: DeliveryId::new(),
                event: EventId::new(),
                incident: None,
                target: "ops".to_owned(),
                state,
                attempts: 1,
                next_attempt_at: None,
                last_error: Some("status 404".to_owned()),
            };
            match outcome(&line, None) {
                Ok(text) => assert_eq!(
                    (state, &*text),
                    (DeliveryState::Delivered, "ops has taken the message")
                ),
                Err(Failure::Failed(text)) => assert!(text.contains("status 404"), "{text}"),
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    #[test]
    fn a_test_that_waits_is_told_what_is_wrong_with_its_target() {
        let mut line = DeliveryLine {
            id: DeliveryId::new(),
            event: EventId::new(),
            incident: None,
            target: "ops".to_owned(),
            state: DeliveryState::Pending,
            attempts: 0,
            next_attempt_at: None,
            last_error: None,
        };
        let mut view = TargetView {
            name: "ops".to_owned(),
            kind: "webhook".to_owned(),
            state: TargetState::Waiting,
            pending: 2,
            delivered: 0,
            failed: 0,
            last_activity: None,
            last_error: Some("status 500".to_owned()),
            detail: crate::model::target::TargetDetail::default(),
        };
        let said = |line: &DeliveryLine, view: &TargetView| match outcome(line, Some(view)) {
            Err(Failure::Failed(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(said(&line, &view).ends_with("tried again: status 500"));
        view.state = TargetState::Dead;
        assert!(said(&line, &view).ends_with("this one waits: status 500"));
        line.last_error = Some("status 410".to_owned());
        assert!(said(&line, &view).ends_with("this one waits: status 410"));
    }
}
