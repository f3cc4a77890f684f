//! The repository's own habits: who may use whom, what belongs to one room, and that what is written about the
//! program is true of it.

mod source;

use std::collections::BTreeSet;

use jikimi::{config, limits};

use source::{Source, all, files, places, root};

/// Free to all; sees only itself.
const BASE: [&str; 8] = [
    "clock", "thread", "limits", "ids", "secret", "text", "procfs", "model",
];

/// Every other room and those it may use; the same table stands in `src/lib.rs`.
const ROOMS: [(&str, &[&str]); 21] = [
    ("child", &[]),
    ("config", &[]),
    ("supervise", &["child"]),
    ("logs", &[]),
    ("metrics", &[]),
    ("alert", &[]),
    ("journal", &["alert"]),
    ("store", &[]),
    ("history", &["logs", "store"]),
    ("cache", &[]),
    ("fetch", &[]),
    ("probe", &["child", "fetch"]),
    ("notify", &["alert", "child", "fetch"]),
    ("shutdown", &[]),
    ("signals", &[]),
    ("terminal", &[]),
    ("control", &["alert", "history", "store", "supervise"]),
    ("cli", &["app", "config", "control", "history", "store"]),
    ("app", &ALL_BUT_CLI),
    ("main", &["cli"]),
    ("lib", &[]),
];

const ALL_BUT_CLI: [&str; 17] = [
    "child",
    "config",
    "supervise",
    "logs",
    "metrics",
    "alert",
    "journal",
    "store",
    "history",
    "cache",
    "fetch",
    "probe",
    "notify",
    "shutdown",
    "signals",
    "terminal",
    "control",
];

/// A call, the files where it is right, and what to use elsewhere.
struct Owned {
    calls: &'static [&'static str],
    homes: &'static [&'static str],
    instead: &'static str,
}

const OWNED: [Owned; 11] = [
    Owned {
        calls: &[
            "Instant::now",
            "SystemTime::now",
            "Timestamp::now",
            "Zoned::now",
            "clock_gettime",
        ],
        homes: &["src/clock.rs"],
        instead: "clock, or a `now` that is handed in",
    },
    Owned {
        calls: &["thread::spawn", "thread::Builder", "thread::scope"],
        homes: &["src/thread.rs"],
        instead: "thread::spawn_named",
    },
    Owned {
        calls: &["Command::new"],
        homes: &["src/child/"],
        instead: "child",
    },
    Owned {
        calls: &[
            "kill_process",
            "kill_process_group",
            "pidfd_send_signal",
            "waitid",
            "waitpid",
        ],
        homes: &["src/child/"],
        instead: "child",
    },
    Owned {
        calls: &["rusqlite", "r2d2", "r2d2_sqlite"],
        homes: &["src/store/"],
        instead: "store",
    },
    Owned {
        calls: &["ureq::", "rustls::"],
        homes: &["src/fetch/"],
        instead: "fetch",
    },
    Owned {
        calls: &["println!", "eprintln!", "print!", "eprint!"],
        homes: &[],
        instead: "log, or cli's Out: a closed pipe must not be a panic",
    },
    Owned {
        calls: &["io::stderr", "io::stdout"],
        homes: &[
            "src/cli/",
            "src/terminal/",
            "src/signals.rs",
            "src/app/start.rs",
        ],
        instead: "log; only cli and terminal write there, others only look whether it is a terminal",
    },
    Owned {
        calls: &["process::exit", "low_level::exit", "process::abort"],
        homes: &["src/signals.rs"],
        instead: "an ExitCode that main returns; the third signal is the one exception",
    },
    Owned {
        calls: &["unbounded", "mpsc::channel"],
        homes: &[],
        instead: "bounded(limits::X)",
    },
    Owned {
        calls: &["thread::sleep"],
        homes: &[],
        instead: "a wait for what is to happen, with a deadline",
    },
];

/// What is nowhere in `src` and `tests`.
const NOWHERE: [&str; 7] = [
    "#[allow",
    "#![allow",
    "todo!",
    "unimplemented!",
    ".unwrap()",
    "dbg!",
    "#[ignore",
];

/// Fails with all that is wrong, not with the first.
fn expect_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("it is in the repository")
}

/// `(room, used room)` of every `crate::…` in the code.
fn uses(sources: &[Source]) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for source in sources.iter().filter(|s| s.path.starts_with("src/")) {
        let own = if source.path == "src/main.rs" {
            "jikimi::"
        } else {
            "crate::"
        };
        for (at, _) in source.code.match_indices(own) {
            let rest = &source.code[at + own.len()..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let used = &rest[..end.unwrap_or(rest.len())];
            if used != source.room() {
                found.insert((source.room().to_owned(), used.to_owned()));
            }
        }
    }
    found
}

