//! What an attempt did, in words for people. Pure.

use super::attempt::Report;
use crate::limits;
use crate::model::deed::Deed;
use crate::model::delivery::Outcome;
use crate::text;

/// What `report` says was done, and what was done instead of what was meant.
pub(super) fn deed(report: &Report) -> Deed {
    let is_delivered = matches!(report.outcome, Outcome::Delivered { .. });
    let did = match (report.skipped, report.did.is_empty(), is_delivered) {
        (Some(why), ..) => Some(format!("nothing: {why}")),
        (None, false, _) => Some(report.did.join(", ")),
        (None, true, true) => Some("sent".to_owned()),
        (None, true, false) => None,
    };
    let fallbacks = [
        ("plainer, for its form was refused", &report.degraded),
        ("anew, for the message could not be changed", &report.afresh),
        ("outside of its thread", &report.placeless),
        ("to where the chat has moved", &report.moved_to),
    ];
    let fallbacks: Vec<String> = fallbacks
        .into_iter()
        .filter_map(|(what, why)| Some(format!("{what}: {}", why.as_ref()?)))
        .collect();
    let fallback = fallbacks.join("; ");
    Deed {
        did,
        fallback: (!fallback.is_empty())
            .then(|| text::cut(&fallback, limits::REASON_MAX).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_says_what_it_did_and_what_it_did_instead() {
        let mut report = Report::unsent("no");
        assert_eq!(deed(&report), Deed::default());
        report.outcome = Outcome::Delivered { message: None };
        assert_eq!(deed(&report).did.as_deref(), Some("sent"));
        report.did = vec!["edited", "answered"];
        report.degraded = Some("status 400".to_owned());
        report.placeless = Some("status 404".to_owned());
        let done = deed(&report);
        assert_eq!(done.did.as_deref(), Some("edited, answered"));
        assert_eq!(
            done.fallback.as_deref(),
            Some(
                "plainer, for its form was refused: status 400; outside of its thread: status 404"
            )
        );
        report.skipped = Some("it says so already");
        let done = deed(&report);
        assert_eq!(done.did.as_deref(), Some("nothing: it says so already"));
    }
}
