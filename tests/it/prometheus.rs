//! `/metrics`, as Prometheus' own tools see it. Where they are not installed the test says that it was skipped; with
//! `JIKIMI_TEST_REQUIRE_REAL=1` that is a failure.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::http::{address, ask, exchange};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const TOKEN: &str = "read-0123456789abcdef";

fn installed(name: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    if !is_there {
        let required = std::env::var_os("JIKIMI_TEST_REQUIRE_REAL").is_some_and(|v| v == "1");
        assert!(!required, "{name} is not installed, and must be");
        println!("skipped: {name} is not installed");
    }
    is_there
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config/prometheus")
        .join(name)
}

fn config() -> String {
    format!(
        "[control]\nhttp = \"127.0.0.1:0\"\nread_token = \"{TOKEN}\"\n[metrics]\ninterval = \"200ms\"\n\
         [program.web]\ncommand = [\"sleep\", \"1d\"]\nstart_confirm = \"20ms\"\n\
         [program.bad]\ncommand = [\"false\"]\nrestart = \"never\"\n\
         [target.hook]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n"
    )
}

/// The page, once it has figures of `web`.
fn page(supervisor: &Supervisor) -> String {
    let to = address(supervisor);
    let bearer = format!("Bearer {TOKEN}");
    wait_for("figures of web", || {
        let answer = ask(to, "GET /metrics", &[("Authorization", &bearer)]);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(
            answer
                .headers
                .contains("content-type: text/plain; version=0.0.4")
        );
        let line = "jikimi_program_resident_memory_bytes{program=\"web\",instance_name=\"web\"} ";
        if answer.body.contains(line) && answer.body.contains("jikimi_host_load1 ") {
            Ok(answer.body)
        } else {
            Err(answer.body)
        }
    })
}

#[test]
fn the_page_says_what_status_says() {
    let supervisor = Supervisor::running(&config());
    supervisor.wait_phase("web", "running");
    supervisor.wait_phase("bad", "exited");
    let page = page(&supervisor);
    for line in [
        "jikimi_program_up{program=\"web\",instance_name=\"web\"} 1",
        "jikimi_program_up{program=\"bad\",instance_name=\"bad\"} 0",
        "jikimi_program_state{program=\"bad\",instance_name=\"bad\",state=\"exited\"} 1",
        "jikimi_program_state{program=\"bad\",instance_name=\"bad\",state=\"running\"} 0",
        "jikimi_program_restarts_total{program=\"web\",instance_name=\"web\"} 0",
        "jikimi_target_usable{target=\"hook\",kind=\"webhook\"} 1",
        "jikimi_healthy 1",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
    let version = format!(
        "jikimi_build_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    );
    assert!(page.contains(&version));
    let mut seen = BTreeSet::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        assert!(seen.insert(series), "{series} is there twice");
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
    }
}

#[test]
fn what_is_shipped_asks_for_metrics_that_there_are() {
    let supervisor = Supervisor::running(&config());
    let page = page(&supervisor);
    let known: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    for name in ["alerts.yml", "grafana.json"] {
        let text = std::fs::read_to_string(shipped(name)).expect("it is in the repository");
        if name.ends_with("json") {
            serde_json::from_str::<Value>(&text).expect("JSON");
        }
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = text.split(|c| !is_of_name(c));
        let asked: BTreeSet<&str> = words.filter(|w| w.starts_with("jikimi_")).collect();
        assert!(asked.len() > 5, "{name}: {asked:?}");
        for metric in asked {
            assert!(known.contains(metric), "{name}: {metric}");
        }
    }
}

#[test]
fn promtool_finds_nothing_to_say() {
    if !installed("promtool") {
        return;
    }
    let supervisor = Supervisor::running(&config());
    let page = page(&supervisor);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is installed");
    let mut stdin = promtool.stdin.take().expect("it is a pipe");
    stdin.write_all(page.as_bytes()).expect("it reads");
    drop(stdin);
    let checked = promtool.wait_with_output().expect("it ends");
    assert!(
        checked.status.success() && checked.stderr.is_empty(),
        "{checked:?}"
    );
    let rules = Command::new("promtool")
        .args(["check", "rules"])
        .arg(shipped("alerts.yml"))
        .output();
    let rules = rules.expect("it is installed");
    assert!(rules.status.success(), "{rules:?}");
}

#[test]
fn a_real_prometheus_scrapes_it() {
    if !installed("prometheus") {
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    let command = format!(
        "[\"prometheus\", \"--config.file=prometheus.yml\", \"--storage.tsdb.path=tsdb\", \
         \"--web.listen-address=127.0.0.1:{port}\"]"
    );
    let supervisor = Supervisor::running(&format!(
        "{}\n[program.prometheus]\ncommand = {command}\nautostart = false\n",
        config()
    ));
    let target = address(&supervisor);
    supervisor.write(
        "prometheus.yml",
        &format!(
            "scrape_configs:\n- job_name: jikimi\n  scrape_interval: 1s\n  authorization:\n    credentials: {TOKEN}\n  \
             static_configs:\n  - targets: ['{target}']\n"
        ),
    );
    let started = supervisor.cli(&["start", "prometheus"]);
    assert!(started.status.success(), "{started:?}");
    let to = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let query = "GET /api/v1/query?query=jikimi_program_up%7Bprogram%3D%22web%22%7D HTTP/1.0\r\nHost: localhost\r\n\r\n";
    wait_for("the figure in Prometheus", || {
        let answer = exchange(to, query.as_bytes())?;
        let found: Value = serde_json::from_str(&answer.body).map_err(|e| e.to_string())?;
        let result = &found["data"]["result"][0];
        if result["value"][1] == "1" && result["metric"]["instance_name"] == "web" {
            Ok(())
        } else {
            Err(answer.body)
        }
    });
}
