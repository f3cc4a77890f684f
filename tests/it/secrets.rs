//! No secret of the configuration is ever seen again: not in what is printed, nor stored, nor told to others.

use std::net::TcpListener;
use std::path::Path;

use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// Nothing but secrets begins like this.
const MARK: &str = "PLANTED";

fn planted(name: &str) -> String {
    format!("{MARK}{name}0123456789")
}

/// Where `MARK`, in any of the forms in which it could be repeated, stands in `bytes`.
fn find(bytes: &[u8]) -> Option<String> {
    use base64::Engine as _;
    let text = String::from_utf8_lossy(bytes);
    let encoded = base64::engine::general_purpose::STANDARD.encode(MARK);
    // Three bytes make four characters; the last ones depend on what follows.
    let encoded = &encoded[..8];
    [MARK, encoded].iter().find_map(|mark| {
        let at = text.find(mark)?;
        let from = text[..at]
            .char_indices()
            .rev()
            .nth(80)
            .map_or(0, |(i, _)| i);
        Some(text[from..].chars().take(200).collect())
    })
}

/// Every file below `dir`.
fn files(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("our own folder").flatten() {
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_dir() {
            files(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// Servers that make trouble, and one that makes none.
struct Servers {
    echo: Receiver,
    slack: Receiver,
    telegram: Receiver,
    ops: Receiver,
}

fn key(name: &str) -> String {
    use base64::Engine as _;
    let key =
        base64::engine::general_purpose::STANDARD.encode(format!("{}-24-bytes", planted(name)));
    format!("whsec_{key}")
}

/// Repeats in its answer all that it was sent; after `before` characters, so that where the answer is cut a secret
/// may be cut in two.
fn repeats(status: u16, before: usize) -> Receiver {
    Receiver::scripted(move |r| {
        let all = format!(
            "{}cannot {} {} {:?} {}",
            ".".repeat(before),
            r.method,
            r.path,
            r.headers,
            r.body
        );
        let said = serde_json::json!({
            "ok": false, "error_code": status, "code": 7, "description": all, "message": all,
        });
        let headers = vec![("X-Path".to_owned(), r.path.clone())];
        Reply::Status(status, headers, said.to_string())
    })
}

impl Servers {
    fn start() -> Self {
        Self {
            echo: repeats(403, 0),
            telegram: repeats(500, 165),
            slack: Receiver::scripted(|r| {
                Reply::Status(400, vec![], r.path.chars().take(60).collect())
            }),
            ops: Receiver::start(),
        }
    }

    fn all(&self) -> [(&'static str, &Receiver); 4] {
        [
            ("ops", &self.ops),
            ("echo", &self.echo),
            ("slack", &self.slack),
            ("telegram", &self.telegram),
        ]
    }
}

/// Targets of every kind but `ops`, each with secrets of its own and trouble of its own.
const TROUBLED: [&str; 7] = [
    "echo", "closed", "unknown", "plain", "discord", "slack", "telegram",
];

fn target(name: &str, rest: &str) -> String {
    format!("[target.{name}]\n{rest}\nbreaker = {{ failures = 2, cooldown = \"200ms\" }}\n")
}

fn hook(name: &str, url: &str) -> String {
    let rest = format!(
        "kind = \"webhook\"\nurl = \"{url}\"\nsecret = \"{}\"\nheaders = {{ Authorization = \"Bearer {}\", X-Env = \"${{PLANTED_HEADER}}\" }}",
        key("SIGN"),
        planted("HEADER")
    );
    target(name, &rest)
}

fn targets(servers: &Servers) -> String {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let nobody = closed.local_addr().expect("it is bound").port();
    drop(closed);
    let tail = format!("/{}/x?key={}", planted("PATH"), planted("QUERY"));
    let token = planted("TOKEN");
    let chat = |kind: &str, url: String| target(kind, &format!("kind = \"{kind}\"\n{url}"));
    let url = |server: &Receiver, path: &str| format!("url = \"{}\"", server.url(path));
    let names: Vec<String> = TROUBLED.iter().map(|n| format!("\"{n}\"")).collect();
    hook("echo", &servers.echo.url(&tail))
        + &hook("closed", &format!("http://127.0.0.1:{nobody}{tail}"))
        + &hook("unknown", &format!("http://nowhere.invalid{tail}"))
        + &hook(
            "plain",
            &format!("https://127.0.0.1:{}{tail}", servers.ops.port()),
        )
        + &chat(
            "discord",
            url(&servers.echo, &format!("/api/webhooks/1/{token}")),
        )
        + &chat("slack", url(&servers.slack, &format!("/services/{token}")))
        + &chat(
            "telegram",
            format!(
                "token = \"1:{token}\"\nchat_id = 5\napi_{}",
                url(&servers.telegram, "")
            ),
        )
        + &target(
            "ops",
            &format!("kind = \"webhook\"\n{}", url(&servers.ops, "/")),
        )
        + &format!(
            "[[route]]\nmin_severity = \"info\"\ntargets = [{}, \"ops\"]\n",
            names.join(", ")
        )
}

fn programs() -> String {
    let secret = planted("ENVIRONMENT");
    format!(
        "[log]\nlevel = \"trace\"\n\
         [program.web]\ncommand = \"false\"\nrestart = \"never\"\n\
         environment = {{ API_KEY = \"{secret}\" }}\nenv_file = \"secret.env\"\n\
         [program.missing]\ncommand = \"./not-there\"\nenvironment = {{ API_KEY = \"{secret}\" }}\nrestart = \"never\"\n"
    )
}

/// What was shown where.
type Shown = Vec<(String, Vec<u8>)>;

fn read_all(folder: &Path, shown: &mut Shown) {
    let mut paths = Vec::new();
    files(folder, &mut paths);
    for path in paths {
        let bytes = std::fs::read(&path).unwrap_or_default();
        shown.push((path.display().to_string(), bytes));
    }
}

/// What the commands print.
fn asked(supervisor: &Supervisor, header: &str, shown: &mut Shown) {
    for args in [
        &["status", "--json"][..],
        &["status"],
        &["events", "--json"],
        &["events"],
        &["notify", "test", "echo"],
        &["notify", "test", "slack"],
        &["check"],
    ] {
        let output = supervisor
            .command(args)
            .env("JIKIMI_LOG", "trace")
            .env("PLANTED_HEADER", header)
            .output()
            .expect("the binary runs");
        shown.push((args.join(" "), [output.stdout, output.stderr].concat()));
    }
}

#[test]
fn no_secret_is_seen_in_logs_files_status_events_or_messages_whatever_goes_wrong() {
    let servers = Servers::start();
    let mut supervisor = Supervisor::configured(&(programs() + &targets(&servers)));
    supervisor.write("secret.env", &format!("FROM_FILE={}\n", planted("FILE")));
    let header = planted("VARIABLE");
    supervisor.start_with(&[
        ("JIKIMI_LOG", "trace"),
        ("PLANTED_HEADER", &header),
        ("RUST_BACKTRACE", "1"),
    ]);
    // Each has failed, and the others have been told so.
    for target in TROUBLED {
        supervisor.wait_target(target, "an error", |t| t["last_error"].is_string());
    }
    for target in ["closed", "unknown", "plain", "telegram"] {
        servers.ops.wait_for(&format!("word of {target}"), |r| {
            let json = r.json();
            json["type"] == "target.failing" && json["data"]["target"] == target
        });
    }
    let mut shown = Shown::new();
    asked(&supervisor, &header, &mut shown);
    // While it runs, and after its end: the -wal file goes then.
    read_all(&supervisor.file(".jikimi"), &mut shown);
    assert!(shown.iter().any(|(place, _)| place.ends_with("-wal")));
    supervisor.stop();
    read_all(&supervisor.file(".jikimi"), &mut shown);
    read_all(&supervisor.file("run"), &mut shown);
    let (out, err) = supervisor.output();
    assert!(err.contains("DEBUG"), "a fine log was on");
    shown.push(("standard output".to_owned(), out.into_bytes()));
    shown.push(("the log".to_owned(), err.into_bytes()));
    for (name, server) in servers.all() {
        for request in server.received() {
            shown.push((format!("a message to {name}"), request.body.into_bytes()));
        }
    }
    for (place, bytes) in &shown {
        if let Some(around) = find(bytes) {
            panic!("{place} holds a secret: …{around}…");
        }
    }
    // The test can fail: the secrets were really used.
    let sent = servers.echo.received();
    assert!(sent.iter().any(|r| find(r.path.as_bytes()).is_some()));
    let is_sent = |r: &crate::support::receiver::Received| r.headers.get("x-env") == Some(&header);
    assert!(sent.iter().any(is_sent));
}

#[test]
fn a_program_sees_its_own_secrets_and_not_those_of_targets() {
    let receiver = Receiver::start();
    let config = format!(
        "[program.web]\nshell = true\ncommand = 'env > seen; exec sleep 1000'\n\
         environment = {{ API_KEY = \"{}\" }}\nenv_file = \"secret.env\"\n\
         [target.ops]\nkind = \"webhook\"\nurl = \"{}?k=${{PLANTED_URL}}\"\nheaders = {{ X-Key = \"${{PLANTED_HEADER}}\" }}\n\
         [[route]]\ntargets = [\"ops\"]\n",
        planted("ENVIRONMENT"),
        receiver.url("/")
    );
    let mut supervisor = Supervisor::configured(&config);
    supervisor.write("secret.env", &format!("FROM_FILE={}\n", planted("FILE")));
    supervisor.start_with(&[
        ("PLANTED_URL", &planted("URL")),
        ("PLANTED_HEADER", &planted("VARIABLE")),
    ]);
    let seen = wait_for("the program's variables", || {
        let seen = supervisor.read("seen");
        if seen.contains("FROM_FILE=") && seen.contains("API_KEY=") && seen.ends_with('\n') {
            Ok(seen)
        } else {
            Err(seen)
        }
    });
    assert!(seen.contains(&planted("FILE")) && seen.contains(&planted("ENVIRONMENT")));
    assert!(
        !seen.contains("PLANTED_URL") && !seen.contains("PLANTED_HEADER"),
        "{seen}"
    );
    supervisor.stop();
}

#[test]
fn a_fault_of_the_configuration_names_the_key_and_not_the_secret() {
    let supervisor = Supervisor::configured(&format!(
        "[target.ops]\nkind = \"webhook\"\nurl = \"ftp://x/{0}\"\nsecret = \"{0}\"\nheaders = {{ \"X Y\" = \"{0}\\n\" }}\n\
         [target.chat]\nkind = \"telegram\"\ntoken = \"{0} {0}\"\nchat_id = 1\n\
         [target.more]\nkind = \"discord\"\nurl = \"{0}\"\n",
        planted("BAD")
    ));
    for command in ["check", "run"] {
        let output = supervisor
            .command(&[command])
            .env("JIKIMI_LOG", "trace")
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(3));
        let said = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&said).into_owned();
        assert!(text.contains("target.ops.url"), "{text}");
        assert!(find(&said).is_none(), "{text}");
    }
}
