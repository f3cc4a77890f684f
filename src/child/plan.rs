//! What the re-exec of our own binary is told and what it answers, as bytes. Pure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use crate::model::os::{Account, Identity, LIMIT_NAMES, Limit, OsSettings};

/// Everything the new program needs, its environment among it: that must not be the environment of a process that
/// is still privileged, where `LD_PRELOAD` from a file of the user's would be code of the user's run by root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub os: OsSettings,
    pub directory: PathBuf,
    /// As configured; looked up with the user's rights.
    pub command: OsString,
    pub argv: Vec<OsString>,
    /// `NAME=value`.
    pub environment: Vec<OsString>,
    /// Its standard input is a terminal, which is to be that of its session.
    pub has_terminal: bool,
}

impl Plan {
    /// Entries of a letter and a text, each closed by a NUL, which no part of a command can hold.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut put = |letter: u8, text: &[u8]| {
            out.push(letter);
            out.extend_from_slice(text);
            out.push(0);
        };
        if self.os.new_session {
            put(b's', b"");
        }
        if self.has_terminal {
            put(b't', b"");
        }
        for limit in &self.os.limits {
            let [soft, hard] = [limit.soft, limit.hard].map(|bound| bound.unwrap_or(u64::MAX));
            put(b'l', format!("{soft}:{hard}:{}", limit.name).as_bytes());
        }
        if let Some(nice) = self.os.nice {
            put(b'n', nice.to_string().as_bytes());
        }
        if let Some(umask) = self.os.umask {
            put(b'm', umask.to_string().as_bytes());
        }
        if let Some(identity) = &self.os.identity {
            let Account { name, id } = &identity.group;
            put(b'g', format!("{id}:{name}").as_bytes());
            for group in &identity.further {
                put(b'x', group.to_string().as_bytes());
            }
            if let Some(Account { name, id }) = &identity.user {
                put(b'u', format!("{id}:{name}").as_bytes());
            }
        }
        put(b'd', self.directory.as_os_str().as_bytes());
        put(b'c', self.command.as_bytes());
        for argument in &self.argv {
            put(b'a', argument.as_bytes());
        }
        for variable in &self.environment {
            put(b'e', variable.as_bytes());
        }
        out
    }

    /// The other way. None for anything that [`Plan::encode`] does not write.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut plan = Self::default();
        let body = bytes.strip_suffix(&[0])?;
        for entry in body.split(|byte| *byte == 0) {
            let (letter, text) = entry.split_first()?;
            plan.take(*letter, text)?;
        }
        (!plan.argv.is_empty()).then_some(plan)
    }

    fn take(&mut self, letter: u8, text: &[u8]) -> Option<()> {
        let owned = || OsString::from_vec(text.to_vec());
        match letter {
            b's' => self.os.new_session = true,
            b't' => self.has_terminal = true,
            b'l' => self.os.limits.push(limit(text)?),
            b'n' => self.os.nice = Some(number(text)?),
            b'm' => self.os.umask = Some(number(text)?),
            b'g' => {
                self.os.identity = Some(Identity {
                    user: None,
                    group: account(text)?,
                    further: Vec::new(),
                });
            }
            b'x' => self.os.identity.as_mut()?.further.push(number(text)?),
            b'u' => self.os.identity.as_mut()?.user = Some(account(text)?),
            b'd' => self.directory = owned().into(),
            b'c' => self.command = owned(),
            b'a' => self.argv.push(owned()),
            b'e' => self.environment.push(owned()),
            _ => return None,
        }
        Some(())
    }

    /// The value of a variable.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.iter().find_map(|variable| {
            let rest = variable.as_bytes().strip_prefix(name.as_bytes())?;
            rest.strip_prefix(b"=").map(OsStr::from_bytes)
        })
    }
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn account(text: &[u8]) -> Option<Account> {
    let (id, name) = std::str::from_utf8(text).ok()?.split_once(':')?;
    Some(Account {
        name: name.to_owned(),
        id: id.parse().ok()?,
    })
}

