//! The one table of every key, from which come reading, hints, `example.toml` and the README's table. Only
//! data: what a [`Kind`] means is in `read`.

use std::time::Duration;

use super::keys::{Availability, Key, Kind, OnChange};
use crate::limits;
use crate::model::living::OnResolve;

const fn now(path: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Key {
    Key {
        path,
        kind,
        default: None,
        default_words: None,
        example,
        doc,
        on_change: OnChange::Live,
        availability: Availability::Now,
        required: false,
        of: &[],
    }
}

/// A key whose example is its default.
const fn usual(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    let mut key = now(path, kind, default, doc);
    key.default = Some(default);
    key
}

const fn later(path: &'static str, doc: &'static str) -> Key {
    let mut key = now(path, Kind::Unread, "", doc);
    key.availability = Availability::Later;
    key
}

impl Key {
    const fn needed(mut self) -> Self {
        self.required = true;
        self
    }
    /// Takes effect at the next start of the supervisor only.
    const fn fixed(mut self) -> Self {
        self.on_change = OnChange::Fixed;
        self
    }
    /// Takes effect with another run of the program.
    const fn restarts(mut self) -> Self {
        self.on_change = OnChange::Restart;
        self
    }
    const fn or(mut self, default_words: &'static str) -> Self {
        self.default_words = Some(default_words);
        self
    }
    const fn of(mut self, kinds: &'static [&'static str]) -> Self {
        self.of = kinds;
        self
    }
}

const fn span(min: Duration) -> Kind {
    Kind::Duration {
        min,
        max: limits::CONFIG_DURATION_MAX,
    }
}
const ANY_TIME: Kind = span(Duration::ZERO);
const SOME_TIME: Kind = span(Duration::from_millis(1));
const SAMPLING: Kind = span(limits::SAMPLE_INTERVAL_MIN);
const PROBING: Kind = span(limits::PROBE_INTERVAL_MIN);
const CHECK: Kind = Kind::Duration {
    min: Duration::from_millis(10),
    max: limits::PROBE_TIMEOUT_MAX,
};
const RESEND: Kind = Kind::Duration {
    min: Duration::from_secs(1),
    max: limits::ALERT_RESEND_MAX,
};
const GROUPING: Kind = Kind::Duration {
    min: Duration::ZERO,
    max: limits::GROUP_WAIT_MAX,
};
const ATTEMPT: Kind = Kind::Duration {
    min: Duration::from_millis(100),
    max: limits::ATTEMPT_MAX,
};
const ROTATED: Kind = Kind::Size {
    min: limits::LOG_SIZE_LEAST,
    max: limits::LOG_SIZE_MOST,
};

const CACHED: Kind = Kind::Size {
    min: limits::CACHE_BYTES_LEAST,
    max: limits::LOG_SIZE_MOST,
};

const fn count(max: i64) -> Kind {
    Kind::Integer { min: 1, max }
}
const fn words(now: &'static [&'static str]) -> Kind {
    Kind::Choice { now, later: &[] }
}

/// The languages of messages.
const LANGUAGES: &[&str] = &["en", "ko"];

/// The kinds of target of this version.
pub const TARGET_KINDS: &[&str] = &[
    "webhook",
    "discord",
    "slack",
    "telegram",
    "ntfy",
    "mattermost",
    "google_chat",
    "teams",
    "matrix",
    "gotify",
    "pushover",
    "pagerduty",
    "alertmanager",
    "exec",
];
/// The kinds whose messages live: they can be edited, deleted and put into threads.
const EDITING_KINDS: &[&str] = &["discord", "slack", "telegram", "matrix", "ntfy"];
/// Those of them that have topics or threads.
const THREADED_KINDS: &[&str] = &["discord", "slack", "telegram", "matrix"];
/// Those that tell people, in words that can be one's own.
const CHATS: &[&str] = &[
    "discord",
    "slack",
    "telegram",
    "ntfy",
    "mattermost",
    "google_chat",
    "teams",
    "matrix",
    "gotify",
    "pushover",
];
const LATER_TARGET_KINDS: &[&str] = &["email"];
const LATER_URL: &[&str] = &["email"];

