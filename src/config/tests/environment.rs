//! What a program inherits, what it is given, and where secrets come from.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use super::Place;
use crate::model::target::{ProviderSpec, Telegram};

fn environment(place: &Place) -> Vec<(String, String)> {
    let text = |s: &OsStr| s.to_string_lossy().into_owned();
    let programs = place.loaded().settings.programs;
    programs[0]
        .environment
        .iter()
        .map(|(k, v)| (text(k), text(v)))
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

const WITH_SECRET: &str = "[target.t]\nkind = \"webhook\"\nurl = \"https://h/${HOOK}\"\nheaders = { A = \"${TOKEN:-x}\" }\n[[route]]\ntargets = [\"t\"]\n";

#[test]
fn programs_inherit_what_is_not_ours_and_no_secret() {
    let ours = [
        ("NOTIFY_SOCKET", "1"),
        ("WATCHDOG_USEC", "1"),
        ("WATCHDOG_PID", "1"),
        ("LISTEN_FDS", "1"),
        ("MAINPID", "1"),
        ("JIKIMI_X", "1"),
        ("HOOK", "s3cret"),
        ("TOKEN", "s3cret"),
        ("LANG", "C"),
    ];
    let text = format!("[program.a]\ncommand = \"x\"\n{WITH_SECRET}");
    let place = Place::new(&[("j.toml", &text)]).with(&ours);
    assert_eq!(
        environment(&place),
        pairs(&[("LANG", "C"), ("PATH", "/usr/bin:/bin")])
    );
    let expected: BTreeSet<String> = ["HOOK".to_owned(), "TOKEN".to_owned()].into();
    assert_eq!(place.loaded().secret_variables, expected);
    let text = format!(
        "[program.a]\ncommand = \"x\"\nenvironment = {{ HOOK = \"${{HOOK}}\", MAINPID = \"7\" }}\n{WITH_SECRET}"
    );
    let place = Place::new(&[("j.toml", &text)]).with(&ours);
    assert_eq!(
        environment(&place),
        pairs(&[
            ("HOOK", "s3cret"),
            ("LANG", "C"),
            ("MAINPID", "7"),
            ("PATH", "/usr/bin:/bin")
        ])
    );
}

#[test]
fn a_cleared_environment_has_only_what_is_written() {
    let place = Place::new(&[
        (
            "j.toml",
            "[program.a]\ncommand = \"x\"\nenvironment_clear = true\nenv_file = \".env\"\nenvironment = { B = \"mine\" }\n",
        ),
        (".env", "export A='file'\nB=file\n"),
    ]);
    assert_eq!(environment(&place), pairs(&[("A", "file"), ("B", "mine")]));
}

#[test]
fn secrets_come_from_files_without_their_line_end() {
    let text = "[target.t]\nkind = \"telegram\"\ntoken = { file = \"secrets/${NAME:-token}\" }\nchat_id = -5\n[[route]]\ntargets = [\"t\"]\n[program.a]\ncommand = \"x\"\n";
    let place = Place::new(&[("j.toml", text), ("secrets/token", "123:abc\r\n")]);
    let loaded = place.loaded();
    let ProviderSpec::Telegram(Telegram {
        token,
        chat_id,
        api_url,
    }) = &loaded.settings.targets[0].provider
    else {
        panic!("{:?}", loaded.settings.targets);
    };
    assert_eq!(
        (token.expose(), chat_id.as_str(), api_url.as_str()),
        ("123:abc", "-5", "https://api.telegram.org")
    );
    assert!(
        loaded.secret_variables.is_empty(),
        "the path of a secret is no secret"
    );
    place.write("secrets/token", b"\n");
    assert_eq!(
        place.faults(),
        ["j.toml:3:9: target.t.token: the secret's file is empty: put the secret into it"]
    );
}