fn limit(text: &[u8]) -> Option<Limit> {
    let mut parts = std::str::from_utf8(text).ok()?.splitn(3, ':');
    let mut bound = || -> Option<Option<u64>> {
        let number: u64 = parts.next()?.parse().ok()?;
        Some((number != u64::MAX).then_some(number))
    };
    let (soft, hard) = (bound()?, bound()?);
    let name = parts.next()?;
    Some(Limit {
        name: LIMIT_NAMES.iter().find(|known| **known == name)?,
        soft,
        hard,
    })
}

/// What could not be done before the program began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Plan,
    Session,
    /// The limit at this place of the plan.
    Limit(u8),
    Nice,
    Groups,
    Group,
    User,
    /// Root, or a right of root's, could be had back.
    Regained,
    Directory,
    NotFound,
    NotExecutable,
    Execute,
    Terminal,
}

const STEPS: [Step; 12] = [
    Step::Plan,
    Step::Session,
    Step::Nice,
    Step::Groups,
    Step::Group,
    Step::User,
    Step::Regained,
    Step::Directory,
    Step::NotFound,
    Step::NotExecutable,
    Step::Execute,
    Step::Terminal,
];

/// Which step, and the kernel's word on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub step: Step,
    pub errno: i32,
}

/// The bytes of a refusal.
pub(super) const REFUSAL_BYTES: usize = 6;

impl Refusal {
    pub(super) fn encode(self) -> [u8; REFUSAL_BYTES] {
        let [a, b, c, d] = self.errno.to_le_bytes();
        let place = STEPS.iter().position(|step| *step == self.step);
        let (kind, index) = match (self.step, place.and_then(|place| u8::try_from(place).ok())) {
            (Step::Limit(index), _) => (u8::MAX, index),
            (_, Some(place)) => (place, 0),
            (_, None) => (0, 0),
        };
        [kind, index, a, b, c, d]
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let [kind, index, errno @ ..]: [u8; REFUSAL_BYTES] = bytes.try_into().ok()?;
        let step = match kind {
            u8::MAX => Step::Limit(index),
            kind => *STEPS.get(usize::from(kind))?,
        };
        Some(Self {
            step,
            errno: i32::from_le_bytes(errno),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let account = |name: &str, id| Account {
            name: name.to_owned(),
            id,
        };
        Plan {
            os: OsSettings {
                identity: Some(Identity {
                    user: Some(account("w:w", 33)),
                    group: account("www", 34),
                    further: vec![4, 5],
                }),
                umask: Some(0o27),
                nice: Some(-3),
                limits: vec![Limit {
                    name: "core",
                    soft: Some(0),
                    hard: None,
                }],
                new_session: true,
            },
            directory: "/srv/웹".into(),
            command: "serve".into(),
            argv: vec!["serve".into(), String::new().into(), "a\nb".into()],
            environment: vec!["PATHS=/x".into(), "PATH=/bin:/usr/bin".into()],
            has_terminal: true,
        }
    }

    #[test]
    fn a_plan_is_read_as_it_was_written_and_nothing_else_is_one() {
        let plan = plan();
        assert_eq!(Plan::decode(&plan.encode()), Some(plan.clone()));
        assert_eq!(plan.variable("PATH"), Some(OsStr::new("/bin:/usr/bin")));
        let whole = plan.encode();
        assert_eq!(Plan::decode(&whole[..whole.len() - 1]), None, "torn");
        for nonsense in [&b""[..], b"\0", b"z\0", b"nx\0as\0", b"u1:x\0as\0", b"s\0"] {
            assert_eq!(Plan::decode(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn every_refusal_arrives_as_it_was_sent() {
        for step in STEPS.into_iter().chain([Step::Limit(0), Step::Limit(14)]) {
            let refusal = Refusal { step, errno: -7 };
            assert_eq!(Refusal::decode(&refusal.encode()), Some(refusal));
        }
        assert_eq!(Refusal::decode(&[99, 0, 0, 0, 0, 0]), None);
        assert_eq!(Refusal::decode(&[]), None);
    }
}
