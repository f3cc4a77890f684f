//! Readiness and liveness: what the world outside a program says of it, and what follows.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::processes::{is_alive, wait_gone};
use crate::support::receiver::{Receiver, Reply};
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// A web server whose status the test turns, and which counts itself.
struct Page {
    server: Receiver,
    status: Arc<AtomicU16>,
}

impl Page {
    fn answering(status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let now = Arc::clone(&status);
        let server = Receiver::scripted(move |_| match now.load(Ordering::SeqCst) {
            HANG => Reply::Hang,
            TRICKLE => Reply::Trickle,
            status => Reply::status(status),
        });
        Self { server, status }
    }

    fn turn(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn url(&self) -> String {
        self.server.url("/health?token=s3cret")
    }
}

const HANG: u16 = 1;
const TRICKLE: u16 = 2;

/// A program that is probed, and restarted at once.
fn probed(name: &str, aspect: &str, probe: &str) -> String {
    format!(
        "[program.{name}]\ncommand = [\"sleep\", \"1d\"]\nstart_confirm = \"20ms\"\n\
         backoff = {{ initial = \"20ms\", max = \"20ms\" }}\n\
         [program.{name}.{aspect}]\ninterval = \"100ms\"\ntimeout = \"300ms\"\nfailure_threshold = 2\n{probe}\n"
    )
}

fn wait_event(supervisor: &Supervisor, kind: &str, name: &str) -> Value {
    wait_for(&format!("{kind} of {name}"), || {
        let events = supervisor.events_of(kind, name);
        events
            .last()
            .cloned()
            .ok_or_else(|| format!("{:#?}", supervisor.events()))
    })
}

fn assert_none(supervisor: &Supervisor, kind: &str, name: &str) {
    assert_eq!(supervisor.events_of(kind, name), [Value::Null; 0]);
}

#[test]
fn a_program_is_ready_when_its_page_answers_and_not_before() {
    let page = Page::answering(500);
    let supervisor = Supervisor::running(&probed(
        "web",
        "readiness",
        &format!("http = \"{}\"", page.url()),
    ));
    let waits = supervisor.wait_program("web", "running, and not ready", |view| {
        view["phase"] == "running" && view["health"] == "unhealthy"
    });
    assert_eq!(waits["ready"], false);
    let cause = waits["cause"].as_str().expect("why");
    let shown = page.server.url("/health");
    assert_eq!(
        cause,
        format!("not ready yet: GET {shown} failed 2 times: status 500")
    );
    assert_none(&supervisor, "program.ready", "web");
    assert_none(&supervisor, "program.unhealthy", "web");
    page.turn(302);
    let ready = supervisor.wait_program("web", "ready", |view| view["ready"] == true);
    assert_eq!(ready["health"], "healthy");
    assert_eq!(ready["cause"], Value::Null);
    wait_event(&supervisor, "program.ready", "web");
    let told = supervisor.events();
    assert!(!format!("{told:?}").contains("s3cret"));
    // A redirect passes and is not followed, and nothing but GET is sent.
    for request in page.server.received() {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("GET", "/health?token=s3cret")
        );
    }
}

#[test]
fn a_program_that_loses_its_readiness_is_told_and_goes_on() {
    let page = Page::answering(200);
    let supervisor = Supervisor::running(&probed(
        "web",
        "readiness",
        &format!("http = \"{}\"", page.url()),
    ));
    let before = supervisor.wait_program("web", "ready", |view| view["ready"] == true);
    page.turn(HANG);
    let lost = supervisor.wait_program("web", "not ready", |view| view["ready"] == false);
    assert_eq!(lost["phase"], "running");
    assert_eq!(lost["health"], "unhealthy");
    let unhealthy = wait_event(&supervisor, "program.unhealthy", "web");
    assert_eq!(unhealthy["severity"], "warning");
    assert_eq!(unhealthy["run"], before["run"]);
    let cause = unhealthy["data"]["cause"].as_str().expect("why");
    assert!(
        cause.ends_with("failed 2 times: time-out while waiting for the answer"),
        "{cause}"
    );
    page.turn(200);
    let back = supervisor.wait_program("web", "ready again", |view| view["ready"] == true);
    assert_eq!(back["run"], before["run"]);
    assert_eq!(back["restarts"], 0);
    wait_event(&supervisor, "program.healthy", "web");
    assert_eq!(supervisor.events_of("program.ready", "web").len(), 1);
    // The status is the answer: a body that never ends is not waited for.
    page.turn(TRICKLE);
    let asked = page.server.received().len();
    page.server.wait_for("three more checks", |_| {
        page.server.received().len() > asked + 3
    });
    assert_eq!(supervisor.events_of("program.unhealthy", "web").len(), 1);
    assert_eq!(supervisor.program("web")["ready"], true);
}

/// Writes the head of an answer a byte at a time, to whoever comes.
fn drip(listener: &TcpListener) {
    for mut stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            for byte in std::iter::repeat_n(b"HTTP/1.1 200 OK\r\nx: ", 1000).flatten() {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                // Until the client has had enough; each byte comes well before its time-out.
                let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
                let _ = stream.read(&mut [0; 1024]);
            }
        });
    }
}

