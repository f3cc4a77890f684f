//! A pseudo-terminal with a person before it.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::Winsize;

use super::wait_for;

/// The person's side of a pseudo-terminal. Unless it is asked nobody reads it, and it fills up.
pub struct Screen {
    master: OwnedFd,
    slave: PathBuf,
    shown: Vec<u8>,
}

impl Screen {
    /// A new one.
    pub fn open() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a pseudo-terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        rustix::io::ioctl_fionbio(&master, true).expect("it can be asked without waiting");
        Self {
            master,
            slave: PathBuf::from(name.to_str().expect("a plain path")),
            shown: Vec::new(),
        }
    }

    /// The programs' side of it.
    pub fn slave(&self) -> OwnedFd {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::open(&self.slave, flags, Mode::empty()).expect("its other side")
    }

    /// Presses a key.
    pub fn press(&self, key: u8) {
        let written = rustix::io::write(&self.master, &[key]).expect("the terminal takes a key");
        assert_eq!(written, 1);
    }

    /// Presses many keys, as fast as they are taken.
    pub fn paste(&self, keys: &[u8]) {
        let mut left = keys;
        wait_for("the keys to be taken", || {
            while let Ok(taken) = rustix::io::write(&self.master, left) {
                left = &left[taken..];
                if left.is_empty() {
                    return Ok(());
                }
            }
            Err(format!("{} bytes are left", left.len()))
        });
    }

    /// Has it another size, of which the kernel tells who has it.
    pub fn resize(&self, ws_row: u16, ws_col: u16) {
        let size = Winsize {
            ws_row,
            ws_col,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(self.slave(), size).expect("a terminal");
    }

    /// All that has been shown so far.
    pub fn look(&mut self) -> String {
        let mut bytes = [0; 4096];
        // EIO: nobody has the other side open any more.
        while let Ok(n) = rustix::io::read(&self.master, &mut bytes) {
            if n == 0 {
                break;
            }
            self.shown.extend_from_slice(&bytes[..n]);
        }
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// Waits until `text` has been shown.
    pub fn wait(&mut self, text: &str) -> String {
        wait_for(&format!("{text:?} on the screen"), || {
            let shown = self.look();
            if shown.contains(text) {
                Ok(shown)
            } else {
                Err(shown)
            }
        })
    }
}

/// `command`, leading a session of its own whose terminal is `screen`, on all three standard streams.
pub fn at_terminal(screen: &Screen, command: &Command) -> Command {
    let mut at = Command::new("setsid");
    // Who started the tests in the background ignores what a key at a terminal sends.
    at.args(["--ctty", "env", "--default-signal=INT,QUIT"])
        .arg(command.get_program());
    at.args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        at.current_dir(dir);
    }
    at.env_remove("NO_COLOR");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => at.env(name, value),
            None => at.env_remove(name),
        };
    }
    at.stdin(screen.slave())
        .stdout(screen.slave())
        .stderr(screen.slave());
    at
}
