//! Discord, Slack and Telegram as their documentation describes them: they keep their messages, and refuse what they
//! do not know, cannot find or do not want.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::support::receiver::{Received, Receiver, Reply};

fn answer(status: u16, body: &Value) -> Reply {
    Reply::Status(status, vec![], body.to_string())
}

/// What there is.
#[derive(Default)]
struct State {
    /// Messages by id, with the thread each is in.
    messages: BTreeMap<u64, String>,
    threads: Vec<String>,
    made: u64,
    is_away: bool,
}

type Shared = Arc<Mutex<State>>;

fn lock(state: &Shared) -> MutexGuard<'_, State> {
    state.lock().expect("no test panics in it")
}

/// A webhook of Discord's, of a text channel or of a forum.
pub struct Discord {
    pub receiver: Receiver,
    state: Shared,
}

impl Discord {
    pub fn start(is_forum: bool) -> Self {
        let state = Shared::default();
        let own = Arc::clone(&state);
        let receiver = Receiver::scripted(move |request| {
            let mut state = lock(&own);
            if state.is_away {
                return Reply::status(500);
            }
            discord(&mut state, request, is_forum)
        });
        Self { receiver, state }
    }

    pub fn target(&self) -> String {
        let url = self.receiver.url("/api/webhooks/1/tok");
        format!("kind = \"discord\"\nurl = \"{url}\"")
    }

    /// All messages are deleted by hand.
    pub fn forget(&self) {
        lock(&self.state).messages.clear();
    }

    pub fn be_away(&self, is_away: bool) {
        lock(&self.state).is_away = is_away;
    }
}

fn refusal(status: u16, code: u32) -> Reply {
    answer(status, &json!({ "message": "refused", "code": code }))
}

fn discord(state: &mut State, request: &Received, is_forum: bool) -> Reply {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let field = |name: &str| {
        let prefix = format!("{name}=");
        query
            .split('&')
            .find_map(|p| p.strip_prefix(&prefix))
            .map(str::to_owned)
    };
    let Some(rest) = path.strip_prefix("/api/v10/webhooks/1/tok") else {
        return refusal(404, 10_015);
    };
    if request.method == "POST" {
        return discord_new(state, &request.json(), (field("thread_id"), is_forum));
    }
    let id: u64 = rest
        .strip_prefix("/messages/")
        .and_then(|i| i.parse().ok())
        .unwrap_or(0);
    // A message is looked for in the thread that is named, or in the channel.
    if state.messages.get(&id) != Some(&field("thread_id").unwrap_or_default()) {
        return refusal(404, 10_008);
    }
    match request.method.as_str() {
        "PATCH" if request.json()["allowed_mentions"]["parse"] == json!([]) => {
            answer(200, &json!({ "id": id.to_string(), "channel_id": "7" }))
        }
        "DELETE" => {
            state.messages.remove(&id);
            Reply::status(204)
        }
        _ => refusal(400, 50_035),
    }
}

fn discord_new(state: &mut State, body: &Value, at: (Option<String>, bool)) -> Reply {
    let (thread, is_forum) = at;
    let name = body["thread_name"].as_str();
    let is_empty =
        body["content"].as_str().is_none_or(str::is_empty) && body["embeds"][0].is_null();
    if body["allowed_mentions"]["parse"] != json!([]) || name.is_some_and(|n| n.len() > 100) {
        return refusal(400, 50_035);
    }
    if is_empty {
        return refusal(400, 50_006);
    }
    match (is_forum, &thread, name) {
        (true, None, None) => return refusal(400, 220_001),
        (true, Some(_), Some(_)) => return refusal(400, 220_002),
        (false, _, Some(_)) => return refusal(400, 220_003),
        (_, Some(id), None) if !state.threads.contains(id) => return refusal(404, 10_003),
        _ => {}
    }
    state.made += 1;
    let id = 1_000 + state.made;
    let mut place = thread.unwrap_or_default();
    if name.is_some() {
        place = id.to_string();
        state.threads.push(place.clone());
    }
    let channel = if place.is_empty() {
        "7".to_owned()
    } else {
        place.clone()
    };
    state.messages.insert(id, place);
    answer(200, &json!({ "id": id.to_string(), "channel_id": channel }))
}

/// The bot API of Telegram, with one chat.
pub struct Telegram {
    pub receiver: Receiver,
}

