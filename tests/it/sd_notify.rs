//! What systemd hears of a supervisor that it started, over a socket that stands in for it, and the example unit.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::Duration;

use crate::support::supervisor::{BINARY, Supervisor};
use crate::support::wait_for;

const ONE: &str = "[program.web]\ncommand = [\"sleep\", \"1d\"]\n";

/// Stands in for systemd.
struct Ear {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Ear {
    fn new(socket: UnixDatagram) -> Self {
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("a socket of ours");
        Self {
            socket,
            heard: Vec::new(),
        }
    }

    /// Waits until a line passes `is_it` that came after the first `from` lines; says how many have come by then.
    fn wait(&mut self, what: &str, from: usize, is_it: impl Fn(&str) -> bool) -> usize {
        wait_for(what, || {
            if let Some(at) = self.heard.iter().skip(from).position(|l| is_it(l)) {
                return Ok(from + at + 1);
            }
            let mut bytes = [0; 4096];
            if let Ok(length) = self.socket.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                self.heard.extend(text.lines().map(str::to_owned));
            }
            Err(self.heard.join("\n"))
        })
    }

    fn wait_word(&mut self, word: &str, from: usize) -> usize {
        self.wait(word, from, |line| line == word)
    }
}

fn start(place: &mut Supervisor, address: &str, watchdog_ms: u64) {
    let micros = (watchdog_ms * 1_000).to_string();
    place.spawn_with(
        &["run"],
        &[("NOTIFY_SOCKET", address), ("WATCHDOG_USEC", &micros)],
    );
}

#[test]
fn systemd_hears_of_start_life_reload_and_end() {
    let mut place = Supervisor::configured(ONE);
    let path = place.file("systemd.sock");
    let mut ear = Ear::new(UnixDatagram::bind(&path).expect("a socket"));
    start(&mut place, &path.display().to_string(), 2_000);
    let ready = ear.wait_word("READY=1", 0);
    let alive = ear.wait_word("WATCHDOG=1", 0);
    ear.wait_word("WATCHDOG=1", alive);
    ear.wait_word("STATUS=1 of 1 programs that are to be up are up", 0);
    wait_for("the supervisor to answer", || place.try_status().map(drop));
    assert_eq!(place.cli(&["reload"]).status.code(), Some(0));
    let reloading = ear.wait_word("RELOADING=1", ready);
    let stamped = ear.wait("its time", reloading, |l| l.starts_with("MONOTONIC_USEC="));
    let ready = ear.wait_word("READY=1", stamped);
    place.write("jikimi.toml", "[program.web]\n");
    assert_eq!(place.cli(&["reload"]).status.code(), Some(3));
    let reloading = ear.wait_word("RELOADING=1", ready);
    ear.wait_word("READY=1", reloading);
    assert_eq!(place.cli(&["shutdown"]).status.code(), Some(0));
    ear.wait_word("STOPPING=1", 0);
    place.wait();
}

#[test]
fn systemd_hears_it_over_a_name_without_a_file() {
    let mut place = Supervisor::configured(ONE);
    let name = format!("jikimi-test{}", place.path().display());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let mut ear = Ear::new(UnixDatagram::bind_addr(&address).expect("a socket"));
    start(&mut place, &format!("@{name}"), 1_000);
    ear.wait_word("READY=1", 0);
    ear.wait_word("WATCHDOG=1", 0);
}

#[test]
fn programs_do_not_see_the_socket_of_systemd() {
    let mut place = Supervisor::configured(
        "[program.web]\ncommand = \"echo \\\"[$NOTIFY_SOCKET$WATCHDOG_USEC]\\\" > seen; exec sleep 1d\"\nshell = true\n",
    );
    let path = place.file("systemd.sock");
    let _ear = Ear::new(UnixDatagram::bind(&path).expect("a socket"));
    start(&mut place, &path.display().to_string(), 60_000);
    wait_for("what the program sees", || match place.read("seen") {
        text if text == "[]\n" => Ok(()),
        text => Err(text),
    });
}

#[test]
fn nobody_at_the_other_end_is_no_trouble() {
    let mut place = Supervisor::configured(ONE);
    for address in ["/nowhere/at/all", "vsock:1:2", "@nobody-is-here"] {
        start(&mut place, address, 1_000);
        wait_for("the supervisor to answer", || place.try_status().map(drop));
        assert_eq!(place.cli(&["shutdown"]).status.code(), Some(0));
        assert!(place.wait().success(), "{address}");
    }
}

#[test]
fn the_example_unit_is_one_that_systemd_takes() {
    let unit = include_str!("../../config/jikimi.service");
    for line in [
        "Type=notify",
        "KillMode=process",
        "Restart=always",
        "WatchdogSec=30s",
        "TimeoutStopSec=90s",
    ] {
        assert!(unit.lines().any(|l| l == line), "{line}");
    }
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        return;
    };
    if !version.status.success() {
        return;
    }
    let place = Supervisor::configured("");
    place.write(
        "jikimi.service",
        &unit.replace("/usr/local/bin/jikimi", BINARY),
    );
    let checked = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(place.file("jikimi.service"))
        .output()
        .expect("it is there");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    let about_ours: Vec<&str> = said
        .lines()
        .filter(|l| l.contains("jikimi.service"))
        .collect();
    assert!(about_ours.is_empty(), "{said}");
}
