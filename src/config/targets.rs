//! One `[target.NAME]` to its specification: the provider it means, its breaker, its rate.

use std::sync::Arc;

use super::fault::wrong;
use super::fields::{Block, Fields};
use super::read::{Reader, Typed};
use super::via;
use crate::model::language::Language;
use crate::model::living::{ChatPolicy, OnResolve, Thread};
use crate::model::program::Variables;
use crate::model::settings::NotifySettings;
use crate::model::target::{
    Audience, BreakerPolicy, Discord, ProviderSpec, RatePolicy, Slack, SlackBot, TargetSpec,
    Telegram, Webhook,
};
use crate::model::voice::Voice;
use crate::secret::Secret;
use crate::text;

/// The specification, if everything its kind needs could be read.
pub(super) fn target(
    reader: &mut Reader<'_>,
    block: &Block,
    (notify, inherited): (&NotifySettings, &Arc<Variables>),
) -> Option<TargetSpec> {
    let fields = &block.fields;
    let breaker = breaker(reader, block);
    let via = via::of_target(reader, block, &notify.via);
    let chat = chat(reader, block);
    let provider = match fields.text_written("target.*.kind")?.as_str() {
        "slack" => slack(reader, block)?,
        kind => {
            provider(fields, kind).or_else(|| super::machines::exec(reader, block, inherited))?
        }
    };
    let usual = usual_rate(&provider);
    let of_all = (provider.audience() == Audience::Chat).then_some(&notify.template);
    Some(TargetSpec {
        name: block.name.as_str().into(),
        timeout: fields.duration_or("target.*.timeout", notify.attempt_timeout),
        breaker,
        rate: RatePolicy {
            burst: fields.integer_or("target.*.rate.burst", usual.burst),
            per_minute: fields.integer_or("target.*.rate.per_minute", usual.per_minute),
        },
        chat,
        fallback: super::fallback::fallback(fields),
        provider,
        voice: Voice {
            language: language(fields, "target.*.language").unwrap_or(notify.language),
            template: fields
                .template("target.*.template")
                .or_else(|| of_all.cloned().flatten()),
        },
        via,
    })
}

/// The language that `path` names, when it was written.
fn language(fields: &Fields, path: &str) -> Option<Language> {
    Language::parse(&fields.text_written(path)?)
}

fn provider(fields: &Fields, kind: &str) -> Option<ProviderSpec> {
    let secret = |path: &str| fields.secrets(path).first().cloned();
    let url = || secret("target.*.url");
    match kind {
        "webhook" => Some(ProviderSpec::Webhook(Webhook {
            url: url()?,
            secrets: fields.secrets("target.*.secret").to_vec(),
            headers: headers(fields),
        })),
        "discord" => Some(ProviderSpec::Discord(Discord { url: url()? })),
        "telegram" => Some(ProviderSpec::Telegram(Telegram {
            token: secret("target.*.token")?,
            chat_id: fields.text_written("target.*.chat_id")?,
            api_url: fields.text("target.*.api_url"),
        })),
        other => super::chats::provider(other, fields)
            .or_else(|| super::machines::provider(other, fields)),
    }
}

/// Not by the table, which has another default for other kinds.
const SLACK_API: &str = "https://slack.com/api";

/// An incoming webhook, or a bot.
fn slack(reader: &mut Reader<'_>, block: &Block) -> Option<ProviderSpec> {
    let fields = &block.fields;
    let secret = |path: &str| fields.secrets(path).first().cloned();
    let (url, token) = (secret("target.*.url"), secret("target.*.token"));
    let channel = fields.text_written("target.*.channel");
    let what = match (url, token, channel) {
        (Some(url), None, None) => return Some(ProviderSpec::Slack(Slack { url })),
        (None, Some(token), Some(channel)) => {
            return Some(ProviderSpec::SlackBot(SlackBot {
                token,
                channel,
                api_url: fields
                    .text_written("target.*.api_url")
                    .unwrap_or_else(|| SLACK_API.to_owned()),
            }));
        }
        (Some(_), _, _) => "it has an address, and a token or channel",
        (None, Some(_), None) => "it has a token and no channel",
        (None, None, Some(_)) => "it has a channel and no token",
        (None, None, None) => "it has no address and no token",
    };
    // Values that are wrong themselves have been reported.
    let is_written = |path: &str| fields.place(path).is_some();
    let is_whole = ["target.*.url", "target.*.token", "target.*.channel"]
        .into_iter()
        .all(|path| !is_written(path) || fields.written(path).is_some());
    if is_whole {
        let right = "url of an incoming webhook, or token and channel of a bot";
        reader.fault(block.at, &block.shown, wrong(what, right));
    }
    None
}