impl Telegram {
    /// It takes what `hangs` says and does not answer.
    pub fn start(mut hangs: impl FnMut(&Received) -> bool + Send + 'static) -> Self {
        let mut state = State::default();
        let receiver = Receiver::scripted(move |request| {
            let reply = telegram(&mut state, request);
            if request.body.contains("web crashed") && hangs(request) {
                return Reply::Hang;
            }
            reply
        });
        Self { receiver }
    }

    pub fn target(&self, more: &str) -> String {
        let url = self.receiver.url("");
        format!(
            "kind = \"telegram\"\ntoken = \"1:AA\"\nchat_id = -100\napi_url = \"{url}\"\n{more}"
        )
    }
}

fn bad(said: &str) -> Reply {
    let said = format!("Bad Request: {said}");
    answer(
        400,
        &json!({ "ok": false, "error_code": 400, "description": said }),
    )
}

fn telegram(state: &mut State, request: &Received) -> Reply {
    let body = request.json();
    let text = body["text"].as_str().unwrap_or_default();
    let id = body["message_id"].as_u64().unwrap_or(0);
    if request.method != "POST" || body["chat_id"] != -100 {
        return bad("chat not found");
    }
    match request.path.as_str() {
        "/bot1:AA/sendMessage" if text.is_empty() => bad("message text is empty"),
        "/bot1:AA/sendMessage" => {
            state.made += 1;
            let id = 500 + state.made;
            state.messages.insert(id, text.to_owned());
            let result = json!({ "message_id": id, "chat": { "id": -100 } });
            answer(200, &json!({ "ok": true, "result": result }))
        }
        "/bot1:AA/editMessageText" => match state.messages.get_mut(&id) {
            None => bad("message to edit not found"),
            Some(old) if old == text => bad("message is not modified: the same"),
            Some(old) => {
                text.clone_into(old);
                let result = json!({ "message_id": id, "chat": { "id": -100 } });
                answer(200, &json!({ "ok": true, "result": result }))
            }
        },
        _ => answer(
            404,
            &json!({ "ok": false, "error_code": 404, "description": "Not Found" }),
        ),
    }
}

/// The Web API of Slack, with one channel.
pub struct Slack {
    pub receiver: Receiver,
    state: Shared,
}

impl Slack {
    pub fn start() -> Self {
        let state = Shared::default();
        let own = Arc::clone(&state);
        let receiver = Receiver::scripted(move |request| slack(&mut lock(&own), request));
        Self { receiver, state }
    }

    pub fn target(&self, more: &str) -> String {
        let url = self.receiver.url("/api");
        format!(
            "kind = \"slack\"\ntoken = \"xoxb-1\"\nchannel = \"#ops\"\napi_url = \"{url}\"\n{more}"
        )
    }

    /// Messages that are there.
    pub fn left(&self) -> usize {
        lock(&self.state).messages.len()
    }
}

/// Errors come with status 200.
fn no(word: &str) -> Reply {
    answer(200, &json!({ "ok": false, "error": word }))
}

fn slack(state: &mut State, request: &Received) -> Reply {
    if request.headers.get("authorization").map(String::as_str) != Some("Bearer xoxb-1") {
        return no("not_authed");
    }
    let body = request.json();
    if request.path == "/api/chat.postMessage" {
        if body["channel"] != "#ops" && body["channel"] != "C01" {
            return no("channel_not_found");
        }
        state.made += 1;
        state.messages.insert(state.made, String::new());
        let ts = format!("1.{:03}", state.made);
        return answer(200, &json!({ "ok": true, "channel": "C01", "ts": ts }));
    }
    // These two want the channel's id.
    if body["channel"] != "C01" {
        return no("channel_not_found");
    }
    let ts = body["ts"]
        .as_str()
        .and_then(|ts| ts.strip_prefix("1.")?.parse().ok())
        .unwrap_or(0);
    match request.path.as_str() {
        _ if !state.messages.contains_key(&ts) => no("message_not_found"),
        "/api/chat.update" => answer(
            200,
            &json!({ "ok": true, "channel": "C01", "ts": body["ts"] }),
        ),
        "/api/chat.delete" => {
            state.messages.remove(&ts);
            answer(
                200,
                &json!({ "ok": true, "channel": "C01", "ts": body["ts"] }),
            )
        }
        _ => no("unknown_method"),
    }
}