#[test]
fn rooms_use_only_the_rooms_that_the_table_gives_them() {
    let sources = all();
    let mut wrong = Vec::new();
    for source in &sources {
        // Lists of rooms in one `use` would hide from the search below.
        for place in places(source, &source.code, "crate::{") {
            wrong.push(format!(
                "{place}: write a `use crate::room::…` for each room"
            ));
        }
    }
    let found = uses(&sources);
    for (room, used) in &found {
        if BASE.contains(&used.as_str()) {
            continue;
        }
        let allowed = ROOMS.iter().find(|(name, _)| name == room);
        if !allowed.is_some_and(|(_, may)| may.contains(&used.as_str())) {
            wrong.push(format!("{room} must not use {used}"));
        }
    }
    for (room, may) in ROOMS {
        for used in may {
            if !found.contains(&(room.to_owned(), (*used).to_owned())) {
                wrong.push(format!(
                    "{room} may use {used} but does not: take it out of the table"
                ));
            }
        }
    }
    expect_none(&wrong);
}

#[test]
fn every_room_is_in_the_table_and_every_entry_of_the_table_is_a_room() {
    let sources = all();
    let rooms = sources.iter().filter(|s| s.path.starts_with("src/"));
    let there: BTreeSet<&str> = rooms.map(Source::room).collect();
    let told = ROOMS.iter().map(|(name, _)| *name).chain(BASE);
    assert_eq!(there, told.collect());
}

#[test]
fn the_map_in_lib_rs_is_the_table_of_this_test() {
    let text = read("src/lib.rs");
    let doc: Vec<&str> = text
        .lines()
        .map_while(|l| l.strip_prefix("//!"))
        .map(str::trim)
        .collect();
    let linked = |cell: &str| -> Vec<String> {
        let parts = cell.split("[`").skip(1);
        parts
            .filter_map(|p| p.split_once("`]"))
            .map(|(name, _)| name.to_owned())
            .collect()
    };
    let base = doc.iter().skip_while(|l| !l.starts_with("Base,"));
    let base: String = base.take_while(|l| !l.is_empty()).copied().collect();
    assert_eq!(linked(&base), BASE);
    let mut told = Vec::new();
    for row in doc.iter().filter(|l| l.starts_with("| [`")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let used: Vec<String> = match cells[2] {
            "all but cli" => ALL_BUT_CLI.map(str::to_owned).to_vec(),
            "" => vec![],
            cell => cell.split(", ").map(str::to_owned).collect(),
        };
        told.extend(
            linked(cells[0])
                .into_iter()
                .map(|room| (room, used.clone())),
        );
    }
    let table = ROOMS
        .iter()
        .filter(|(room, _)| !["main", "lib"].contains(room));
    let table: Vec<(String, Vec<String>)> = table
        .map(|(room, may)| {
            let may = may.iter().map(|m| (*m).to_owned()).collect();
            ((*room).to_owned(), may)
        })
        .collect();
    assert_eq!(told, table);
}

#[test]
fn what_belongs_to_one_room_is_called_in_no_other() {
    let mut wrong = Vec::new();
    for source in all() {
        for owned in &OWNED {
            if owned.homes.iter().any(|home| source.path.starts_with(home)) {
                continue;
            }
            for call in owned.calls {
                for place in places(&source, source.production(), call) {
                    wrong.push(format!("{place}: {call}: use {}", owned.instead));
                }
            }
        }
        let is_support = source.path.starts_with("tests/it/support/");
        if source.path.starts_with("tests/it/") && !is_support {
            for place in places(&source, &source.code, "thread::sleep") {
                wrong.push(format!("{place}: use support::wait_for"));
            }
        }
    }
    expect_none(&wrong);
}

#[test]
fn lints_are_not_silenced_and_nothing_is_left_to_do() {
    let mut wrong = Vec::new();
    for source in all() {
        for word in NOWHERE {
            let found = places(&source, &source.code, word);
            wrong.extend(found.into_iter().map(|place| format!("{place}: {word}")));
        }
        // Two places in `child` and one in `thread` have no safe way, each with its reason.
        if !source.path.starts_with("src/child/") && source.path != "src/thread.rs" {
            let found = places(&source, &source.code, "unsafe");
            wrong.extend(found.into_iter().map(|place| format!("{place}: unsafe")));
        }
        for (at, _) in source.code.match_indices("#[expect(") {
            let end = source.code[at..].find(")]").map_or(at, |i| at + i);
            if !source.code[at..end].contains("reason") {
                wrong.push(format!("{}: an `expect` without a reason", source.path));
            }
        }
    }
    expect_none(&wrong);
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let silent = all()
        .into_iter()
        .filter(|s| !s.text.starts_with("//! "))
        .map(|s| format!("{}: the first line says what it owns", s.path));
    expect_none(&silent.collect::<Vec<_>>());
}

