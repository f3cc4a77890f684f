//! What `stats` counts: what was read and written, and what did not have to be.

use serde_json::Value;

use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

fn stats(sup: &Supervisor) -> Value {
    let output = sup.cli(&["stats", "--json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn number(stats: &Value, part: &str, name: &str) -> u64 {
    stats[part][name]
        .as_u64()
        .unwrap_or_else(|| panic!("no {part}.{name} in {stats}"))
}

#[test]
fn looking_again_costs_no_read_until_something_happens() {
    let mut sup = Supervisor::running(
        "[program.web]\ncommand = \"sleep 1000\"\nstart_confirm = \"10ms\"\n[metrics]\ninterval = \"1h\"\n",
    );
    sup.wait_phase("web", "running");
    let explain = |sup: &Supervisor| sup.cli(&["explain", "web", "--json"]);
    // Something may still be on its way to the database: settled when a look finds all of it.
    wait_for("an answer from the cache", || {
        let before = stats(&sup);
        assert!(explain(&sup).status.success());
        let after = stats(&sup);
        if number(&after, "cache", "hits") > number(&before, "cache", "hits")
            && number(&after, "cache", "misses") == number(&before, "cache", "misses")
            && number(&after, "database", "statements_read")
                == number(&before, "database", "statements_read")
        {
            Ok(())
        } else {
            Err(format!("{before}\n{after}"))
        }
    });
    assert!(sup.cli(&["stop", "web"]).status.success());
    wait_for("the stop in the next answer", || {
        let told: Value = serde_json::from_slice(&explain(&sup).stdout).unwrap_or_default();
        if told[0]["ends"][0]["how"] == "stopped" {
            Ok(())
        } else {
            Err(told.to_string())
        }
    });
    assert_eq!(sup.stop(), 0);
}

#[test]
fn checkpoints_readers_and_the_cache_are_counted_and_people_can_read_it() {
    let mut sup = Supervisor::running(
        "[program.web]\ncommand = \"sleep 1000\"\n[checkpoint]\ninterval = \"100ms\"\n[cache]\npolicy = \"size\"\nbytes = \"1MiB\"\n",
    );
    let counted = wait_for("a checkpoint", || {
        let now = stats(&sup);
        if now["database"]["checkpoints"].as_u64() >= Some(1) {
            Ok(now)
        } else {
            Err(now.to_string())
        }
    });
    assert!(number(&counted, "database", "transactions") > 0);
    assert!(number(&counted, "storage", "database_bytes") > 0);
    assert_eq!(number(&counted, "pool", "size"), 4);
    assert_eq!(counted["cache"]["policy"], "size");
    assert_eq!(number(&counted, "cache", "max_bytes"), 1 << 20);
    assert_eq!(number(&counted, "configuration", "scans"), 1);
    let shown = sup.cli(&["stats"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    for word in [
        "database",
        "transactions",
        "checkpoints",
        "readers",
        "cache",
        "configuration",
    ] {
        assert!(text.contains(word), "{text}");
    }
    assert_eq!(sup.stop(), 0);
    assert_eq!(sup.cli(&["stats"]).status.code(), Some(5), "none runs");
}
