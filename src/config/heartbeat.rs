//! `[heartbeat]` to its specification.

use super::fault::wrong;
use super::fields::Fields;
use super::read::Reader;
use crate::model::heartbeat::{HeartbeatMethod, HeartbeatSpec};

const URL: &str = "heartbeat.url";

/// The specification; none where no address is given. Other keys of it without one mean nothing, which is `odd`.
pub(super) fn heartbeat(odd: &mut Reader<'_>, root: &Fields) -> Option<HeartbeatSpec> {
    let others = [
        "heartbeat.interval",
        "heartbeat.timeout",
        "heartbeat.method",
    ];
    if root.place(URL).is_none()
        && let Some((key, at)) = others.iter().find_map(|key| Some((key, root.place(key)?)))
    {
        let what = "there is a heartbeat, and nobody it goes to";
        odd.fault(at, key, wrong(what, "give heartbeat.url, or leave it out"));
    }
    Some(HeartbeatSpec {
        url: root.secrets(URL).first()?.clone(),
        interval: root.duration("heartbeat.interval"),
        timeout: root.duration("heartbeat.timeout"),
        method: match root.text("heartbeat.method").as_str() {
            "post" => HeartbeatMethod::Post,
            _ => HeartbeatMethod::Get,
        },
    })
}
