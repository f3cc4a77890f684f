//! Programs that nobody here wrote, with their plain command lines: they answer real requests, are killed, come
//! back, and leave nothing behind. Where one is not installed its test says that it was skipped; with
//! `JIKIMI_TEST_REQUIRE_REAL=1` that is a failure.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::receiver::Receiver;
use crate::support::supervisor::Supervisor;
use crate::support::wait_for;

/// The program `name`, or nothing where it is not installed.
fn installed(name: &str) -> Option<PathBuf> {
    // Servers are often in the administrator's folders, which an ordinary PATH lacks.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin:/usr/local/sbin";
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        let required = std::env::var_os("JIKIMI_TEST_REQUIRE_REAL").is_some_and(|v| v == "1");
        assert!(!required, "{name} is not installed, and must be");
        println!("skipped: {name} is not installed");
    }
    found
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// Sends `request` and returns what comes until the other side closes or `enough` says so.
fn ask(port: u16, request: &str, enough: impl Fn(&str) -> bool) -> Result<String, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.to_string())?;
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).expect("a live socket");
    stream
        .write_all(request.as_bytes())
        .map_err(|e| e.to_string())?;
    let mut text = String::new();
    let mut chunk = [0; 1024];
    while !enough(&text) {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => text.push_str(&String::from_utf8_lossy(&chunk[..count])),
            Err(error) => return Err(format!("{error} after {text:?}")),
        }
    }
    Ok(text)
}

fn get(port: u16, path: &str) -> Result<String, String> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    ask(port, &request, |_| false)
}

/// Waits until a request for `path` is answered with `wanted`.
fn wait_page(port: u16, path: &str, wanted: &str) {
    wait_for(&format!("{path} from port {port}"), || {
        let page = get(port, path)?;
        if page.contains(" 200 ") && page.contains(wanted) {
            Ok(())
        } else {
            Err(page)
        }
    });
}

/// `command` as a program called `name`, its crashes told to `receiver`.
fn config(name: &str, command: &[&str], more: &str, receiver: &Receiver) -> String {
    let command: Vec<String> = command.iter().map(|word| format!("{word:?}")).collect();
    format!(
        "[program.{name}]\ncommand = [{}]\nbackoff = {{ initial = \"50ms\" }}\nrecover_after = \"200ms\"\n{more}\n\
         [target.hook]\nkind = \"webhook\"\nurl = \"{}\"\n[[route]]\nmin_severity = \"info\"\ntargets = [\"hook\"]\n",
        command.join(", "),
        receiver.url("/"),
    )
}

fn pid_of(view: &Value) -> i32 {
    let pid = view["pid"].as_i64().expect("it runs");
    i32::try_from(pid).expect("a pid")
}

fn kill_9(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
}

/// Kills the main process, and waits for its successor and for the word of both ends of the incident.
fn kill_and_wait_for_the_next(supervisor: &Supervisor, name: &str, receiver: &Receiver) -> Value {
    let before = supervisor.wait_phase(name, "running");
    kill_9(pid_of(&before));
    let after = supervisor.wait_program(name, "running again", |view| {
        view["phase"] == "running" && view["pid"] != before["pid"]
    });
    assert_eq!(after["restarts"], 1, "{after}");
    let crash = receiver.wait_type("program.crashed", name).json();
    assert_eq!(crash["data"]["exit"]["signal"], "SIGKILL", "{crash}");
    assert_eq!(crash["data"]["pid"], before["pid"], "{crash}");
    assert_eq!(crash["data"]["incident"]["state"], "open", "{crash}");
    let recovery = receiver.wait_type("program.recovered", name).json();
    assert_eq!(
        recovery["data"]["incident"]["id"], crash["data"]["incident"]["id"],
        "{recovery}"
    );
    after
}

/// Processes whose command line names `mark`, or that stand in its folder: also those that left their group,
/// their session and their environment behind.
fn processes_of(mark: &Path) -> Vec<String> {
    let mark = mark.to_str().expect("a temporary folder is text");
    let entries = std::fs::read_dir("/proc").expect("it is Linux");
    let pids = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
    pids.filter(|pid| pid.parse::<u32>().is_ok())
        .filter_map(|pid| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            (words.contains(mark) || folder.starts_with(mark)).then(|| format!("{pid} {words}"))
        })
        .collect()
}

/// Stops the supervisor and looks for what is left of it and of its programs.
fn stop_cleanly(mut supervisor: Supervisor) {
    assert_eq!(supervisor.stop(), 0, "{}", supervisor.output().1);
    // The holder ends with the supervisor, of its own; everything else is gone before it.
    wait_for("nothing to be left", || {
        let left = processes_of(supervisor.path());
        left.is_empty().then_some(()).ok_or(left.join("\n"))
    });
}

#[test]
fn redis_is_killed_and_back_with_what_it_kept() {
    let Some(redis) = installed("redis-server") else {
        return;
    };
    let (receiver, port) = (Receiver::start(), free_port());
    let port_word = port.to_string();
    let command = [
        redis.to_str().expect("a path"),
        "--port",
        &port_word,
        "--bind",
        "127.0.0.1",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ];
    let supervisor = Supervisor::running(&config("cache", &command, "", &receiver));
    let line = |request: &str| {
        let request = format!("{request}\r\n");
        ask(port, &request, |text| text.ends_with("\r\n"))
    };
    let wait_line = |request: &str, wanted: &str| {
        wait_for(request, || {
            let answer = line(request)?;
            if answer.contains(wanted) {
                Ok(())
            } else {
                Err(answer)
            }
        });
    };
    wait_line("PING", "+PONG");
    wait_line("SET keeper jikimi", "+OK");
    kill_and_wait_for_the_next(&supervisor, "cache", &receiver);
    // `$6` and the value; while redis still loads its file it says LOADING.
    wait_line("STRLEN keeper", ":6");
    wait_for("the output of both runs", || {
        let log = supervisor.read(".jikimi/logs/cache/out.log");
        let starts = log.matches("Ready to accept connections").count();
        (starts == 2).then_some(()).ok_or(log)
    });
    stop_cleanly(supervisor);
}