#[test]
fn every_limit_is_kept_somewhere() {
    let sources = all();
    let (limits, others): (Vec<_>, Vec<_>) = sources
        .iter()
        .filter(|s| s.path.starts_with("src/"))
        .partition(|s| s.path == "src/limits.rs");
    let names: Vec<&str> = limits[0]
        .code
        .split("pub const ")
        .skip(1)
        .filter_map(|rest| rest.split_once(':').map(|(name, _)| name))
        .collect();
    assert!(names.len() > 100, "the limits were not found");
    let unused = names.iter().filter(|name| {
        !others
            .iter()
            .any(|s| !places(s, s.production(), name).is_empty())
    });
    let unused = unused.map(|name| format!("limits::{name} bounds nothing"));
    expect_none(&unused.collect::<Vec<_>>());
}

/// The arguments of every call of `macro_name` in `text`, roughly: up to the statement's end.
fn arguments<'a>(text: &'a str, macro_name: &str) -> Vec<&'a str> {
    text.match_indices(macro_name)
        .map(|(at, _)| {
            let rest = &text[at..];
            &rest[..rest.find(';').unwrap_or(rest.len())]
        })
        .collect()
}

fn is_sql(text: &str) -> bool {
    [
        "SELECT ",
        "INSERT INTO ",
        "INSERT OR ",
        "DELETE FROM ",
        "UPDATE ",
        " WHERE ",
        "PRAGMA ",
    ]
    .iter()
    .any(|word| text.contains(word))
}

#[test]
fn no_value_is_spliced_into_sql_and_sql_is_only_in_the_store() {
    let mut wrong = Vec::new();
    for source in all().iter().filter(|s| s.path.starts_with("src/")) {
        let text = source.spoken_production();
        let is_store = source.room() == "store";
        if !is_store && is_sql(text) {
            wrong.push(format!("{}: SQL outside the store", source.path));
        }
        for composing in [
            "format!(",
            "format_args!(",
            "write!(",
            "writeln!(",
            "push_str(",
        ] {
            let spliced = arguments(text, composing).into_iter().filter(|a| is_sql(a));
            wrong.extend(spliced.map(|a| format!("{}: SQL is made of {a}", source.path)));
        }
        // Statements are `&'static str` by type; what runs text of another kind would get around that.
        for running in ["execute_batch(", ".prepare(", ".query_row(&", ".execute(&"] {
            let is_migration = source.path == "src/store/migrate.rs";
            if is_store && !is_migration {
                wrong.extend(places(source, source.production(), running));
            }
        }
    }
    expect_none(&wrong);
}

#[test]
fn the_example_and_the_readmes_table_are_those_of_the_keys() {
    assert!(
        read("config/example.toml") == config::example(),
        "config/example.toml is not config::example()"
    );
    let readme = read("README.md");
    let table = readme
        .split_once("<!-- keys -->\n")
        .and_then(|(_, rest)| rest.split_once("<!-- /keys -->"))
        .map(|(table, _)| table.trim());
    assert!(
        table == Some(config::key_table_markdown().trim()),
        "between <!-- keys --> and <!-- /keys --> of README.md belongs:\n{}",
        config::key_table_markdown()
    );
}

/// Numbers that the README tells, as it must tell them.
fn told_limits() -> Vec<String> {
    let mib = |bytes: usize| bytes >> 20;
    vec![
        format!(
            "| instances of one program | {} |",
            limits::PROGRAM_INSTANCES_MAX
        ),
        format!("| instances in all | {} |", limits::INSTANCES_MAX),
        format!("| bytes of a name | {} |", limits::NAME_BYTES_MAX),
        format!(
            "| files of a configuration | {} |",
            limits::CONFIG_FILES_MAX
        ),
        format!(
            "| size of a configuration file or `env_file` | {} MiB |",
            limits::CONFIG_FILE_BYTES_MAX >> 20
        ),
        format!("| faults printed at once | {} |", limits::CONFIG_FAULTS_MAX),
        format!(
            "| bytes of the socket's path | {} |",
            limits::SOCKET_PATH_BYTES_MAX
        ),
        format!(
            "| connections to the socket | {} |",
            limits::CONTROL_CONNECTIONS
        ),
        format!("| threads that send | {} |", limits::NOTIFY_WORKERS_MAX),
        format!(
            "| one attempt to deliver | {} s |",
            limits::ATTEMPT_MAX.as_secs()
        ),
        format!("| sampling threads | {} |", limits::SAMPLE_THREADS),
        format!(
            "| shortest sampling interval | {} ms |",
            limits::SAMPLE_INTERVAL_MIN.as_millis()
        ),
        format!(
            "| output kept while the log disk takes nothing | {} MiB |",
            mib(limits::SPILL_BYTES)
        ),
        format!(
            "| events kept while the database takes nothing | {}, or {} MiB |",
            limits::STORE_WRITES_MAX,
            mib(limits::STORE_WRITES_BYTES)
        ),
        format!(
            "| a line of output, as a record | {} KiB |",
            limits::LOG_LINE_BYTES >> 10
        ),
        format!(
            "| what the terminal may be behind a program | {} MiB |",
            limits::PRINT_BEHIND_BYTES >> 20
        ),
        format!(
            "| events and ended runs are kept | {} days |",
            days(limits::RETENTION_EVENTS)
        ),
        format!(
            "| deliveries that are over are kept | {} days |",
            days(limits::RETENTION_DELIVERIES)
        ),
        format!(
            "| log records are kept | {} days |",
            days(limits::RETENTION_LOGS)
        ),
        format!(
            "| last pass of deliveries at the end | {} s |",
            limits::STOP_LAST_PASS.as_secs()
        ),
    ]
}