#[test]
fn an_answer_that_trickles_in_is_given_no_more_time_than_one_that_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || drip(&listener));
    let supervisor = Supervisor::running(&probed(
        "web",
        "readiness",
        &format!("http = \"http://127.0.0.1:{port}/\""),
    ));
    let view = supervisor.wait_program("web", "unhealthy", |view| view["health"] == "unhealthy");
    let cause = view["cause"].as_str().expect("why");
    assert!(cause.contains("time-out"), "{cause}");
}

#[test]
fn a_program_that_fails_its_liveness_is_restarted_as_after_a_crash_and_why_is_told() {
    let page = Page::answering(200);
    let supervisor = Supervisor::running(&probed(
        "web",
        "liveness",
        &format!("http = \"{}\"", page.url()),
    ));
    let first = supervisor.wait_program("web", "healthy", |view| view["health"] == "healthy");
    page.turn(503);
    let crashed = wait_event(&supervisor, "program.crashed", "web");
    page.turn(200);
    let facts = &crashed["data"];
    assert_eq!(crashed["run"], first["run"]);
    assert_eq!(facts["trigger"], "liveness");
    let cause = facts["cause"].as_str().expect("why");
    assert!(cause.ends_with("failed 2 times: status 503"), "{cause}");
    assert_eq!(facts["exit"]["signal"], "SIGTERM");
    let again = supervisor.wait_program("web", "healthy in another run", |view| {
        view["health"] == "healthy" && view["run"] != first["run"]
    });
    assert!(again["restarts"].as_u64() >= Some(1), "{again}");
    let unhealthy = supervisor.events_of("program.unhealthy", "web");
    assert_eq!(unhealthy[0]["run"], first["run"]);
}

#[test]
fn a_port_is_probed_until_somebody_listens_there() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound").port()
    };
    let supervisor = Supervisor::running(&probed(
        "db",
        "readiness",
        &format!("tcp = \"localhost:{port}\""),
    ));
    let waits = supervisor.wait_program("db", "unhealthy", |view| view["health"] == "unhealthy");
    assert_eq!(waits["ready"], false);
    let _listener = TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    supervisor.wait_program("db", "ready", |view| view["ready"] == true);
}

#[test]
fn a_command_that_hangs_and_forks_is_killed_as_a_tree_and_counts_as_failed() {
    let supervisor = Supervisor::running(&probed(
        "job",
        "readiness",
        r#"exec = ["sh", "-c", "test $JIKIMI_PROGRAM = job || exit 9; sleep 1000 & echo $! >> pids; setsid sh -c 'echo $$ >> pids; exec sleep 1000' & echo deep in thought; wait"]
"#,
    ));
    let waits = supervisor.wait_program("job", "unhealthy", |view| view["health"] == "unhealthy");
    let cause = waits["cause"].as_str().expect("why");
    assert!(
        cause.ends_with("exec sh failed 2 times: not done within 300ms: deep in thought"),
        "{cause}"
    );
    let pids = supervisor.wait_lines("pids", 4);
    for pid in &pids[..4] {
        wait_gone(pid.parse().expect("a pid"));
    }
}

#[test]
fn a_stop_in_the_midst_of_a_probe_waits_for_nobody_and_leaves_nothing() {
    let mut supervisor = Supervisor::marked(
        &probed(
            "job",
            "readiness",
            "exec = [\"sh\", \"-c\", \"echo $$ >> pids; sleep 1000\"]\ntimeout = \"1m\"",
        )
        .replace("timeout = \"300ms\"\n", ""),
    );
    let pids = supervisor.wait_lines("pids", 1);
    let pid = pids[0].parse().expect("a pid");
    assert!(is_alive(pid));
    let stop = supervisor.cli(&["stop", "job"]);
    assert!(stop.status.success());
    wait_gone(pid);
    assert_none(&supervisor, "program.unhealthy", "job");
    assert_eq!(supervisor.stop(), 0);
    supervisor.assert_nothing_left();
}

#[test]
fn fifty_programs_whose_targets_hang_delay_no_other_and_take_no_thread_each() {
    let page = Page::answering(HANG);
    let mut config = String::new();
    for i in 0..50 {
        config.push_str(&probed(
            &format!("hang-{i}"),
            "readiness",
            &format!("http = \"{}\"", page.url()),
        ));
    }
    config.push_str(&probed(
        "good",
        "readiness",
        "exec = [\"test\", \"-e\", \"flag\"]",
    ));
    let supervisor = Supervisor::running(&config);
    supervisor.write("flag", "");
    supervisor.wait_program("good", "ready", |view| view["ready"] == true);
    for _ in 0..3 {
        std::fs::remove_file(supervisor.file("flag")).expect("it is there");
        supervisor.wait_program("good", "not ready", |view| view["ready"] == false);
        supervisor.write("flag", "");
        supervisor.wait_program("good", "ready", |view| view["ready"] == true);
    }
    let threads = supervisor.status()["supervisor"]["threads"].as_u64();
    assert!(threads.is_some_and(|threads| threads < 40), "{threads:?}");
    for i in 0..50 {
        assert_eq!(supervisor.program(&format!("hang-{i}"))["restarts"], 0);
    }
}