/// Every key, in the order in which people read them.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    now("include", Kind::Texts, r#"["programs.d/*.toml"]"#, "More files; `*` and `?` in the last part of a path; `*.toml` that matches nothing is no fault."),

    now("supervisor.name", Kind::Text, r#""box-1""#, "Stands in every notification.").or("the host name"),
    now("supervisor.state_dir", Kind::Path, r#"".jikimi""#, "Database, logs, pipes, socket and lock.").or("`.jikimi` in the folder of the main file").fixed(),
    usual("supervisor.shutdown_timeout", SOME_TIME, r#""60s""#, "The whole shutdown; then everything is killed."),

    now("program.*.command", Kind::Command, r#"["sleep", "1d"]"#, "What to run: a list, or one text that is split as a shell splits; variables never split.").needed().restarts(),
    usual("program.*.shell", Kind::Switch, "false", "Runs the command, then one text, as `/bin/sh -c` does.").restarts(),
    now("program.*.directory", Kind::Path, r#"".""#, "The working directory.").or("the folder of the file").restarts(),
    now("program.*.environment", Kind::Variables, r#"{ PORT = "8080" }"#, "Variables of its own; they win over `env_file` and what is inherited.").restarts(),
    usual("program.*.environment_clear", Kind::Switch, "false", "Inherits no variables.").restarts(),
    now("program.*.env_file", Kind::Path, r#"".env""#, "`KEY=VALUE` lines, read when the configuration is; nothing is filled in there.").restarts(),
    usual("program.*.instances", count(limits::PROGRAM_INSTANCES_MAX as i64), "1", "How many run; several are called `web:0`, `web:1`, and know their number as `JIKIMI_INSTANCE`."),
    now("program.*.autostart", Kind::Switch, "true", "Starts with the supervisor.").or("`true`, and `false` with `schedule`"),
    usual("program.*.restart", words(&["always", "on-failure", "never"]), r#""on-failure""#, "After which ends another run follows."),
    usual("program.*.success_exit_codes", Kind::ExitCodes, "[0]", "Exits that are no failure."),
    now("program.*.success_signals", Kind::Signals, r#"["TERM"]"#, "Ends by these signals are no failure either."),
    now("program.*.no_restart_exit_codes", Kind::ExitCodes, "[78]", "After an exit with one of these codes no run follows, whatever `restart` says."),
    now("program.*.no_restart_signals", Kind::Signals, r#"["KILL"]"#, "The same for ends by signals."),
    usual("program.*.start_confirm", ANY_TIME, r#""1s""#, "Alive this long counts as started."),
    usual("program.*.stop_signal", Kind::StopSignals, r#""TERM""#, "Asks the program to end; several as `[\"INT\", { wait = \"10s\" }, \"TERM\"]`."),
    usual("program.*.stop_timeout", ANY_TIME, r#""10s""#, "From that signal, or the last of them, to KILL, which the whole tree gets."),
    now("program.*.stop_stdin", Kind::ConsoleLines, r#"["say bye", { wait = "10s" }, "stop"]"#, "Lines typed to ask the program to end; then it has `stop_timeout` before its signal, and 5 s more before KILL."),
    now("program.*.depends_on", Kind::Depends, r#"{ db = "healthy" }"#, "Programs that come first, each `\"started\"` (which a list of names says too), `\"healthy\"` (up and ready) or `\"completed\"` (ended well)."),
    usual("program.*.restart_with", Kind::Switch, "false", "Starts it anew after each of those that was."),
    usual("program.*.backoff.initial", ANY_TIME, r#""500ms""#, "The first pause from an end to the next start."),
    usual("program.*.backoff.max", ANY_TIME, r#""60s""#, "No pause is longer."),
    usual("program.*.backoff.factor", Kind::Number { min: 1.0, max: 1000.0 }, "2.0", "Each pause is this much longer than the one before."),
    usual("program.*.backoff.jitter", Kind::Number { min: 0.0, max: 1.0 }, "0.2", "The share by which a pause is spread to either side."),
    usual("program.*.backoff.reset_after", ANY_TIME, r#""60s""#, "A run this long makes the next pause the first one again."),
    usual("program.*.restart_limit.count", count(1_000_000), "5", "So many restarts within the window; the next failure gives up."),
    usual("program.*.restart_limit.within", SOME_TIME, r#""60s""#, "The window."),
    usual("program.*.restart_limit.then", words(&["cooldown", "fatal"]), r#""cooldown""#, "What giving up means: a long pause, or down until a person starts it."),
    usual("program.*.restart_limit.cooldown", SOME_TIME, r#""5m""#, "The long pause."),
    now("program.*.rule", Kind::Rules, r#"[{ when = "memory > 1.5GiB", for = "1m", do = ["alert", "restart"] }]"#, "What to do when its tree uses too much: `[[program.NAME.rule]]` for each."),
    now("program.*.max_runtime", Kind::MaxRuntime, r#"{ after = "12h", jitter = 0.1, announce = [{ before = "5m", line = "say restart in 5 minutes" }] }"#, "A run that lasted this long is ended and the program started anew; with jitter up to that share earlier; before it, the lines of `announce` are typed."),
    now("program.*.log_silence", Kind::LogSilence, r#"{ after = "5m", then = "restart" }"#, "Writing nothing for so long is told, which is all with `then = \"alert\"` or a plain duration; with `\"restart\"` it is a failure that ends the run."),
    now("program.*.restart_at", Kind::Restarts, r#"{ at = "04:00", zone = "Asia/Seoul", announce = [{ before = "5m", line = "say restart in 5 minutes" }] }"#, "When what runs is restarted: times of day, or lines of cron as `\"0 4 * * mon\"`; the zone is the system's unless it is named; before it, the lines of `announce` are typed."),
    now("program.*.schedule", Kind::Calendar, r#"{ at = ["*/5 * * * *"], zone = "UTC" }"#, "When it is started, if it does not run then; for programs that end by themselves."),
    usual("program.*.recover_after", SOME_TIME, r#""5s""#, "Running this long ends an incident."),
    usual("program.*.logs.max_size", ROTATED, r#""10MiB""#, "A file of its output is followed by another one at this size, at the end of a line if one is near."),
    now("program.*.logs.max_age", span(Duration::from_secs(1)), r#""1d""#, "Or when its first line is so old and another one comes.").or("any age"),
    usual("program.*.logs.keep", count(limits::LOG_KEEP_MAX), "5", "So many older files of each stream are kept."),
    usual("program.*.logs.compress", Kind::Switch, "true", "Older files are compressed; `jikimi logs` and `zstdcat` read them."),
    now("program.*.logs.max_total", ROTATED, r#""200MiB""#, "What the files of an instance may take together; the oldest of the older ones go first.").or("what `keep` leaves"),
    later("program.*.logs.rate_limit", "A bound on what it writes."),
    later("program.*.logs.forward", "Lines that are told."),
    now("program.*.tags", Kind::Tags, r#"["game"]"#, "Labels, chosen by `tag:game`."),
    now("program.*.metrics.interval", SAMPLING, r#""5s""#, "How often it is measured; `100ms` at the least.").or("`metrics.interval`"),
    now("program.*.readiness.http", Kind::Url, r#""http://127.0.0.1:8080/""#, "Ready when a GET is answered with 200 to 399; redirects are not followed."),
    now("program.*.readiness.tcp", Kind::Address, r#""127.0.0.1:8080""#, "Ready when a connection is accepted."),
    now("program.*.readiness.exec", Kind::Command, r#"["pg_isready", "-q"]"#, "Ready when this command ends with 0."),
    now("program.*.readiness.log_line", Kind::Pattern, r#""Listening on""#, "Ready when a line of its output has this in it."),
    now("program.*.readiness.notify", Kind::Switch, "true", "Ready when it says `READY=1` on its `NOTIFY_SOCKET`.").restarts(),
    usual("program.*.readiness.interval", PROBING, r#""5s""#, "From the begin of one check to the next; `100ms` at the least."),
    usual("program.*.readiness.timeout", CHECK, r#""2s""#, "A check that takes longer has failed; one minute at the most."),
    usual("program.*.readiness.initial_delay", ANY_TIME, r#""0s""#, "From the spawn to the first check."),
    usual("program.*.readiness.success_threshold", count(1_000), "1", "Passes in a row that make it healthy."),
    usual("program.*.readiness.failure_threshold", count(1_000), "3", "Failures in a row that make it unhealthy."),
    now("program.*.start_timeout", SOME_TIME, r#""2m""#, "From the spawn to being ready; a program that takes longer has failed."),
    now("program.*.liveness.http", Kind::Url, r#""http://127.0.0.1:8080/""#, "Restarted when a GET is not answered with 200 to 399; asked from when it is ready."),
    now("program.*.liveness.tcp", Kind::Address, r#""127.0.0.1:8080""#, "Restarted when no connection is accepted."),
    now("program.*.liveness.exec", Kind::Command, r#"["redis-cli", "ping"]"#, "Restarted when this command does not end with 0."),
    now("program.*.liveness.notify", Kind::Switch, "true", "Restarted when it does not say `WATCHDOG=1` within `interval` times `failure_threshold`, its `WATCHDOG_USEC`.").restarts(),
    usual("program.*.liveness.interval", PROBING, r#""5s""#, "From the begin of one check to the next; `100ms` at the least."),
    usual("program.*.liveness.timeout", CHECK, r#""2s""#, "A check that takes longer has failed; one minute at the most."),
    usual("program.*.liveness.initial_delay", ANY_TIME, r#""0s""#, "From being ready to the first check."),
    usual("program.*.liveness.success_threshold", count(1_000), "1", "Passes in a row that make it healthy."),
    usual("program.*.liveness.failure_threshold", count(1_000), "3", "Failures in a row that make it unhealthy."),
    now("program.*.stdin", words(&["null", "pipe"]), r#""pipe""#, "What the program reads from its standard input: nothing, or what `jikimi send`, `stop_stdin` and `announce` type.").or("`\"null\"`; `\"pipe\"` with `stop_stdin` or `announce`").restarts(),
    now("program.*.user", Kind::Account, r#""nobody""#, "Runs as this user, in all of its groups; only root can choose another.").or("the user of `jikimi`").restarts(),
    now("program.*.group", Kind::Account, r#""daemon""#, "Its first group.").or("that of the user").restarts(),
    now("program.*.supplementary_groups", Kind::Texts, r#"["daemon"]"#, "Groups besides those the user is in.").restarts(),
    now("program.*.umask", Kind::Umask, r#""022""#, "The file mode mask.").or("that of `jikimi`").restarts(),
    now("program.*.nice", Kind::Integer { min: -20, max: 19 }, "5", "The scheduling priority; what is below that of `jikimi` only root can give.").or("that of `jikimi`").restarts(),
    now("program.*.rlimits", Kind::Limits, r#"{ nofile = 65536, core = "unlimited", as = "1GiB:2GiB" }"#, "Resource limits by the names of `setrlimit`, soft and hard alike, or `\"soft:hard\"`.").or("those of `jikimi`").restarts(),
    usual("program.*.terminal", Kind::Switch, "false", "Gives it a terminal as standard input, output and error, and a session of its own. Its output is one stream, with what is typed as the terminal echoes it.").restarts(),
    usual("program.*.new_session", Kind::Switch, "false", "Leads a session of its own, without a terminal.").restarts(),
    later("program.*.pre_start", "Runs before each start."),
    later("program.*.watch", "Restarts when files change."),
    later("program.*.metrics.scrape", "Figures the program publishes."),

    now("target.*.kind", Kind::Choice { now: TARGET_KINDS, later: LATER_TARGET_KINDS }, r#""webhook""#, "Who is told, and how.").needed(),
    now("target.*.url", Kind::SecretUrl, r#""http://127.0.0.1:9119/""#, "Where the JSON is posted.").needed().of(&["webhook"]),
    now("target.*.secret", Kind::SigningKeys, r#"["${WEBHOOK_SECRET}"]"#, "`whsec_…` keys, or `whsk_…` key pairs (ed25519); the body is signed with each.").of(&["webhook"]),
    now("target.*.headers", Kind::Headers, r#"{ Authorization = "Bearer ${WEBHOOK_TOKEN}" }"#, "More request headers.").of(&["webhook"]),
    now("target.*.url", Kind::SecretUrl, r#""${DISCORD_WEBHOOK_URL}""#, "The webhook's address as Discord shows it.").needed().of(&["discord"]),
    now("target.*.url", Kind::SecretUrl, r#""${SLACK_WEBHOOK_URL}""#, "The incoming webhook's address as Slack shows it; or `token` and `channel`.").of(&["slack"]),
    now("target.*.token", Kind::SlackToken, r#""${SLACK_TOKEN}""#, "A bot's token, `xoxb-…`, with the scope `chat:write`: what it wrote it can edit.").of(&["slack"]),
    now("target.*.channel", Kind::Text, r##""#ops""##, "The channel the bot writes to: its id, or its name.").of(&["slack"]),
    now("target.*.token", Kind::BotToken, r#""${TELEGRAM_TOKEN}""#, "The bot's token.").needed().of(&["telegram"]),
    now("target.*.chat_id", Kind::ChatId, "-1001234567890", "The chat's number, or a channel's `\"@name\"`.").needed().of(&["telegram"]),
    usual("target.*.api_url", Kind::Url, r#""https://api.telegram.org""#, "A bot API server of one's own.").of(&["telegram"]),
    usual("target.*.api_url", Kind::Url, r#""https://slack.com/api""#, "Where the Web API is.").of(&["slack"]),
    now("target.*.url", Kind::Url, r#""https://ntfy.sh""#, "The server.").needed().of(&["ntfy"]),
    now("target.*.topic", Kind::Topic, r#""${NTFY_TOPIC}""#, "The topic; who knows its name can read it.").needed().of(&["ntfy"]),
    now("target.*.token", Kind::Token, r#""${NTFY_TOKEN}""#, "An access token, `tk_…`.").of(&["ntfy"]),
    now("target.*.url", Kind::SecretUrl, r#""${MATTERMOST_WEBHOOK_URL}""#, "The incoming webhook's address as Mattermost shows it.").needed().of(&["mattermost"]),
    now("target.*.url", Kind::SecretUrl, r#""${GOOGLE_CHAT_WEBHOOK_URL}""#, "The webhook's address as Google Chat shows it.").needed().of(&["google_chat"]),
    now("target.*.url", Kind::SecretUrl, r#""${TEAMS_WORKFLOW_URL}""#, "The address that the workflow \"when a webhook request is received\" shows.").needed().of(&["teams"]),
    now("target.*.url", Kind::Url, r#""https://matrix.example.org""#, "The homeserver.").needed().of(&["matrix"]),
    now("target.*.token", Kind::Token, r#""${MATRIX_TOKEN}""#, "The access token of a user who is in the room.").needed().of(&["matrix"]),
    now("target.*.room", Kind::Room, r#""!abc:example.org""#, "The room's id; its alias is not enough.").needed().of(&["matrix"]),
    now("target.*.url", Kind::Url, r#""https://gotify.example.org""#, "The server of one's own.").needed().of(&["gotify"]),
    now("target.*.token", Kind::Token, r#""${GOTIFY_TOKEN}""#, "The application's token.").needed().of(&["gotify"]),
    now("target.*.client_token", Kind::Token, r#""${GOTIFY_CLIENT_TOKEN}""#, "A client's token: with it messages can be deleted.").of(&["gotify"]),
    usual("target.*.url", Kind::Url, r#""https://api.pushover.net""#, "Where Pushover is.").of(&["pushover"]),
    now("target.*.token", Kind::PushoverKey, r#""${PUSHOVER_TOKEN}""#, "The application's token.").needed().of(&["pushover"]),
    now("target.*.user", Kind::PushoverKey, r#""${PUSHOVER_USER}""#, "The key of the user or group.").needed().of(&["pushover"]),
    now("target.*.routing_key", Kind::RoutingKey, r#""${PAGERDUTY_ROUTING_KEY}""#, "The key of the service's Events API v2 integration.").needed().of(&["pagerduty"]),
    usual("target.*.url", Kind::Url, r#""https://events.pagerduty.com""#, "Where PagerDuty takes events; `https://events.eu.pagerduty.com` for accounts in Europe.").of(&["pagerduty"]),
    now("target.*.url", Kind::SecretUrl, r#""http://127.0.0.1:9093""#, "Where Alertmanager is; `/api/v2/alerts` is added.").needed().of(&["alertmanager"]),
    now("target.*.headers", Kind::Headers, r#"{ Authorization = "Bearer ${ALERTMANAGER_TOKEN}" }"#, "More request headers.").of(&["alertmanager"]),
    usual("target.*.resend", RESEND, r#""1m""#, "How often what is still so is told again; open incidents are taken for resolved after four of these without a word.").of(&["alertmanager"]),
    usual("target.*.on_resolve", words(OnResolve::WORDS), r#""edit""#, "What becomes of a message when its incident ends: it is edited, which makes no sound; edited and answered; another one is sent; it is deleted.").of(EDITING_KINDS),
    now("target.*.thread", Kind::Text, r#""per-program""#, "A topic or thread for each program, or the id of one for all.").or("none").of(THREADED_KINDS),
    now("target.*.command", Kind::Command, r#"["/usr/local/bin/tell", "--json"]"#, "The program that is given each event on its standard input: a list, or one text that is split as a shell splits.").needed().of(&["exec"]),
    now("target.*.environment", Kind::Sealed, r#"{ API_KEY = "${TELL_API_KEY}" }"#, "Variables of its own, for secrets: everybody on the machine can read a command.").of(&["exec"]),
    usual("target.*.breaker.failures", count(1_000), "5", "After so many failures in a row it is left alone."),
    usual("target.*.breaker.cooldown", SOME_TIME, r#""30s""#, "For this long, doubled each time."),
    usual("target.*.breaker.cooldown_max", SOME_TIME, r#""15m""#, "No longer than this."),
    now("target.*.rate.burst", count(10_000), "5", "Messages at once.").or("by kind"),
    now("target.*.rate.per_minute", count(100_000), "30", "Messages a minute after that.").or("by kind"),
    now("target.*.timeout", ATTEMPT, r#""10s""#, "One attempt; two minutes at the most.").or("`notify.attempt_timeout`"),
    now("target.*.language", words(LANGUAGES), r#""ko""#, "The language of its messages; a webhook's JSON stays English.").or("`notify.language`"),
    now("target.*.template", Kind::Template, r#""{{ program }}: {{ summary }}""#, "Its messages in words of one's own: the first line is the title.").or("`notify.template`").of(CHATS),
    now("target.*.template", Kind::BodyTemplate, r#"'{"text": {{ summary }}}'"#, "Its body, which is JSON.").or("the contract's body").of(&["webhook"]),
    later("target.*.url", "Where the service is.").of(LATER_URL),
    later("target.*.from", "The sender.").of(&["email"]),
    later("target.*.to", "The receivers.").of(&["email"]),
    now("target.*.fallback", Kind::Text, r#""pushover""#, "Another target that is told warnings and worse when this one is gone, fails for long, or gives them up.").or("none"),
    usual("target.*.fallback_after", SOME_TIME, r#""2m""#, "How long this one may fail before."),
    now("target.*.proxy", Kind::Proxy, r#""http://127.0.0.1:3128""#, "An HTTP proxy that connects to it; `none`: straight. No proxy is taken from the environment.").or("`notify.proxy`"),
    now("target.*.ca_file", Kind::Path, r#""ca.pem""#, "Its authorities (PEM), trusted in place of the usual ones.").or("`notify.ca_file`"),
    now("target.*.allow_private", Kind::Switch, "true", "Whether it may be in a private network or on this machine.").or("`notify.allow_private`"),

    now("maintenance", Kind::Maintenance, r#"[{ programs = ["web", "tag:game"], schedule = { at = "0 3 * * sun", zone = "Asia/Seoul" }, duration = "2h", reason = "backup" }]"#, "Times in which chats are told nothing of these programs, as by `jikimi silence`: `[[maintenance]]` for each; `schedule` as in `restart_at`.").or("none"),
    now("route.programs", Kind::Texts, r#"["web*", "tag:game"]"#, "Names, globs and tags of programs.").or("all, and events of no program"),
    now("route.events", Kind::Texts, r#"["program.*"]"#, "Names and globs of events.").or("all"),
    usual("route.min_severity", words(&["info", "warning", "critical"]), r#""warning""#, "Lesser events do not begin a message."),
    now("route.targets", Kind::Texts, r#"["ops"]"#, "Who is told.").needed(),
    now("route.group_wait", GROUPING, r#""2s""#, "How long a first message waits for other programs that fail, to tell them together; `0s`: not at all.").or("`2s` to chats, `0s` to machines"),

    usual("notify.workers", count(limits::NOTIFY_WORKERS_CONFIGURABLE), "4", "Threads that send.").fixed(),
    usual("notify.queue", count(65_536), "1024", "Deliveries that wait for one target; when there are more the least severe are dropped, and that is told.").fixed(),
    usual("notify.attempt_timeout", ATTEMPT, r#""10s""#, "The default of a target's `timeout`."),
    usual("notify.language", words(LANGUAGES), r#""en""#, "The language of messages."),
    now("notify.template", Kind::Template, r#""{{ summary }}""#, "The words of messages to chats.").or("the built-in words"),
    usual("notify.max_age.info", SOME_TIME, r#""30m""#, "Older messages of this severity are not sent any more."),
    usual("notify.max_age.warning", SOME_TIME, r#""6h""#, "The same for warnings."),
    usual("notify.max_age.critical", SOME_TIME, r#""48h""#, "The same for critical ones."),
    now("notify.proxy", Kind::Proxy, r#""http://127.0.0.1:3128""#, "The HTTP proxy of all targets.").or("none"),
    now("notify.ca_file", Kind::Path, r#""ca.pem""#, "The authorities (PEM) of all targets, trusted in place of the usual ones.").or("those that browsers trust"),
    usual("notify.allow_private", Kind::Switch, "true", "Whether targets may be in a private network or on this machine. Link-local addresses and metadata services never are contacted."),

    usual("metrics.interval", SAMPLING, r#""5s""#, "How often programs and the host are measured; `100ms` at the least."),
    usual("metrics.retention.raw", span(Duration::from_mins(1)), r#""2d""#, "How long samples are kept one by one, at most: they are packed once their hour is over."),
    usual("metrics.retention.chunks", span(Duration::from_hours(1)), r#""30d""#, "How long packed samples are kept."),
    usual("metrics.retention.candles", span(Duration::from_hours(1)), r#""2y""#, "How long candles are kept; those of a minute 60 days at most, of five minutes 180 days, of a quarter of an hour a year."),

    usual("store.pool", count(64), "4", "Connections that read the database.").fixed(),
    usual("store.durability", words(&["normal", "full"]), r#""normal""#, "What a loss of power may cost: the last commits, or nothing.").fixed(),
    usual("store.backup.every", span(limits::BACKUP_EVERY_MIN), r#""1d""#, "From one copy of the database to the next; they are in `backups` in `supervisor.state_dir`."),
    usual("store.backup.keep", Kind::Integer { min: 0, max: 10_000 }, "7", "The newest copies that stay; with 0 none are made."),
    usual("store.when_damaged", words(&["begin_anew", "restore"]), r#""begin_anew""#, "What takes the place of a damaged database at the start, which is set aside: an empty one, or the newest good copy."),

    usual("checkpoint.interval", span(Duration::from_millis(100)), r#""5s""#, "How often changed state is written.").fixed(),
    usual("checkpoint.batch", count(100_000), "100", "Updates of one transaction.").fixed(),

    usual("cache.policy", words(&["lru", "ttl", "size"]), r#""lru""#, "What leaves the cache of what was read from the database: beyond `entries` the least recently used, what is older than `ttl` too, or beyond `bytes` the least recently used.").fixed(),
    usual("cache.entries", count(10_000_000), "10000", "Answers it holds at the most, unless bytes are bounded.").fixed(),
    usual("cache.ttl", SOME_TIME, r#""5m""#, "How long an answer stays with `ttl`.").fixed(),
    usual("cache.bytes", CACHED, r#""16MiB""#, "About the memory it takes at the most with `size`.").fixed(),

    now("control.socket", Kind::Path, r#"".jikimi/jikimi.sock""#, "Where commands reach the supervisor; 107 bytes at the most.").or("`jikimi.sock` in `supervisor.state_dir`").fixed(),
    now("control.http", Kind::Text, r#""127.0.0.1:9110""#, "The address where it answers over HTTP as well; beyond this machine only with a token. With port 0 `status` says which one it has.").or("nowhere").fixed(),
    now("control.token", Kind::Token, r#""${JIKIMI_TOKEN}""#, "Lets its holder do everything over HTTP; 16 characters at least. Without one HTTP is for reading."),
    now("control.read_token", Kind::Token, r#""${JIKIMI_READ_TOKEN}""#, "Lets its holder read."),
    now("control.hosts", Kind::Texts, r#"["box.example.org"]"#, "Names under which it may be asked over HTTP, besides `localhost` and addresses.").or("none"),
    later("control.supervisord", "Speaks to supervisorctl."),

    now("heartbeat.url", Kind::SecretUrl, r#""${HEARTBEAT_URL}""#, "Who is given a sign of life at an interval, and raises the alarm when none comes.").or("nobody"),
    usual("heartbeat.interval", span(limits::HEARTBEAT_INTERVAL_MIN), r#""1m""#, "From one sign of life to the next; `1s` at the least."),
    usual("heartbeat.timeout", ATTEMPT, r#""10s""#, "One attempt at it."),
    usual("heartbeat.method", words(&["get", "post"]), r#""get""#, "`post` sends a line with it that says how many programs are up."),

    usual("log.level", words(&["error", "warn", "info", "debug", "trace", "off"]), r#""info""#, "The least important records of the supervisor's own log that are shown."),
    usual("log.format", words(&["text", "json"]), r#""text""#, "How they are written.").fixed(),

    later("flags", "Optional costs."),
    later("health", "Checks of the supervisor itself."),
];

/// Section, what other supervisors write there (letters and digits only, in lower case), what we call it.
pub const ALIASES: &[(&str, &str, &str)] = &[
    (
        "",
        "programs service services process processes daemon daemons app apps job jobs watcher",
        "program",
    ),
    (
        "",
        "targets webhook webhooks notification notifications alert alerts channel channels",
        "target",
    ),
    ("", "routes routing rules", "route"),
    ("", "global settings supervisord daemonize", "supervisor"),
    ("", "includes import imports files", "include"),
    ("", "database db storage", "store"),
    ("", "logging logger", "log"),
    (
        "",
        "unixhttpserver inethttpserver http api socket",
        "control",
    ),
    (
        "supervisor",
        "statedir datadir data dir identifier directory home",
        "state_dir",
    ),
    ("supervisor", "hostname host id", "name"),
    (
        "supervisor",
        "gracetime graceperiod shutdowngrace stoptimeout timeout",
        "shutdown_timeout",
    ),
    (
        "program.*",
        "cwd workingdir workingdirectory workdir chdir dir",
        "directory",
    ),
    (
        "program.*",
        "env environ envs vars additional",
        "environment",
    ),
    (
        "program.*",
        "envfile environmentfile dotenv envfiles",
        "env_file",
    ),
    (
        "program.*",
        "clearenv cleanenv noinherit",
        "environment_clear",
    ),
    (
        "program.*",
        "cmd exec execstart script run program entrypoint argv args",
        "command",
    ),
    (
        "program.*",
        "numprocs numprocesses replicas copies processes scale count clusterinstances",
        "instances",
    ),
    (
        "program.*",
        "stopsignal killsignal shutdownsignal",
        "stop_signal",
    ),
    (
        "program.*",
        "killtimeout stopwaitsecs stoptimeoutsecs gracefultimeout timeoutstopsec stopgrace graceperiod shutdowntimeout",
        "stop_timeout",
    ),
    (
        "program.*",
        "startsecs minuptime startseconds",
        "start_confirm",
    ),
    (
        "program.*",
        "maxrestarts startretries maxretry maxretries retry retries attempts crashrestartlimit startlimitburst",
        "restart_limit.count",
    ),
    (
        "program.*",
        "restartdelay restartsec restartdelaysecs backoffseconds delay",
        "backoff.initial",
    ),
    ("program.*", "expbackoffrestartdelay", "backoff.max"),
    (
        "program.*",
        "autorestart restartpolicy respawn strategy",
        "restart",
    ),
    (
        "program.*",
        "exitcodes stopexitcodes successfulexitcode successexitcode successexitstatus",
        "success_exit_codes",
    ),
    (
        "program.*",
        "restartpreventexitstatus norestartcodes",
        "no_restart_exit_codes",
    ),
    (
        "program.*",
        "start enabled autorun boot bootstart auto",
        "autostart",
    ),
    (
        "program.*",
        "depends dependencies requires after startafter priority",
        "depends_on",
    ),
    ("program.*", "uid runas", "user"),
    ("program.*", "gid", "group"),
    (
        "program.*",
        "maxmemory memorylimit maxmemoryrestart maxmemorymb cpulimit maxcpupercent",
        "rule",
    ),
    ("program.*", "cronrestart", "restart_at"),
    ("program.*", "cron crontab", "schedule"),
    (
        "program.*",
        "maxage runtimemax runtimemaxsec maxlifetime",
        "max_runtime",
    ),
    ("program.*", "health healthcheck healthiness", "liveness"),
    ("program.*", "readinessprobe ready waitready", "readiness"),
    ("program.*", "livenessprobe", "liveness"),
    (
        "program.*",
        "log logging stdout stderr stdoutlogfile stderrlogfile logfile outfile errorfile stdoutlogfilemaxbytes stdoutlogfilebackups loglocation",
        "logs",
    ),
    ("program.*", "tag labels label groups namespace", "tags"),
    ("program.*", "limits rlimit resourcelimit ulimit", "rlimits"),
    ("target.*", "type provider", "kind"),
    ("target.*", "uri webhook webhookurl endpoint address", "url"),
    ("target.*", "bottoken apikey accesstoken", "token"),
    ("target.*", "chat chatid recipient", "chat_id"),
    ("target.*", "signingsecret signingkey key whsec", "secret"),
    ("target.*", "header", "headers"),
    ("target.*", "ratelimit", "rate"),
    ("target.*", "circuitbreaker", "breaker"),
    ("route", "program match services", "programs"),
    ("route", "event on types", "events"),
    ("route", "target to receivers receiver channels", "targets"),
    ("route", "severity level minlevel", "min_severity"),
];
