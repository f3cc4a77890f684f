//! Figures over time: `metrics` beside a supervisor, without one, and of what nobody measured.

use serde_json::Value;

use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

const TWO: &str = r#"
[metrics]
interval = "100ms"

[program.web]
command = ["sleep", "1000"]

[program.late]
command = ["sleep", "1000"]
autostart = false
"#;

fn text(sup: &Supervisor, args: &[&str]) -> String {
    let output = sup.cli(args);
    let (out, err) = (&output.stdout, &output.stderr);
    let err = String::from_utf8_lossy(err);
    assert!(output.status.success(), "{args:?}: {err}");
    String::from_utf8(out.clone()).expect("text")
}

fn json(sup: &Supervisor, args: &[&str]) -> Value {
    let text = text(sup, args);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn rows(answer: &Value) -> &[Value] {
    answer["rows"].as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn figures_are_shown_beside_a_supervisor_and_after_it() {
    let mut sup = Supervisor::running(TWO);
    wait_for("ten samples", || {
        let answer = json(&sup, &["metrics", "web", "--json"]);
        let count = rows(&answer).len();
        if count >= 10 {
            Ok(())
        } else {
            Err(format!("{count} rows"))
        }
    });
    assert_eq!(sup.stop(), 0);

    let answer = json(&sup, &["metrics", "web", "--json", "--range", "2h"]);
    assert_eq!(
        (&answer["program"], &answer["instance"]),
        (&"web".into(), &"web".into())
    );
    assert_eq!(
        answer["coverage"]["strategy"], "partial",
        "two hours are more than it ran"
    );
    let gaps = answer["coverage"]["missing"].as_array().map_or(0, Vec::len);
    assert!(gaps >= 1, "{answer}");
    let times: Vec<&str> = rows(&answer)
        .iter()
        .filter_map(|r| r["time"].as_str())
        .collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    for row in rows(&answer) {
        assert_eq!(row["processes"], 1, "{row}");
        assert!(row["memory_bytes"].as_u64().is_some_and(|m| m > 0), "{row}");
    }
    let run = &answer["runs"][0];
    let peak = &run["figures"]["memory_bytes"]["max"];
    assert!(peak.as_f64().is_some_and(|peak| peak > 0.0), "{run}");

    let candles = json(&sup, &["metrics", "web", "--json", "--candles", "1m"]);
    assert_eq!(candles["resolution_s"], 60.0);
    let counted: u64 = rows(&candles)
        .iter()
        .filter_map(|r| r["threads"]["count"].as_u64())
        .sum();
    assert_eq!(
        counted,
        u64::try_from(times.len()).expect("few"),
        "each sample is in one candle"
    );

    let csv = text(&sup, &["metrics", "web", "--csv"]);
    assert!(
        csv.starts_with("instance,time,cpu_percent,memory_bytes,"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), times.len() + 1);

    let plain = text(
        &sup,
        &["metrics", "web", "--figure", "threads", "--range", "1h"],
    );
    assert!(
        plain.contains("threads") && plain.contains("p95"),
        "{plain}"
    );
    assert!(!plain.contains('\x1b'), "no colours in a pipe: {plain:?}");
    assert!(
        plain
            .chars()
            .any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)),
        "a curve: {plain}"
    );
}

#[test]
fn what_was_never_measured_is_said_and_an_unknown_name_is_a_failure() {
    let mut sup = Supervisor::running(TWO);
    sup.wait_phase("web", "running");
    assert_eq!(sup.stop(), 0);
    let since = [
        "metrics",
        "web",
        "--since",
        "2020-01-01T00:00:00Z",
        "--until",
        "2020-01-02T00:00:00Z",
    ];
    let none = text(&sup, &since);
    assert!(none.contains("nothing was measured"), "{none}");
    let unknown = sup.cli(&["metrics", "wbe"]);
    assert_eq!(unknown.status.code(), Some(1));
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.contains("web"), "the nearest name: {said}");
    let backwards = ["metrics", "web", "--since", "1h", "--until", "2h"];
    assert_eq!(sup.cli(&backwards).status.code(), Some(2));
}