#[test]
fn a_program_that_is_not_ready_in_time_has_failed_and_is_started_again() {
    let supervisor = Supervisor::running(
        &probed("web", "readiness", "exec = [\"test\", \"-e\", \"flag\"]")
            .replace("start_confirm", "start_timeout = \"500ms\"\nstart_confirm"),
    );
    let crashed = wait_event(&supervisor, "program.crashed", "web");
    assert_eq!(crashed["data"]["trigger"], "start_timeout");
    let cause = crashed["data"]["cause"].as_str().expect("why");
    assert!(cause.starts_with("not ready within 500ms"), "{cause}");
    supervisor.write("flag", "");
    let view = supervisor.wait_program("web", "ready", |view| view["ready"] == true);
    assert!(view["restarts"].as_u64() >= Some(1), "{view}");
}

#[test]
fn a_program_waits_until_what_it_needs_is_healthy_or_has_completed_and_says_so() {
    let mut config = probed("db", "readiness", "exec = [\"test\", \"-e\", \"db-is-up\"]");
    config.push_str(
        r#"
        [program.migrate]
        shell = true
        command = "while ! test -e go; do sleep 0.02; done"
        [program.web]
        command = ["sleep", "1d"]
        start_confirm = "20ms"
        depends_on = { db = "healthy" }
        [program.job]
        command = ["sleep", "1d"]
        start_confirm = "20ms"
        depends_on = { migrate = "completed", web = "healthy" }
        [program.last]
        command = ["sleep", "1d"]
        autostart = false
        depends_on = { broken = "completed" }
        [program.broken]
        command = ["false"]
        restart = "never"
        "#,
    );
    let supervisor = Supervisor::running(&config);
    supervisor.wait_program("web", "waiting", |view| {
        view["cause"] == "waits for db (healthy), which is running"
    });
    supervisor.write("db-is-up", "");
    // Without a readiness the confirmed start is what counts.
    supervisor.wait_program("web", "ready", |view| view["ready"] == true);
    supervisor.wait_program("job", "waiting", |view| {
        view["cause"] == "waits for migrate (completed), which is running"
    });
    supervisor.write("go", "");
    supervisor.wait_program("job", "ready", |view| view["ready"] == true);
    supervisor.wait_phase("broken", "exited");
    let start = supervisor.cli(&["start", "last"]);
    assert_eq!(start.status.code(), Some(1));
    let said = String::from_utf8_lossy(&start.stdout).into_owned()
        + &String::from_utf8_lossy(&start.stderr);
    assert!(
        said.contains("waits for broken (completed), which is exited"),
        "{said}"
    );
}

#[test]
fn what_is_to_be_restarted_with_its_dependency_is_and_in_order_and_nothing_else() {
    let supervisor = Supervisor::running(
        r#"
        [program.db]
        shell = true
        command = "echo db >> order; exec sleep 1d"
        start_confirm = "20ms"
        backoff = { initial = "20ms", max = "20ms" }
        [program.app]
        shell = true
        command = "echo app >> order; exec sleep 1d"
        start_confirm = "20ms"
        depends_on = { db = "healthy" }
        restart_with = true
        [program.web]
        shell = true
        command = "echo web >> order; exec sleep 1d"
        start_confirm = "20ms"
        depends_on = ["app"]
        restart_with = true
        [program.other]
        command = ["sleep", "1d"]
        start_confirm = "20ms"
        depends_on = ["db"]
        "#,
    );
    for name in ["web", "other"] {
        supervisor.wait_phase(name, "running");
    }
    let other = supervisor.program("other");
    crate::support::processes::kill(supervisor.pid_in("db", "running"));
    let order = supervisor.wait_lines("order", 6);
    assert_eq!(order, ["db", "app", "web", "db", "app", "web"]);
    supervisor.wait_phase("web", "running");
    for (name, cause) in [
        ("app", "db, which it needs, was started anew"),
        ("web", "app, which it needs, was started anew"),
    ] {
        let stopped = wait_event(&supervisor, "program.stopped", name);
        assert_eq!(stopped["data"]["trigger"], "dependency");
        assert_eq!(stopped["data"]["cause"], cause);
        // Nothing is held against them.
        assert_none(&supervisor, "program.crashed", name);
        assert_eq!(supervisor.program(name)["restarts"], 0);
    }
    assert_eq!(supervisor.program("other")["run"], other["run"]);
    let restart = supervisor.cli(&["restart", "db"]);
    assert!(restart.status.success());
    let order = supervisor.wait_lines("order", 9);
    assert_eq!(order[6..], ["db", "app", "web"]);
}