/// How people are told; the kinds whose messages do not live have none of its keys.
fn chat(reader: &mut Reader<'_>, block: &Block) -> ChatPolicy {
    const THREAD: &str = "target.*.thread";
    let fields = &block.fields;
    let word = fields.text_written("target.*.on_resolve");
    let thread = match fields.text_written(THREAD) {
        None => Thread::None,
        Some(word) if word == "per-program" => Thread::PerProgram,
        Some(id) => {
            // It becomes a part of addresses.
            let is_id = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            // Events of Matrix begin with the sign.
            if !id.strip_prefix('$').unwrap_or(&id).bytes().all(is_id) {
                let at = fields.place(THREAD).unwrap_or(block.at);
                let w = wrong(
                    "it is no id of a thread",
                    "\"per-program\", or an id as the service shows it",
                );
                reader.fault(at, &format!("{}.thread", block.shown), w);
            }
            Thread::Fixed(id)
        }
    };
    ChatPolicy {
        on_resolve: word.map_or_else(OnResolve::default, |w| OnResolve::of(&w)),
        thread,
    }
}

pub(super) fn headers(fields: &Fields) -> Vec<(String, Secret)> {
    match fields.written("target.*.headers") {
        Some(Typed::Headers(headers)) => headers.clone(),
        _ => Vec::new(),
    }
}

/// What a provider takes without complaint, as its documentation or its users say.
fn usual_rate(provider: &ProviderSpec) -> RatePolicy {
    let (burst, per_minute) = match provider {
        ProviderSpec::Webhook(_)
        | ProviderSpec::Mattermost(_)
        | ProviderSpec::Gotify(_)
        | ProviderSpec::Exec(_) => (10, 300),
        ProviderSpec::Discord(_) | ProviderSpec::Matrix(_) => (5, 30),
        ProviderSpec::Slack(_) | ProviderSpec::SlackBot(_) => (3, 60),
        // A group's limit, which is the lowest: what a chat is cannot be seen from its number alone.
        ProviderSpec::Telegram(_) | ProviderSpec::Pushover(_) => (3, 20),
        // Half of what a visitor may ask at once; others may be behind the same address.
        ProviderSpec::Ntfy(_) => (30, 12),
        // The space is shared with other webhooks.
        ProviderSpec::GoogleChat(_) => (1, 60),
        ProviderSpec::Teams(_) => (2, 60),
        ProviderSpec::PagerDuty(_) => (20, 120),
        // Every open incident is told again each minute.
        ProviderSpec::Alertmanager(_) => (50, 3_000),
    };
    RatePolicy { burst, per_minute }
}

fn breaker(reader: &mut Reader<'_>, block: &Block) -> BreakerPolicy {
    const COOLDOWN: &str = "target.*.breaker.cooldown";
    const MAX: &str = "target.*.breaker.cooldown_max";
    let fields = &block.fields;
    let policy = BreakerPolicy {
        failures: fields.integer("target.*.breaker.failures"),
        cooldown: fields.duration(COOLDOWN),
        cooldown_max: fields.duration(MAX),
    };
    if policy.cooldown > policy.cooldown_max {
        let at = fields
            .place(COOLDOWN)
            .or(fields.place(MAX))
            .unwrap_or(block.at);
        let (first, max) = (
            text::duration(policy.cooldown),
            text::duration(policy.cooldown_max),
        );
        let what = format!("cooldown ({first}) is longer than cooldown_max ({max})");
        let full = format!("{}.breaker", block.shown);
        reader.fault(
            at,
            &full,
            wrong(what, "lower cooldown, or raise cooldown_max"),
        );
    }
    policy
}
