//! PagerDuty and Alertmanager: services that keep the state of incidents themselves, told how these stand.

use super::fakes::alertmanager::{self, Alert};
use super::fakes::pagerduty;
use super::{FAST, crashes_once};
use crate::support::receiver::{Received, Receiver, Reply};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

fn pager(receiver: &Receiver) -> String {
    format!(
        "\n[target.pager]\nkind = \"pagerduty\"\nrouting_key = \"{}\"\nurl = \"{}\"\n{FAST}\n\
         [[route]]\ntargets = [\"pager\"]\n[[route]]\nevents = [\"program.started\", \"config.*\"]\n\
         min_severity = \"info\"\ntargets = [\"pager\"]\n",
        pagerduty::KEY,
        receiver.url("")
    )
}

/// Crashes as often as `web.crashes` has lines less than three, stays up after that; starts by hand.
fn crashes_thrice(restart: &str) -> String {
    format!(
        r#"
[program.web]
shell = true
command = '''
echo x >> web.crashes
[ $(wc -l < web.crashes) -gt 3 ] && exec sleep 1000
printf 'the <b>last</b> words\n' >&2
exit 3
'''
restart = "{restart}"
start_confirm = "20ms"
backoff = {{ initial = "50ms", jitter = 0.0 }}
recover_after = "200ms"
"#
    )
}

