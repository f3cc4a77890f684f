//! One `[target.NAME]` to its specification: the provider it means, its breaker, its rate.

use super::fault::wrong;
use super::fields::{Block, Fields};
use super::read::{Reader, Typed};
use super::via;
use crate::model::language::Language;
use crate::model::settings::NotifySettings;
use crate::model::target::{
    BreakerPolicy, Discord, ProviderSpec, RatePolicy, Slack, TargetSpec, Telegram, Webhook,
};
use crate::model::voice::Voice;
use crate::secret::Secret;
use crate::text;

/// The specification, if everything its kind needs could be read.
pub(super) fn target(
    reader: &mut Reader<'_>,
    block: &Block,
    notify: &NotifySettings,
) -> Option<TargetSpec> {
    let fields = &block.fields;
    let breaker = breaker(reader, block);
    let via = via::of_target(reader, block, &notify.via);
    let provider = provider(fields)?;
    let usual = usual_rate(&provider);
    Some(TargetSpec {
        name: block.name.as_str().into(),
        timeout: fields.duration_or("target.*.timeout", notify.attempt_timeout),
        breaker,
        rate: RatePolicy {
            burst: fields.integer_or("target.*.rate.burst", usual.burst),
            per_minute: fields.integer_or("target.*.rate.per_minute", usual.per_minute),
        },
        provider,
        voice: Voice {
            language: language(fields, "target.*.language").unwrap_or(notify.language),
        },
        via,
    })
}

/// The language that `path` names, when it was written.
fn language(fields: &Fields, path: &str) -> Option<Language> {
    Language::parse(&fields.text_written(path)?)
}

fn provider(fields: &Fields) -> Option<ProviderSpec> {
    let kind = fields.text_written("target.*.kind")?;
    let secret = |path: &str| fields.secrets(path).first().cloned();
    let url = || secret("target.*.url");
    match kind.as_str() {
        "webhook" => Some(ProviderSpec::Webhook(Webhook {
            url: url()?,
            secrets: fields.secrets("target.*.secret").to_vec(),
            headers: headers(fields),
        })),
        "discord" => Some(ProviderSpec::Discord(Discord { url: url()? })),
        "slack" => Some(ProviderSpec::Slack(Slack { url: url()? })),
        "telegram" => Some(ProviderSpec::Telegram(Telegram {
            token: secret("target.*.token")?,
            chat_id: fields.text_written("target.*.chat_id")?,
            api_url: fields.text("target.*.api_url"),
        })),
        other => super::chats::provider(other, fields)
            .or_else(|| super::machines::provider(other, fields)),
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
        ProviderSpec::Webhook(_) | ProviderSpec::Mattermost(_) | ProviderSpec::Gotify(_) => {
            (10, 300)
        }
        ProviderSpec::Discord(_) | ProviderSpec::Matrix(_) => (5, 30),
        ProviderSpec::Slack(_) => (3, 60),
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
