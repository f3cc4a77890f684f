//! `notify test`: a message through the real outbox, followed to its outcome.

use super::connect::Place;
use super::output::{Failure, Out};
use crate::clock::mono;
use crate::control::api::{DeliveryLine, TestAnswer};
use crate::control::client::{Client, Patience};
use crate::control::http::percent_encode;
use crate::limits;
use crate::model::delivery::DeliveryState;
use crate::text;

/// Sends a test message to `target` and says what became of it.
pub fn test(place: &Place, target: &str, out: &mut Out) -> Result<(), Failure> {
    let client = place.client()?;
    let path = format!("/api/v1/targets/{}/test", percent_encode(target));
    let sent: TestAnswer = client.post(&path, Patience::Short)?;
    out.line(&format!("delivery {} is on its way", sent.delivery))?;
    out.line(&outcome(&follow(&client, &sent)?)?)
}

/// The delivery when it is settled, or as it stands after [`limits::NOTIFY_TEST_WAIT`]. The server holds each
/// question, so this asks a few times at most.
fn follow(client: &Client, sent: &TestAnswer) -> Result<DeliveryLine, Failure> {
    let path = format!("/api/v1/deliveries/{}?wait=true", sent.delivery);
    let deadline = mono() + limits::NOTIFY_TEST_WAIT;
    loop {
        let line: DeliveryLine = client.get(&path)?;
        if line.is_settled() || deadline.since(mono()).is_zero() {
            return Ok(line);
        }
    }
}

fn outcome(line: &DeliveryLine) -> Result<String, Failure> {
    let target = &line.target;
    let why = match &line.last_error {
        Some(error) => format!(": {}", text::printable(error.as_bytes())),
        None => String::new(),
    };
    Err(Failure::Failed(match line.state {
        DeliveryState::Delivered => return Ok(format!("{target} has taken the message")),
        DeliveryState::Dead => format!("{target} refused the message{why}"),
        DeliveryState::Expired => format!("{target} was not reached in time{why}"),
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
            match outcome(&line) {
                Ok(text) => assert_eq!(
                    (state, &*text),
                    (DeliveryState::Delivered, "ops has taken the message")
                ),
                Err(Failure::Failed(text)) => assert!(text.contains("status 404"), "{text}"),
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}