/// The dedup keys of requests with this action.
fn keys(receiver: &Receiver, action: &str) -> Vec<String> {
    let requests = receiver.received();
    let bodies = requests.iter().map(Received::json);
    let of_action = bodies.filter(|b| b["event_action"] == action);
    of_action
        .map(|b| b["dedup_key"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn assert_none_refused(receiver: &Receiver) {
    for request in receiver.received() {
        assert_eq!(pagerduty::refusal(&request), None, "{}", request.body);
    }
}

#[test]
fn an_incident_is_one_alert_at_pagerduty_from_its_first_crash_to_its_recovery() {
    let receiver = pagerduty::start();
    let mut supervisor = Supervisor::running(&(crashes_thrice("always") + &pager(&receiver)));
    receiver.wait_for("the end", |r| r.json()["event_action"] == "resolve");
    supervisor.stop();
    assert_none_refused(&receiver);
    let (triggers, resolves) = (keys(&receiver, "trigger"), keys(&receiver, "resolve"));
    assert_eq!((triggers.len(), resolves.len()), (3, 1));
    assert!(
        triggers.iter().all(|key| *key == resolves[0]),
        "{triggers:?}"
    );
    let first = receiver.wait_for("a trigger", |r| r.json()["event_action"] == "trigger");
    let payload = &first.json()["payload"];
    assert_eq!(payload["severity"], "warning");
    assert_eq!(payload["component"], "web");
    assert_eq!(
        payload["custom_details"]["Last output"][0],
        "the <b>last</b> words"
    );
    let changes = receiver.received();
    let mut changes = changes.iter().filter(|r| r.path == "/v2/change/enqueue");
    assert!(
        changes.any(|r| r.body.contains("web started")),
        "starts are changes"
    );
}

#[test]
fn an_alert_that_was_opened_before_a_kill_is_ended_after_it_under_the_same_key() {
    let receiver = pagerduty::start();
    let config = crashes_once("web").replace("start_confirm", "restart = \"never\"\nstart_confirm");
    let mut supervisor = Supervisor::running(&(config + &pager(&receiver)));
    receiver.wait_for("the crash", |r| r.json()["event_action"] == "trigger");
    supervisor.kill();
    supervisor.start();
    assert!(supervisor.cli(&["start", "web"]).status.success());
    receiver.wait_for("the end", |r| r.json()["event_action"] == "resolve");
    assert_eq!(supervisor.stop(), 0);
    assert_none_refused(&receiver);
    let triggers = keys(&receiver, "trigger");
    assert!(
        triggers
            .iter()
            .all(|key| *key == keys(&receiver, "resolve")[0])
    );
    // A double after the kill is the same alert there.
    assert!((1..=2).contains(&triggers.len()), "{triggers:?}");
}

#[test]
fn what_pagerduty_refuses_in_its_full_form_is_sent_without_details() {
    let receiver = Receiver::scripted(|request| {
        if request.body.contains("custom_details") {
            return Reply::Status(413, vec![], String::new());
        }
        pagerduty::answer(request)
    });
    let config = crashes_once("web") + &pager(&receiver);
    let mut supervisor = Supervisor::running(&config);
    let plain = receiver.wait_for("the plain form", |r| {
        r.json()["event_action"] == "trigger" && !r.body.contains("custom_details")
    });
    assert_eq!(pagerduty::refusal(&plain), None, "{}", plain.body);
    supervisor.stop();
}

/// Every alert that was posted about `web`, in order.
fn alerts(receiver: &Receiver) -> Vec<Alert> {
    let requests = receiver.received();
    let alerts = requests.iter().flat_map(|r| {
        alertmanager::read(r).unwrap_or_else(|why| panic!("refused ({why}): {}", r.body))
    });
    alerts
        .filter(|a| a.labels.get("program").is_some_and(|p| p == "web"))
        .collect()
}

fn is_firing(alert: &Alert) -> bool {
    alert.ends.is_none_or(|ends| ends > jiff::Timestamp::now())
}

fn wait_alerts(receiver: &Receiver, what: &str, is_so: impl Fn(&[Alert]) -> bool) -> Vec<Alert> {
    wait_for(what, || {
        let alerts = alerts(receiver);
        if is_so(&alerts) {
            Ok(alerts)
        } else {
            Err(format!("{alerts:#?}"))
        }
    })
}

#[test]
fn an_open_incident_is_told_again_and_again_also_after_a_kill_and_its_end_more_than_once() {
    let receiver = alertmanager::start();
    let config = format!(
        "{}\n[target.am]\nkind = \"alertmanager\"\nurl = \"{}\"\nresend = \"1s\"\n{FAST}\n\
         [[route]]\ntargets = [\"am\"]\n",
        crashes_once("web").replace("start_confirm", "restart = \"never\"\nstart_confirm"),
        receiver.url("")
    );
    let mut supervisor = Supervisor::running(&config);
    let firing = wait_alerts(&receiver, "the alert, three times", |a| a.len() >= 3);
    let labels = &firing[0].labels;
    assert_eq!(labels["alertname"], "ProgramCrash");
    assert_eq!(labels["severity"], "warning");
    assert!(
        firing
            .iter()
            .all(|a| a.labels == *labels && a.starts == firing[0].starts)
    );
    assert!(
        firing.windows(2).all(|two| two[0].ends < two[1].ends),
        "{firing:#?}"
    );
    assert!(firing[0].annotations["output"].contains("the last words of web"));

    supervisor.kill();
    let before = alerts(&receiver).len();
    supervisor.start();
    let again = wait_alerts(&receiver, "more of it", |a| a.len() >= before + 2);
    assert!(is_firing(again.last().expect("some")), "{again:#?}");

    assert!(supervisor.cli(&["start", "web"]).status.success());
    let resolved = wait_alerts(&receiver, "its end, three times", |a| {
        a.iter().filter(|a| !is_firing(a)).count() >= 3
    });
    let last = resolved.last().expect("some");
    assert!(!is_firing(last) && last.labels == *labels, "{last:#?}");
    // One attempt is on record for each of the two deliveries, however often they were sent.
    let rows: i64 = super::database(&supervisor)
        .query_row(
            "SELECT count(*) FROM attempts AS a JOIN deliveries AS d ON d.id = a.delivery
             WHERE d.target = 'am' AND d.incident IS NOT NULL AND a.outcome = 'delivered'",
            [],
            |row| row.get(0),
        )
        .expect("our own tables");
    assert!((2..=3).contains(&rows), "{rows}");
    supervisor.stop();
}

#[test]
fn an_incident_that_becomes_critical_is_another_alert_and_the_one_before_is_over() {
    let receiver = alertmanager::start();
    let config = format!(
        "{}restart_limit = {{ count = 1, within = \"60s\", then = \"fatal\" }}\n\
         [target.am]\nkind = \"alertmanager\"\nurl = \"{}\"\n{FAST}\n[[route]]\ntargets = [\"am\"]\n",
        crashes_thrice("always"),
        receiver.url("")
    );
    let mut supervisor = Supervisor::running(&config);
    let alerts = wait_alerts(&receiver, "the critical one", |alerts| {
        alerts.iter().any(|a| a.labels["severity"] == "critical")
    });
    let last = |severity: &str| {
        let found = alerts.iter().rfind(|a| a.labels["severity"] == severity);
        found.unwrap_or_else(|| panic!("no {severity}: {alerts:#?}"))
    };
    assert!(is_firing(last("critical")));
    assert!(!is_firing(last("warning")), "{alerts:#?}");
    supervisor.stop();
}

#[test]
fn an_alertmanager_that_was_away_learns_how_things_stand_when_it_is_back() {
    let mut tries = 0;
    let receiver = Receiver::scripted(move |request| {
        tries += 1;
        if tries <= 2 {
            Reply::status(503)
        } else {
            alertmanager::answer(request)
        }
    });
    let config = format!(
        "{}\n[target.am]\nkind = \"alertmanager\"\nurl = \"{}/api/v2/alerts\"\nresend = \"1s\"\n{FAST}\n\
         [[route]]\ntargets = [\"am\"]\n",
        crashes_once("web").replace("start_confirm", "restart = \"never\"\nstart_confirm"),
        receiver.url("")
    );
    let mut supervisor = Supervisor::running(&config);
    let alerts = wait_alerts(&receiver, "it, past the outage", |a| a.len() >= 4);
    assert!(alerts.iter().all(is_firing), "{alerts:#?}");
    supervisor.stop();
}
