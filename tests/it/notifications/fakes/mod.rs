//! Chats and other services on loopback that behave as their documentation says: they refuse what it says is refused, and show what
//! people would see.

pub mod alertmanager;
pub mod google_chat;
pub mod gotify;
pub mod matrix;
pub mod mattermost;
pub mod ntfy;
pub mod pagerduty;
pub mod pushover;
pub mod teams;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::receiver::{Received, Receiver, Reply};
use crate::support::wait_for;

/// A message as people see it.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// By which it is changed.
    pub id: String,
    /// Everything it said, oldest first; the last is what it says.
    pub said: Vec<String>,
    /// What it answers to.
    pub answers: Option<String>,
    /// Whether it was taken away.
    pub is_deleted: bool,
}

/// A refusal, by status and body.
pub struct Refusal(pub u16, pub String);

/// What a chat answers with.
pub type Answer = Result<String, Refusal>;

/// One kind of chat.
pub trait Chat: Send + 'static {
    /// Does what is asked, or says why not. The status of a success is `OK`.
    fn take(&mut self, request: &Received, shown: &mut Vec<Shown>) -> Answer;

    /// The status of a success.
    fn success(&self) -> u16 {
        200
    }
}

/// What happens to a request besides.
pub enum Trouble {
    /// It is answered.
    None,
    /// It is taken, and the answer is lost.
    LostAnswer,
    /// It is not looked at, and answered with this.
    Instead(Reply),
}

#[derive(Default)]
struct State {
    shown: Vec<Shown>,
    refused: Vec<String>,
}

/// A chat that is served.
pub struct Fake {
    receiver: Receiver,
    state: Arc<Mutex<State>>,
}

impl Fake {
    /// One without trouble.
    pub fn start(chat: impl Chat) -> Self {
        Self::troubled(chat, |_, _| Trouble::None)
    }

    /// One to which `trouble` happens: it is given the number of the request, from 0, and the request.
    pub fn troubled(
        mut chat: impl Chat,
        mut trouble: impl FnMut(usize, &Received) -> Trouble + Send + 'static,
    ) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let seen = Arc::clone(&state);
        let mut count = 0;
        let receiver = Receiver::scripted(move |request| {
            let happens = trouble(count, request);
            count += 1;
            if let Trouble::Instead(reply) = happens {
                return reply;
            }
            let mut state = seen.lock().expect("no test panics in it");
            let answer = chat.take(request, &mut state.shown);
            match (answer, happens) {
                (Ok(_), Trouble::LostAnswer) => Reply::Close,
                (Ok(body), _) => Reply::Status(chat.success(), vec![], body),
                (Err(Refusal(status, body)), _) => {
                    let line = format!(
                        "{} {}: {status} {body}: {}",
                        request.method, request.path, request.body
                    );
                    state.refused.push(line);
                    Reply::Status(status, vec![], body)
                }
            }
        });
        Self { receiver, state }
    }

    /// Where it is.
    pub fn url(&self, path: &str) -> String {
        self.receiver.url(path)
    }

    /// Everything it was asked.
    pub fn requests(&self) -> Vec<Received> {
        self.receiver.received()
    }

    /// What is to be seen.
    pub fn shown(&self) -> Vec<Shown> {
        self.state
            .lock()
            .expect("no test panics in it")
            .shown
            .clone()
    }

    /// What was refused, each with its reason.
    pub fn refused(&self) -> Vec<String> {
        self.state
            .lock()
            .expect("no test panics in it")
            .refused
            .clone()
    }

    /// Waits until some message says, or has said, something with `text` in it.
    pub fn wait_said(&self, text: &str) -> Shown {
        wait_for(&format!("{text:?}"), || {
            let shown = self.shown();
            shown
                .iter()
                .find(|m| m.said.iter().any(|s| s.contains(text)))
                .cloned()
                .ok_or_else(|| format!("{shown:#?}\nrefused: {:#?}", self.refused()))
        })
    }
}

/// `request`'s body as an object with none but `known` keys.
pub fn object(request: &Received, known: &[&str]) -> Result<Value, String> {
    let value: Value = serde_json::from_str(&request.body).map_err(|e| e.to_string())?;
    only(&value, known)?;
    Ok(value)
}

/// Whether `value` is an object with none but `known` keys.
pub fn only(value: &Value, known: &[&str]) -> Result<(), String> {
    let map = value
        .as_object()
        .ok_or_else(|| format!("no object: {value}"))?;
    let known: HashSet<&str> = known.iter().copied().collect();
    match map.keys().find(|k| !known.contains(k.as_str())) {
        Some(key) => Err(format!("unknown field {key}")),
        None => Ok(()),
    }
}

/// A text of `value`, not empty.
pub fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    match value.get(key).and_then(Value::as_str) {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(format!("{key} is missing or empty")),
    }
}

/// Whether the request says that its body is JSON.
pub fn is_json(request: &Received) -> bool {
    let kind = request.headers.get("content-type");
    kind.is_some_and(|k| k.starts_with("application/json"))
}