#[test]
fn a_python_web_server_is_killed_and_back_on_its_port() {
    let Some(python) = installed("python3") else {
        return;
    };
    let (receiver, port) = (Receiver::start(), free_port());
    let port_word = port.to_string();
    let command = [
        python.to_str().expect("a path"),
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        &port_word,
    ];
    let supervisor =
        Supervisor::configured(&config("web", &command, "directory = \"www\"", &receiver));
    supervisor.write("www/page.txt", "kept by jikimi");
    let mut supervisor = supervisor;
    supervisor.start();
    wait_page(port, "/page.txt", "kept by jikimi");
    kill_and_wait_for_the_next(&supervisor, "web", &receiver);
    wait_page(port, "/page.txt", "kept by jikimi");
    // Its log of requests is on standard error.
    wait_for("the request in its log", || {
        let log = supervisor.read(".jikimi/logs/web/err.log");
        log.contains("GET /page.txt").then_some(()).ok_or(log)
    });
    stop_cleanly(supervisor);
}

/// A directory with all that nginx needs, and its configuration with `daemon` on or off.
fn nginx_place(port: u16, daemon: &str) -> Supervisor {
    let place = Supervisor::configured("");
    place.write("www/index.html", "kept by jikimi");
    place.write("logs/.keep", "");
    place.write(
        "nginx.conf",
        &format!(
            "daemon {daemon};\nworker_processes 2;\npid nginx.pid;\nerror_log stderr;\nevents {{ worker_connections 64; }}\n\
             http {{\n access_log off;\n client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;\n\
             uwsgi_temp_path t4; scgi_temp_path t5;\n server {{ listen 127.0.0.1:{port}; root www; }}\n}}\n"
        ),
    );
    place
}

fn nginx_command(nginx: &Path, place: &Supervisor) -> Vec<String> {
    let words = [
        nginx.to_str().expect("a path"),
        "-p",
        place.path().to_str().expect("a path"),
        "-c",
        "nginx.conf",
    ];
    words.map(str::to_owned).to_vec()
}

#[test]
fn nginx_is_killed_and_back_though_its_workers_held_the_port() {
    let Some(nginx) = installed("nginx") else {
        return;
    };
    let (receiver, port) = (Receiver::start(), free_port());
    let mut supervisor = nginx_place(port, "off");
    let command = nginx_command(&nginx, &supervisor);
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let often = "metrics.interval = \"100ms\"";
    supervisor.write("jikimi.toml", &config("nginx", &words, often, &receiver));
    supervisor.start();
    wait_page(port, "/", "kept by jikimi");
    let before = supervisor.wait_program("nginx", "measured as a tree", |view| {
        // The master and its workers.
        view["processes"].as_u64() >= Some(3)
    });
    // The workers live on when their master is killed, and nginx overwrites the environment of its processes:
    // they must be found all the same, and ended, for they have the port.
    kill_and_wait_for_the_next(&supervisor, "nginx", &receiver);
    wait_page(port, "/", "kept by jikimi");
    let strangers: Vec<String> = processes_of(supervisor.path())
        .into_iter()
        .filter(|p| p.contains("nginx: worker"))
        .filter(|p| {
            let pid = p.split(' ').next().unwrap_or_default();
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat
                .rsplit(')')
                .next()
                .and_then(|s| s.split_whitespace().nth(1));
            parent == Some(before["pid"].to_string().as_str())
        })
        .collect();
    assert_eq!(strangers, Vec::<String>::new());
    let crashes = supervisor.events_of("program.crashed", "nginx");
    assert_eq!(crashes.len(), 1, "the next start had the port: {crashes:?}");
    stop_cleanly(supervisor);
}

#[test]
fn an_nginx_that_made_itself_a_daemon_is_ended_with_its_program() {
    let Some(nginx) = installed("nginx") else {
        return;
    };
    let (receiver, port) = (Receiver::start(), free_port());
    let mut supervisor = nginx_place(port, "on");
    let command = nginx_command(&nginx, &supervisor);
    // The shell stays, as a start script does that waits for something; nginx leaves it, its group and its session,
    // and its title is where its environment was.
    let script = format!("{} & wait; sleep 1000", command.join(" "));
    let words = ["/bin/sh", "-c", &script];
    supervisor.write("jikimi.toml", &config("nginx", &words, "", &receiver));
    supervisor.start();
    wait_page(port, "/", "kept by jikimi");
    let is_daemon = |p: &String| p.contains("nginx: master");
    assert!(processes_of(supervisor.path()).iter().any(is_daemon));
    let stop = supervisor.cli(&["stop", "nginx"]);
    assert!(stop.status.success(), "{stop:?}");
    assert!(get(port, "/").is_err(), "somebody still has the port");
    stop_cleanly(supervisor);
}
