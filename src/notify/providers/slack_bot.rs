//! Slack's Web API with a bot's token: the same messages as the incoming webhook's, which can be edited, deleted and
//! put into threads. Errors come with status 200.

use serde_json::{Value, json};

use super::slack;
use super::{
    Abilities, Context, HttpRequest, Instead, Judgement, Provider, Task, Tier, Told, USER_AGENT,
    by_status, json, json_headers, permanent, reason, refused_form, retryable, wait,
};
use crate::fetch::Response;
use crate::limits;
use crate::model::delivery::{MessageRef, Outcome};
use crate::model::target::SlackBot;
use crate::secret::Secret;

impl Provider for SlackBot {
    fn request(&self, told: &Told<'_>, context: &Context<'_>) -> HttpRequest {
        let said = || slack::body(&told.message(context), context.tier);
        let (method, body) = match context.task {
            Task::Create { place, reply_to } => {
                let mut body = said();
                body["channel"] = self.channel.as_str().into();
                if let Some(root) = place.or(reply_to.map(|m| m.id.as_str())) {
                    body["thread_ts"] = root.into();
                }
                if reply_to.is_some() {
                    // An answer is there to be heard, also by those who do not follow the thread.
                    body["reply_broadcast"] = true.into();
                }
                ("chat.postMessage", body)
            }
            Task::Edit(message) => (
                "chat.update",
                self.changed(&said(), (message, context.tier)),
            ),
            Task::Delete(message) => ("chat.delete", self.of(message)),
            Task::Open { name } => {
                let body = json!({
                    "channel": self.channel,
                    "text": slack::escaped(name),
                    "mrkdwn": false,
                    "link_names": false,
                    "parse": "none",
                });
                ("chat.postMessage", body)
            }
        };
        let base = self.api_url.trim_end_matches('/');
        let mut headers = json_headers(USER_AGENT);
        let bearer = format!("Bearer {}", self.token.expose());
        headers.push(("authorization".to_owned(), Secret::new(bearer)));
        HttpRequest::post(Secret::new(format!("{base}/{method}")), headers, &body)
    }

    fn classify(&self, response: &Response, context: &Context<'_>) -> Judgement {
        classify(response, context)
    }

    fn address(&self) -> Secret {
        Secret::new(self.api_url.as_str())
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            edits: true,
            deletes: true,
            replies: true,
            places: true,
            keyed: false,
        }
    }
}

impl SlackBot {
    /// By the channel's id, which the answer gave: its name is not taken here.
    fn of(&self, message: &MessageRef) -> Value {
        json!({
            "channel": message.place.as_deref().unwrap_or(&self.channel),
            "ts": message.id,
        })
    }

    /// `chat.update` knows fewer arguments, and keeps the blocks that it is not given.
    fn changed(&self, said: &Value, (message, tier): (&MessageRef, Tier)) -> Value {
        let mut body = self.of(message);
        for key in ["text", "link_names", "parse"] {
            body[key] = said[key].clone();
        }
        body["blocks"] = if tier == Tier::Rich {
            said["blocks"].clone()
        } else {
            json!([])
        };
        body
    }
}

fn classify(response: &Response, context: &Context<'_>) -> Judgement {
    let body = json(response);
    let field = |name: &str| body.as_ref().and_then(|b| b.get(name));
    let word = field("error").and_then(Value::as_str).unwrap_or("");
    // Its words are short; anything longer is not its own.
    let word = if word.len() <= limits::SLACK_WORD {
        word
    } else {
        ""
    };
    let why = reason(response.status, word);
    if response.status != 200 {
        return by_status(response, word, context.now);
    }
    match field("ok").and_then(Value::as_bool) {
        Some(true) => Outcome::Delivered {
            message: body.as_ref().and_then(|b| reference(b, context.task)),
        }
        .into(),
        Some(false) => refused(word, why, (response, context)),
        None => retryable(format!("{why} (not from Slack)"), None),
    }
}

fn reference(body: &Value, task: Task<'_>) -> Option<MessageRef> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let ts = text("ts")?;
    match task {
        Task::Create { .. } => Some(MessageRef {
            id: ts.to_owned(),
            place: text("channel").map(str::to_owned),
        }),
        // A thread is called by the message it hangs on.
        Task::Open { .. } => Some(MessageRef::new(ts).within(ts)),
        Task::Edit(_) | Task::Delete(_) => None,
    }
}

fn refused(word: &str, why: String, (response, context): (&Response, &Context<'_>)) -> Judgement {
    let instead = |instead, why| Judgement {
        instead: Some(instead),
        ..permanent(why, false)
    };
    match (context.task, word) {
        (Task::Delete(_), "message_not_found") => Outcome::Delivered { message: None }.into(),
        (
            Task::Edit(_) | Task::Delete(_),
            "message_not_found"
            | "cant_update_message"
            | "edit_window_closed"
            | "cant_delete_message"
            | "is_inactive",
        ) => instead(Instead::Afresh, why),
        (
            Task::Create { place: Some(_), .. },
            "thread_not_found"
            | "message_not_found"
            | "cannot_reply_to_message"
            | "invalid_thread_ts",
        ) => instead(Instead::WithoutPlace, why),
        (
            _,
            "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired",
        ) => permanent(why, true),
        (
            _,
            "msg_too_long"
            | "msg_blocks_too_long"
            | "invalid_blocks"
            | "invalid_blocks_format"
            | "too_many_attachments"
            | "no_text",
        ) => refused_form(why),
        (_, "fatal_error" | "internal_error" | "request_timeout" | "service_unavailable") => {
            retryable(why, None)
        }
        (_, "ratelimited" | "rate_limited") => {
            let wait = wait::stated(response, context.now).unwrap_or(limits::HOLD_DEFAULT);
            retryable(why, Some(wait))
        }
        _ => permanent(why, false),
    }
}
