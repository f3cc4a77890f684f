//! Every statement finds its rows by an index, and no statement is made from values.

use rusqlite::types::Value;

use super::bench;
use crate::store::queries;
use crate::store::tx::Sql;

fn plan(conn: &rusqlite::Connection, sql: Sql) -> Vec<String> {
    let mut statement = conn
        .prepare(&["EXPLAIN QUERY PLAN ", sql.text].concat())
        .unwrap_or_else(|e| panic!("{}: {e}", sql.name));
    let nulls = vec![Value::Null; statement.parameter_count()];
    let rows = statement
        .query_map(rusqlite::params_from_iter(nulls), |row| row.get(3))
        .expect("a plan");
    rows.collect::<Result<_, _>>().expect("lines of text")
}

/// A walk over a whole table, also one that calls itself a search but names no index. Walking the bound list of a
/// `json_each` or the few rows of a subquery is none.
fn is_scan(line: &str) -> bool {
    let is_walk =
        line.starts_with("SCAN ") || line.starts_with("SEARCH ") && !line.contains("USING");
    is_walk && !line.contains("VIRTUAL TABLE") && !line.contains(" (subquery")
}

#[test]
fn every_statement_finds_its_rows_by_an_index() {
    let bench = bench();
    let mut found = Vec::new();
    let statements: Vec<Sql> = queries::ALL.iter().copied().flatten().copied().collect();
    assert!(
        statements.len() > 50,
        "only {} statements",
        statements.len()
    );
    let (send, plans) = crossbeam::channel::bounded(statements.len());
    bench.store.on_writer(move |conn| {
        for sql in statements {
            send.send((sql, plan(conn, sql))).expect("room for all");
        }
    });
    for (sql, lines) in plans.try_iter() {
        let scans = lines.iter().any(|line| is_scan(line));
        if scans != sql.is_whole {
            found.push(format!("{}: {lines:#?}", sql.name));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_file_that_declares_statements_is_looked_at() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/queries");
    let list = std::fs::read_to_string(folder.join("mod.rs")).expect("ours");
    let mut declaring = 0;
    for entry in std::fs::read_dir(&folder).expect("ours").flatten() {
        let path = entry.path();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name == "mod" || !text.contains("statements! {") {
            continue;
        }
        declaring += 1;
        assert!(
            list.contains(&[&name, "::ALL,"].concat()),
            "{name} is not in queries::ALL"
        );
    }
    assert_eq!(declaring, queries::ALL.len());
}

#[test]
fn the_check_itself_sees_a_scan() {
    let bench = bench();
    let (send, plans) = crossbeam::channel::bounded(1);
    bench.store.on_writer(move |conn| {
        let sql = Sql::seek("look", "SELECT * FROM events WHERE facts = ?1");
        send.send(plan(conn, sql)).expect("room");
    });
    let lines = plans.recv().expect("a plan");
    assert!(lines.iter().any(|l| is_scan(l)), "{lines:?}");
}
