//! Texts of one's own: what a target with a template is sent, and what is said of a template that is wrong.

use super::FAST;
use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;

fn discord() -> Receiver {
    Receiver::scripted(|_| Reply::Status(200, vec![], r#"{"id":"1", "channel_id":"7"}"#.to_owned()))
}

const CRASHES: &str = r#"
[program.web]
shell = true
command = 'echo "@everyone \"}, *bold*"; exit 3'
start_confirm = "50ms"
backoff = { initial = "60s", max = "60s", jitter = 0.0 }
"#;

fn target(name: &str, kind: &str, (url, template): (&str, &str)) -> String {
    format!(
        "\n[target.{name}]\nkind = \"{kind}\"\nurl = \"{url}\"\n{FAST}\n{template}\n\
         [[route]]\ntargets = [\"{name}\"]\n"
    )
}

#[test]
fn each_target_is_told_in_words_of_its_own() {
    let (chat, other, hook) = (discord(), discord(), Receiver::start());
    let address = "/api/webhooks/1/token";
    let own = "template = '''\n{{ program }} went down: {{ exit }}\n\
               {% for line in log_tail %}> {{ line }}\n{% endfor %}'''";
    let body = r#"template = '{"content": {{ program ~ ": " ~ exit }}, "last": {{ log_tail }}}'"#;
    let config = format!(
        "[notify]\ntemplate = \"{{{{ host }}}} says: {{{{ summary }}}}\"\n[supervisor]\nname = \"box-1\"\n{CRASHES}{}{}{}",
        target("chat", "discord", (&chat.url(address), own)),
        target("other", "discord", (&other.url(address), "")),
        target("hook", "webhook", (&hook.url("/"), body)),
    );
    let mut supervisor = Supervisor::running(&config);
    let told = chat.wait_for("its words", |r| r.body.contains("went down"));
    let embed = &told.json()["embeds"][0];
    // Discord reads marks in titles, so they are escaped.
    assert_eq!(embed["title"], "web went down\\: exit code 3");
    assert_eq!(embed["fields"].as_array().map(Vec::len), Some(0));
    let text = embed["description"].as_str().expect("the other lines");
    assert!(
        text.starts_with("```\n> @everyone \"}, *bold*") && text.ends_with("```"),
        "{text}"
    );
    let told = other.wait_for("the words of all", |r| r.body.contains("box"));
    let title = told.json()["embeds"][0]["title"].clone();
    let title = title.as_str().expect("a title").replace('\\', "");
    assert!(title.starts_with("box-1 says: web crashed"), "{title}");
    let told = hook.wait_for("its body", |r| r.body.contains("exit code 3"));
    assert_eq!(
        told.json(),
        serde_json::json!({"content": "web: exit code 3", "last": ["@everyone \"}, *bold*"]})
    );
    supervisor.stop();
}

#[test]
fn a_template_that_fails_after_all_costs_no_message() {
    let chat = discord();
    // The events it is tried with are of no program of that name.
    let late = r#"template = "{% if program == 'web' %}{{ nothing }}{% endif %}""#;
    let url = chat.url("/api/webhooks/1/token");
    let config = format!("{CRASHES}{}", target("chat", "discord", (&url, late)));
    let mut supervisor = Supervisor::running(&config);
    chat.wait_for("the built-in words", |r| r.body.contains("web crashed"));
    supervisor.wait_log("the template of target chat fails with program.crashed");
    supervisor.stop();
}

#[test]
fn a_wrong_template_is_refused_with_its_place() {
    for (template, place, what) in [
        ("template = \"a {{ sumary }}\"", "5:18", "undefined value"),
        ("template = '''\nfine\n{% if %}\n'''", "7:", "syntax error"),
        ("template = \"{{ incident.id }}\"", "5:", "it fails with"),
        ("template = 3", "5:12", "a whole number cannot stand here"),
    ] {
        let config = format!(
            "[program.web]\ncommand = \"true\"\n[target.chat]\nkind = \"slack\"\n{template}\nurl = \"https://h/x\"\n"
        );
        let output = Supervisor::configured(&config).cli(&["check"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{said}");
        assert!(
            said.contains(&format!("jikimi.toml:{place}"))
                && said.contains("target.chat.template: ")
                && said.contains(what),
            "{template}: {said}"
        );
    }
}
