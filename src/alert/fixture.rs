//! Settings for the tests of `alert` and `journal`: a program `web` tagged `game`, a webhook `hook` and a
//! chat `chat`. Never compiled into the program.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::model::backup::BackupSettings;
use crate::model::cache::{CacheSettings, Eviction};
use crate::model::control::ControlSettings;
use crate::model::language::Language;
use crate::model::program::ProgramSpec;
use crate::model::route::RouteSpec;
use crate::model::settings::{
    CheckpointSettings, Durability, LogFormat, LogSettings, MaxAge, MetricsSettings,
    NotifySettings, Settings, StoreSettings, SupervisorSettings,
};
use crate::model::target::{BreakerPolicy, Discord, ProviderSpec, RatePolicy, TargetSpec, Webhook};
use crate::model::voice::Voice;
use crate::secret::Secret;

pub(crate) fn settings(routes: Vec<RouteSpec>, max_age: MaxAge) -> Settings {
    let url = || Secret::new("http://127.0.0.1:1/");
    let secs = Duration::from_secs;
    Settings {
        path: PathBuf::from("/etc/jikimi.toml"),
        supervisor: SupervisorSettings {
            name: "box".to_owned(),
            state_dir: PathBuf::from("/var/lib/jikimi"),
            shutdown_timeout: secs(60),
        },
        programs: vec![Arc::new(program())],
        targets: vec![
            target(
                "hook",
                ProviderSpec::Webhook(Webhook {
                    url: url(),
                    secrets: vec![],
                    headers: vec![],
                }),
            ),
            target("chat", ProviderSpec::Discord(Discord { url: url() })),
        ],
        routes,
        notify: NotifySettings {
            workers: 1,
            queue: 1,
            attempt_timeout: secs(1),
            via: crate::model::via::Via::DIRECT,
            max_age,
            language: Language::default(),
            template: None,
        },
        metrics: MetricsSettings {
            interval: secs(5),
            retention_raw: secs(60),
            retention_chunks: Duration::from_hours(720),
            retention_candles: Duration::from_hours(17_520),
        },
        store: StoreSettings {
            pool: 1,
            durability: Durability::Normal,
            backup: BackupSettings::NONE,
        },
        checkpoint: CheckpointSettings {
            interval: secs(5),
            batch: 1,
        },
        cache: CacheSettings {
            policy: Eviction::Lru,
            entries: 1,
            ttl: secs(1),
            bytes: 1,
        },
        control: ControlSettings {
            http: None,
            access: crate::model::control::Access::default(),
            socket: PathBuf::from("/run/jikimi.sock"),
        },
        heartbeat: None,
        maintenance: vec![],
        log: LogSettings {
            level: log::LevelFilter::Info,
            format: LogFormat::Text,
        },
    }
}

fn target(name: &str, provider: ProviderSpec) -> Arc<TargetSpec> {
    Arc::new(TargetSpec {
        name: Arc::from(name),
        provider,
        timeout: Duration::from_secs(1),
        breaker: BreakerPolicy {
            failures: 5,
            cooldown: Duration::from_secs(30),
            cooldown_max: Duration::from_mins(15),
        },
        rate: RatePolicy {
            burst: 5,
            per_minute: 30,
        },
        voice: Voice::default(),
        via: crate::model::via::Via::DIRECT,
        chat: crate::model::living::ChatPolicy::default(),
        fallback: None,
    })
}

fn program() -> ProgramSpec {
    ProgramSpec {
        tags: vec!["game".to_owned()],
        ..ProgramSpec::fixture("web")
    }
}
