//! `jikimi import`: what other supervisors are told becomes a configuration that is valid, and what has no place in
//! it is said.

use serde_json::Value;

use crate::support::supervisor::Supervisor;

const SUPERVISORD: &str = r#"
; As in the manual of supervisord.
[unix_http_server]
file=/tmp/supervisor.sock

[supervisord]
logfile=/tmp/supervisord.log
nodaemon=true
environment=LANG="C.UTF-8"
identifier=box-7

[program:cat]
command=/bin/cat --number "a b"
process_name=%(program_name)s
numprocs=1
directory=/tmp
umask=022
priority=999
autostart=false
autorestart=unexpected
startsecs=10
startretries=3
exitcodes=0,2
stopsignal=TERM
stopwaitsecs=10
redirect_stderr=false
stdout_logfile=/a/path
environment=A="1",B="2,3"

[program:worker]
command=/usr/bin/env python3 worker.py --port=80%(process_num)02d ; a remark
process_name=%(program_name)s_%(process_num)02d
numprocs=4
autorestart=true
stopasgroup=true
stopsignal=QUIT

[group:jobs]
programs=worker,cat

[include]
files = /etc/supervisor/conf.d/*.conf
"#;

const PROCFILE: &str = "# of a web application\nweb: bundle exec puma -p ${PORT:-3000}\nworker: exec sleep 1d\nrelease: ./migrate && echo done\n";

const PM2: &str = r#"{
	"apps": [{
		"name": "api app",
		"script": "./server.js",
		"args": "--color 'two words'",
		"node_args": ["--max-old-space-size=512"],
		"instances": 2,
		"exec_mode": "cluster",
		"env": { "NODE_ENV": "production", "PORT": 8080 },
		"env_staging": { "NODE_ENV": "staging" },
		"max_memory_restart": "300M",
		"restart_delay": 4000,
		"max_restarts": 10,
		"min_uptime": "5s",
		"kill_timeout": 3000,
		"cron_restart": "0 4 * * *",
		"watch": true,
		"out_file": "/var/log/api.log"
	}, { "script": "tool.py", "autorestart": false }]
}"#;

const COMPOSE: &str = r#"
version: "0.5"
environment:
  - "LANG=C.UTF-8"
processes:
  db:
    command: "exec sleep 1d"
    readiness_probe:
      exec:
        command: "true"
      initial_delay_seconds: 1
      period_seconds: 2
      failure_threshold: 4
    shutdown:
      signal: 2
      timeout_seconds: 20
  api:
    description: The API of it all
    command: "echo started ${PORT} $$HOME; exec sleep 1d"
    working_dir: "/tmp"
    environment:
      PORT: 8080
      WHERE: "${HOME}/x"
    namespace: backend
    replicas: 2
    availability:
      restart: on_failure
      backoff_seconds: 3
      max_restarts: 5
    depends_on:
      db:
        condition: process_healthy
      migrate:
        condition: process_completed_successfully
    liveness_probe:
      http_get:
        host: 127.0.0.1
        port: 8080
        path: /health
  migrate:
    command: "true"
  logs:
    command: "exec sleep 1d"
    ready_log_line: "ready (1.0)"
    disabled: true
    is_daemon: true
"#;

const SYSTEMD: &str = r#"
[Unit]
Description=A server of something
After=network.target redis.service
StartLimitIntervalSec=120
StartLimitBurst=4

[Service]
Type=notify
User=nobody
WorkingDirectory=/tmp
Environment=PORT=8080 "GREETING=hello there"
ExecStartPre=/usr/bin/true
ExecStart=/usr/bin/env server --port ${PORT} \
    --name "%p one" $OPTIONS
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=1min 500ms
TimeoutStartSec=90
TimeoutStopSec=30
WatchdogSec=20s
KillSignal=SIGINT
LimitNOFILE=65536
SuccessExitStatus=143 SIGUSR1
MemoryMax=512M
PrivateTmp=true

[Install]
WantedBy=multi-user.target
"#;

/// Imports `text`, holds the result to `jikimi check`, and gives it with what was said on standard error.
fn import(format: &str, file: &str, text: &str) -> (toml::Table, String) {
    let place = Supervisor::configured("");
    place.write(file, text);
    let made = place.cli(&["import", format, file]);
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    assert_eq!(made.status.code(), Some(0), "{said}");
    let toml = String::from_utf8(made.stdout).expect("text");
    place.write("made.toml", &toml);
    let checked = place.cli(&["check", "--config", "made.toml"]);
    let fault = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(0), "{fault}\n{toml}");
    for line in said.lines().filter(|l| l.starts_with(file)) {
        let what = line.rsplit_once(": ").map_or(line, |(_, what)| what);
        assert!(toml.contains(what), "{what:?} is no remark in\n{toml}");
    }
    (toml.parse().expect("TOML"), said)
}

#[track_caller]
fn same(found: &toml::Value, expected: &str) {
    let expected: toml::Table = format!("v = {expected}").parse().expect("TOML");
    assert_eq!(found, &expected["v"]);
}

#[test]
fn a_supervisord_conf_becomes_programs_that_are_valid() {
    let (toml, said) = import("supervisord", "supervisord.conf", SUPERVISORD);
    let cat = &toml["program"]["cat"];
    same(&cat["command"], r#"["/bin/cat", "--number", "a b"]"#);
    same(
        &cat["environment"],
        r#"{ A = "1", B = "2,3", LANG = "C.UTF-8" }"#,
    );
    same(&cat["success_exit_codes"], "[0, 2]");
    same(&cat["tags"], r#"["jobs"]"#);
    same(&cat["start_confirm"], r#""10s""#);
    let worker = &toml["program"]["worker"];
    same(&worker["instances"], "4");
    same(&worker["restart"], r#""always""#);
    same(&worker["stop_signal"], r#""QUIT""#);
    assert!(
        worker["command"]
            .as_str()
            .is_some_and(|c| c.contains("JIKIMI_INSTANCE"))
    );
    same(&toml["supervisor"]["name"], r#""box-7""#);
    for lost in ["priority = 999", "[include]", "stopasgroup"] {
        assert!(said.contains(lost), "{lost}: {said}");
    }
}

#[test]
fn a_procfile_becomes_programs_of_a_shell() {
    let (toml, _) = import("procfile", "Procfile", PROCFILE);
    let web = &toml["program"]["web"];
    same(&web["command"], r#""bundle exec puma -p $${PORT:-3000}""#);
    same(&web["shell"], "true");
    same(&web["environment"], r#"{ PORT = "5000" }"#);
    assert_eq!(toml["program"].as_table().map(toml::Table::len), Some(3));
}

#[test]
fn an_ecosystem_of_pm2_becomes_programs() {
    let (toml, said) = import("pm2", "pm2.json", PM2);
    let api = &toml["program"]["api-app"];
    same(
        &api["command"],
        r#"["node", "--max-old-space-size=512", "./server.js", "--color", "two words"]"#,
    );
    same(
        &api["environment"],
        r#"{ NODE_ENV = "production", PORT = "8080" }"#,
    );
    same(
        &api["rule"],
        r#"[{ when = "memory > 300MiB", do = ["alert", "restart"] }]"#,
    );
    same(
        &api["backoff"],
        r#"{ initial = "4s", max = "4s", factor = 1.0 }"#,
    );
    same(&api["restart_at"], r#""0 4 * * *""#);
    same(&api["stop_timeout"], r#""3s""#);
    same(
        &toml["program"]["tool"]["command"],
        r#"["python3", "tool.py"]"#,
    );
    for lost in ["cluster", "env_staging", "watch", "out_file"] {
        assert!(said.contains(lost), "{lost}: {said}");
    }
}

#[test]
fn a_process_compose_file_becomes_programs_with_probes_and_dependencies() {
    let (toml, said) = import("process-compose", "process-compose.yaml", COMPOSE);
    let api = &toml["program"]["api"];
    same(
        &api["depends_on"],
        r#"{ db = "healthy", migrate = "completed" }"#,
    );
    same(
        &api["command"],
        r#""echo started $${PORT} $HOME; exec sleep 1d""#,
    );
    same(
        &api["liveness"]["http"],
        r#""http://127.0.0.1:8080/health""#,
    );
    same(&api["restart"], r#""on-failure""#);
    assert_eq!(api["environment"]["WHERE"].as_str(), Some("${HOME:-}/x"));
    let db = &toml["program"]["db"];
    same(&db["readiness"]["exec"], r#"["/bin/sh", "-c", "true"]"#);
    same(&db["readiness"]["interval"], r#""2s""#);
    same(&db["stop_signal"], r#""INT""#);
    same(&db["restart"], r#""never""#);
    same(
        &toml["program"]["logs"]["readiness"]["log_line"],
        r"'ready \(1\.0\)'",
    );
    assert!(said.contains("is_daemon"), "{said}");
}

#[test]
fn a_unit_of_systemd_becomes_a_program() {
    let (toml, said) = import("systemd", "thing.service", SYSTEMD);
    let thing = &toml["program"]["thing"];
    same(
        &thing["command"],
        r#""exec /usr/bin/env server --port \"$${PORT}\" --name 'thing one' $OPTIONS""#,
    );
    same(&thing["shell"], "true");
    same(
        &thing["environment"],
        r#"{ PORT = "8080", GREETING = "hello there" }"#,
    );
    same(&thing["backoff"]["initial"], r#""60500ms""#);
    same(
        &thing["liveness"],
        r#"{ notify = true, interval = "20s", failure_threshold = 1 }"#,
    );
    same(&thing["rlimits"], "{ nofile = 65536 }");
    same(&thing["success_exit_codes"], "[0, 143]");
    same(&thing["success_signals"], r#"["USR1"]"#);
    same(
        &thing["restart_limit"],
        r#"{ within = "2m", count = 4, then = "fatal" }"#,
    );
    for lost in ["ExecStartPre", "PrivateTmp", "redis.service"] {
        assert!(said.contains(lost), "{lost}: {said}");
    }
}

#[test]
fn what_cannot_be_read_is_said_with_file_and_line() {
    let place = Supervisor::configured("");
    place.write(
        "bad.conf",
        "[program:a]\ncommand=/bin/cat\nstartsecs=soon\n",
    );
    let refused = place.cli(&["import", "supervisord", "bad.conf"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.is_empty());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.starts_with("bad.conf:3: startsecs"), "{said}");
    place.write("eco.config.js", "const x = 1;\nmodule.exports = {}\n");
    let script = place.cli(&["import", "pm2", "eco.config.js"]);
    let said = String::from_utf8_lossy(&script.stderr).into_owned();
    assert!(
        said.starts_with("eco.config.js:2: ") && said.contains("node -p"),
        "{said}"
    );
    let missing = place.cli(&["import", "procfile", "none"]);
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn machines_are_told_the_same_as_one_object() {
    let place = Supervisor::configured("");
    place.write("Procfile", "web: sleep 1d\nbad name: x\n");
    assert_eq!(
        place.cli(&["import", "procfile", "Procfile"]).status.code(),
        Some(1)
    );
    place.write("Procfile", "web: sleep 1d\nall: sleep 1d\n");
    let made = place.cli(&["import", "procfile", "Procfile", "--json"]);
    let json: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    assert_eq!(json["programs"], 2);
    assert_eq!(json["lost"][1]["program"], "all-1");
    assert_eq!(json["lost"][1]["line"], 2);
    assert!(
        json["toml"]
            .as_str()
            .is_some_and(|t| t.contains("[program.web]"))
    );
}
