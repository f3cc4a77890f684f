//! What every importer must hold to, whatever it is given.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::*;

const FORMATS: [Format; 5] = [
    Format::Supervisord,
    Format::Procfile,
    Format::Pm2,
    Format::Compose,
    Format::Systemd,
];

fn origin() -> Origin {
    Origin {
        file: "their.service".to_owned(),
        folder: PathBuf::from("/srv/app"),
        has_dotenv: false,
    }
}

fn made(format: Format, text: &str) -> Imported {
    import(format, &origin(), text).unwrap_or_else(|e| panic!("{e}"))
}

fn table(imported: &Imported) -> toml::Table {
    imported
        .toml
        .parse()
        .unwrap_or_else(|e| panic!("{e}\n{}", imported.toml))
}

#[test]
fn hostile_text_is_refused_with_its_line_and_never_a_panic() {
    let hostile = [
        "",
        "\0\u{1}\u{feff}[",
        "[program:x",
        "a = b",
        "[program:x]\nnothing",
        "{\"apps\": [",
        "apps:\n  - script: [1, 2]",
        "processes:\n  a: 5",
        "processes:\n  a:\n    command: [x]",
        "- - - - -",
        "*nobody",
        "[Service]\nExecStart='open",
        "[Service]\nType=simple",
        "%%%%:",
    ];
    for format in FORMATS {
        for text in hostile {
            let refused = import(format, &origin(), text).expect_err(text);
            assert!(refused.line > 0, "{format:?} {text:?}: {refused}");
            assert!(
                refused.to_string().starts_with("their.service:"),
                "{refused}"
            );
        }
    }
}

#[test]
fn whatever_is_cut_off_anywhere_is_taken_or_refused_but_is_toml() {
    let whole = [
        (
            Format::Supervisord,
            "[program:x]\ncommand=/bin/%(program_name)s '%(ENV_A)s' -n %(process_num)02d\nnumprocs=2\nenvironment=A=\"1,2\",B=3\n",
        ),
        (
            Format::Pm2,
            "{\"apps\": [{\"script\": \"a.js\", \"args\": \"'a b' c\", \"env\": {\"A\": \"${x}\"}}]}",
        ),
        (
            Format::Compose,
            "processes:\n  a:\n    command: \"echo ${X} $$Y\"\n    environment: [\"A=${B:-c}\", \"C=$\"]\n",
        ),
        (
            Format::Systemd,
            "[Service]\nExecStart=/bin/x ${A} $B \"q $$ %% r\"\nEnvironment=\"A=1 2\" B=3\n",
        ),
        (Format::Procfile, "web: run ${PORT} '\nworker: x\n"),
    ];
    for (format, text) in whole {
        for (at, _) in text.char_indices() {
            if let Ok(imported) = import(format, &origin(), &text[..at]) {
                table(&imported);
            }
        }
        table(&made(format, text));
    }
}

#[test]
fn an_alias_cannot_make_a_small_file_endless() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let of = format!("*a{}", n - 1);
        let list = [of.as_str(); 10].join(", ");
        let _ = writeln!(text, "a{n}: &a{n} [{list}]");
    }
    let refused = import(Format::Compose, &origin(), &text).expect_err("endless");
    assert!(refused.what.contains("aliases counted"), "{refused}");
    let deep = "[".repeat(100_000);
    assert!(import(Format::Pm2, &origin(), &deep).is_err());
}

#[test]
fn a_number_of_an_instance_becomes_one_for_the_shell() {
    let imported = made(
        Format::Supervisord,
        "[program:w]\ncommand=/bin/w --port=80%(process_num)02d 'a b'\nnumprocs=2\nnumprocs_start=5\n",
    );
    let table = table(&imported);
    let command = table["program"]["w"]["command"].as_str().expect("text");
    for part in [
        r#"80'"$(printf %02d "$((JIKIMI_INSTANCE + 5))")""#,
        "'a b'",
        "exec /bin/w ",
    ] {
        assert!(command.contains(part), "{part}: {command}");
    }
}

#[test]
fn what_was_no_variable_of_ours_does_not_become_one() {
    for (format, text) in [
        (
            Format::Supervisord,
            "[program:p]\ncommand=/bin/echo ${HOME}\n",
        ),
        (
            Format::Pm2,
            "{\"name\": \"p\", \"script\": \"/bin/echo\", \"args\": [\"${HOME}\"]}",
        ),
        (Format::Procfile, "p: echo ${HOME}\n"),
        (
            Format::Compose,
            "processes: {p: {command: 'echo ${HOME}'}}\n",
        ),
    ] {
        let table = table(&made(format, text));
        let command = table["program"]["p"]["command"].to_string();
        assert!(command.contains("$${HOME}"), "{format:?}: {command}");
    }
}

#[test]
fn names_are_ours_and_each_is_there_once() {
    let text = "processes:\n  'api server': {command: x}\n  api-server: {command: y}\n  all: {command: z}\n";
    let imported = made(Format::Compose, text);
    let table = table(&imported);
    let names: Vec<&String> = table["program"]
        .as_table()
        .expect("a table")
        .keys()
        .collect();
    assert_eq!(names, ["all-1", "api-server", "api-server-2"]);
    assert_eq!(imported.lost.len(), 3, "{:?}", imported.lost);
}
