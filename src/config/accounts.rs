//! The machine's databases of users and groups, and whether we may become one of them. Only looks things up.

use std::ffi::OsString;
use std::path::PathBuf;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

use crate::model::os::Account;

/// A user as the machine knows it.
pub(super) struct Found {
    pub(super) account: Account,
    /// What the database says beyond its number; none for a number without an entry.
    pub(super) entry: Option<Entry>,
}

/// The rest of a user's entry.
pub(super) struct Entry {
    /// Its first group.
    pub(super) gid: u32,
    pub(super) home: PathBuf,
    pub(super) shell: PathBuf,
}

impl Entry {
    /// What a login would set, for a program that runs as `name`.
    pub(super) fn variables(&self, name: &str) -> [(&'static str, OsString); 4] {
        [
            ("HOME", self.home.clone().into()),
            ("USER", name.into()),
            ("LOGNAME", name.into()),
            ("SHELL", self.shell.clone().into()),
        ]
    }
}

/// The user called `word`, or of that number. None when there is no such name.
pub(super) fn user(word: &str) -> Option<Found> {
    // A database that cannot be asked knows nobody: the fault then names who is missed.
    let by_name = User::from_name(word).ok().flatten();
    if let Some(user) = by_name {
        return Some(found(user));
    }
    let id = number(word)?;
    let user = User::from_uid(Uid::from_raw(id)).ok().flatten();
    Some(user.map_or_else(|| nameless(id), found))
}

/// The group called `word`, or of that number.
pub(super) fn group(word: &str) -> Option<Account> {
    let by_name = Group::from_name(word).ok().flatten();
    let account = |group: Group| Account {
        name: group.name,
        id: group.gid.as_raw(),
    };
    if let Some(group) = by_name {
        return Some(account(group));
    }
    let id = number(word)?;
    Some(group_of(id))
}

/// The group of that number, by its name if it has one.
pub(super) fn group_of(id: u32) -> Account {
    let group = Group::from_gid(Gid::from_raw(id)).ok().flatten();
    Account {
        name: group.map_or_else(|| id.to_string(), |group| group.name),
        id,
    }
}

/// Our own user and group.
pub(super) fn own() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

/// Whether this process may become somebody else, as root may outside of narrow containers.
pub(super) fn may_become_others() -> bool {
    use rustix::thread::{CapabilitySet, capabilities};
    let wanted = CapabilitySet::SETUID | CapabilitySet::SETGID;
    capabilities(None).map_or_else(
        |_| geteuid().is_root(),
        |sets| sets.effective.contains(wanted),
    )
}

/// The last number means "nobody at all" to the kernel.
fn number(word: &str) -> Option<u32> {
    word.parse().ok().filter(|id| *id != u32::MAX)
}

fn found(user: User) -> Found {
    Found {
        account: Account {
            name: user.name,
            id: user.uid.as_raw(),
        },
        entry: Some(Entry {
            gid: user.gid.as_raw(),
            home: user.dir,
            shell: user.shell,
        }),
    }
}

fn nameless(id: u32) -> Found {
    Found {
        account: Account {
            name: id.to_string(),
            id,
        },
        entry: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_known_by_name_and_by_number() {
        let root = user("root").expect("every machine has one");
        assert_eq!(root.account.id, 0);
        assert!(root.entry.is_some());
        assert_eq!(user("0").map(|f| f.account.name).as_deref(), Some("root"));
        assert_eq!(group("0").map(|g| g.name), group("root").map(|g| g.name));
        assert!(user("no such user").is_none() && group("no such group").is_none());
        assert!(user("4294967295").is_none(), "the kernel's word for nobody");
        let nameless = user("3999999999").expect("any number may own a process");
        assert!(nameless.entry.is_none() && nameless.account.name == "3999999999");
    }
}
