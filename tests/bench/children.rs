//! The parts that this program plays as its own child: the program that says when it runs, the bare loop that
//! keeps such programs running, and the sampler whose system calls are counted.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::epoll;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use jikimi::clock;

/// `SOCKET TAG`: says its pid and the time to SOCKET as its first act, then a word to its output, and waits.
pub const SAYER: &str = "__sayer";
/// `SOCKET TAG COUNT`: keeps COUNT sayers running and does nothing else.
const BARE: &str = "__bare";

/// What this program is to do instead, if it was started as one of its parts.
pub fn part(name: &str) -> Option<fn(&[String])> {
    match name {
        SAYER => Some(say),
        BARE => Some(keep),
        crate::sampling::PART => Some(crate::sampling::rounds),
        _ => None,
    }
}

fn say(args: &[String]) {
    let now = clock::mono().nanos();
    let socket = UnixDatagram::unbound().expect("a socket");
    let word = format!("{} runs {} {now}", args[1], std::process::id());
    // Nobody listens any more: the benchmark has ended, and so does this.
    if socket.send_to(word.as_bytes(), &args[0]).is_err() {
        return;
    }
    println!("running");
    loop {
        std::thread::park();
    }
}

/// The bare loop: epoll on pidfds, a wait, a spawn. Nothing less brings a program back by event.
fn keep(args: &[String]) {
    let (socket, tag) = (PathBuf::from(&args[0]), args[1].clone());
    let count: u64 = args[2].parse().expect("a number");
    let voice = UnixDatagram::unbound().expect("a socket");
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
    let spawn = |place: u64| -> (Child, OwnedFd) {
        let child = sayer(&socket, &tag)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("our own program");
        let now = clock::mono().nanos();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("our child");
        let data = epoll::EventData::new_u64(place);
        epoll::add(&epoll, &pidfd, data, epoll::EventFlags::IN).expect("room for it");
        let word = format!("{tag} spawned {} {now}", child.id());
        // Without a listener it is over: see below.
        let _ = voice.send_to(word.as_bytes(), &socket);
        (child, pidfd)
    };
    let mut children: Vec<(Child, OwnedFd)> = (0..count).map(spawn).collect();
    let mut events = Vec::with_capacity(256);
    while socket.exists() {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None).expect("an event");
        for event in &events {
            let data = event.data;
            let place = usize::try_from(data.u64()).expect("a place");
            let (child, pidfd) = &mut children[place];
            epoll::delete(&epoll, &*pidfd).expect("it was added");
            child.wait().expect("our child");
            children[place] = spawn(data.u64());
        }
    }
    for (mut child, _) in children {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn sayer(socket: &Path, tag: &str) -> Command {
    let mut command = Command::new(exe());
    command.arg(SAYER).arg(socket).arg(tag);
    command
}

/// This program.
pub fn exe() -> PathBuf {
    std::env::current_exe().expect("we run from a file")
}

/// One word of a child.
pub struct Word {
    /// Whose.
    pub tag: String,
    /// `runs` or `spawned`.
    pub what: String,
    /// The child's pid.
    pub pid: u32,
    /// The monotonic clock in nanoseconds.
    pub at: u64,
}

/// The socket that children talk to.
pub struct Ears {
    dir: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Ears {
    /// Opens it.
    pub fn open() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = UnixDatagram::bind(dir.path().join("ears")).expect("a socket");
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("not zero");
        Self { dir, socket }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("ears")
    }

    /// The next word.
    pub fn hear(&self) -> Word {
        let mut bytes = [0; 256];
        let length = self
            .socket
            .recv(&mut bytes)
            .expect("a child says something");
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let mut words = text.split(' ').map(str::to_owned);
        let mut next = || words.next().expect("four words");
        Word {
            tag: next(),
            what: next(),
            pid: next().parse().expect("a pid"),
            at: next().parse().expect("a time"),
        }
    }

    /// The next word of `tag` that says it `what`; others are passed over.
    pub fn hear_of(&self, tag: &str, what: &str) -> Word {
        loop {
            let word = self.hear();
            if word.tag == tag && word.what == what {
                return word;
            }
        }
    }
}

/// A bare loop in a process of its own. Dropping it ends it with its children.
pub struct Bare {
    child: Child,
    ears: PathBuf,
}

impl Bare {
    /// One that keeps `count` sayers running.
    pub fn start(ears: &Ears, tag: &str, count: usize) -> Self {
        let child = Command::new(exe())
            .arg(BARE)
            .arg(ears.path())
            .arg(tag)
            .arg(count.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("our own program");
        Self {
            child,
            ears: ears.path(),
        }
    }

    /// Ends it, by way of the child `pid`, whose end wakes it.
    pub fn end(mut self, pid: u32) {
        // The loop looks for the socket whenever something woke it.
        let _ = std::fs::remove_file(&self.ears);
        kill(pid);
        let _ = self.child.wait();
    }
}

/// Kills `pid` and says when.
pub fn kill(pid: u32) -> u64 {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a pid");
    let now = clock::mono().nanos();
    let _ = kill_process(pid, Signal::KILL);
    now
}

/// A configuration of `count` programs `p0`, `p1`, … that say to `ears` that they run, restarted at once
/// whenever they end, with everything on: routes to `hook`, output, a sample every second.
pub fn supervised(ears: &Ears, tag: &str, count: usize, hook: &str) -> String {
    let mut config = format!(
        r#"
[supervisor]
state_dir = "state"
[metrics]
interval = "1s"
[target.hook]
kind = "webhook"
url = "{hook}"
[[route]]
min_severity = "info"
targets = ["hook"]
"#
    );
    for number in 0..count {
        write!(
            config,
            r#"
[program.p{number}]
command = ["{}", "{SAYER}", "{}", "{tag}"]
restart = "always"
backoff = {{ initial = "0s", max = "0s", jitter = 0.0 }}
restart_limit = {{ count = 1000000, within = "60s" }}
"#,
            exe().display(),
            ears.path().display(),
        )
        .expect("memory takes it");
    }
    config
}