fn told_limits_of_probes() -> Vec<String> {
    vec![
        format!("| threads that probe | {} |", limits::PROBE_WORKERS),
        format!(
            "| one check of a probe | {} s |",
            limits::PROBE_TIMEOUT_MAX.as_secs()
        ),
        format!(
            "| shortest interval of a probe | {} ms |",
            limits::PROBE_INTERVAL_MIN.as_millis()
        ),
    ]
}

fn days(time: std::time::Duration) -> u64 {
    time.as_secs() / 86_400
}

#[test]
fn the_readme_tells_the_limits_as_they_are() {
    let readme = read("README.md");
    let missing = told_limits()
        .into_iter()
        .chain(told_limits_of_probes())
        .filter(|row| !readme.contains(row.as_str()));
    expect_none(&missing.collect::<Vec<_>>());
}

#[test]
fn the_readmes_commands_are_there() {
    let readme = read("README.md");
    for command in [
        "cargo run --release -- run",
        "scripts/check",
        "scripts/bench",
    ] {
        assert!(readme.contains(command), "{command}");
    }
    for file in [
        "scripts/check",
        "scripts/bench",
        "LICENSE",
        "config/jikimi.toml",
    ] {
        assert!(root().join(file).is_file(), "{file}");
    }
}

#[test]
fn the_repository_speaks_of_itself_only() {
    // In two parts, or this file would be the first to be found.
    let foreign = [
        concat!("/wo", "rk/"),
        concat!("../sha", "red"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("work", "tree"),
        concat!("DESI", "GN.md"),
        concat!("STY", "LE.md"),
        concat!("REQUIRE", "MENTS.md"),
        concat!("MEASU", "RED.md"),
        concat!("PROVI", "DERS.md"),
    ];
    let mut wrong = Vec::new();
    for path in files() {
        let bytes = std::fs::read(root().join(&path)).expect("our own file");
        let text = String::from_utf8_lossy(&bytes);
        for word in foreign {
            if text.contains(word) {
                wrong.push(format!("{}: {word}", path.display()));
            }
        }
    }
    expect_none(&wrong);
}

#[test]
fn spliced_sql_would_be_seen() {
    let text = "let a = format!(\n\"SELECT {x} FROM t\"\n); let b = format!(\"{x}\"); let c = \"SELECT 1\";";
    let found = arguments(text, "format!(");
    assert_eq!(
        found.iter().map(|a| is_sql(a)).collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn source_is_read_without_comments_and_literals() {
    let text = "let a = \"x // \\\" y\"; // dbg!\nlet b = r#\"todo! \" \"#; /* unsafe */\nlet c = '\"'; \
                let d: &'static str = \"\\\\\"; let e = '\\''; real();\n#[cfg(test)]\nmod tests {\n fn t() {}\n}\n";
    let source = Source::new("src/cli/x.rs", text);
    assert_eq!(source.code.len(), text.len());
    for hidden in ["//", "dbg!", "todo!", "unsafe", "x"] {
        assert!(!source.code.contains(hidden), "{hidden} in {}", source.code);
    }
    assert!(source.spoken.contains("todo!") && !source.spoken.contains("dbg!"));
    assert!(source.code.contains("&'static str") && source.code.contains("real();"));
    assert!(source.code.contains("fn t()") && !source.production().contains("fn t()"));
    assert_eq!(source.room(), "cli");
    assert_eq!(
        places(&source, source.production(), "real"),
        ["src/cli/x.rs:3"]
    );
    assert!(places(&source, &source.code, "eal").is_empty());
}
