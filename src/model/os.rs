//! What a program wants of the operating system beyond a plain spawn: who it runs as, its mask, its priority, its
//! limits, its session. Only facts; [`crate::child`] sets them.

/// The settings of one program. The default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OsSettings {
    /// Whom it becomes; none: it stays who we are.
    pub identity: Option<Identity>,
    /// The file mode mask, `0o000` to `0o777`.
    pub umask: Option<u32>,
    /// The scheduling priority, -20 to 19.
    pub nice: Option<i32>,
    /// Resource limits, each name once.
    pub limits: Vec<Limit>,
    /// Whether it leads a session of its own.
    pub new_session: bool,
}

impl OsSettings {
    /// Whether it asks for nothing: such a program is spawned directly.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The keys it has from, with their values as text; those that ask for nothing are left out.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, String)> {
        let identity = self.identity.as_ref();
        let user = identity.and_then(|identity| identity.user.as_ref());
        let further = identity.map(|identity| &identity.further);
        let parts = [
            ("user", user.map(|user| user.id.to_string())),
            (
                "group",
                identity.map(|identity| identity.group.id.to_string()),
            ),
            (
                "supplementary_groups",
                further.filter(|f| !f.is_empty()).map(|f| format!("{f:?}")),
            ),
            ("umask", self.umask.map(|umask| format!("{umask:03o}"))),
            ("nice", self.nice.map(|nice| nice.to_string())),
            (
                "rlimits",
                (!self.limits.is_empty()).then(|| format!("{:?}", self.limits)),
            ),
            ("new_session", self.new_session.then(|| "true".to_owned())),
        ];
        let parts = parts.into_iter();
        parts
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }

    /// The user its pipes belong to, when that is not ours.
    #[must_use]
    pub fn owner(&self) -> Option<u32> {
        let user = self.identity.as_ref()?.user.as_ref()?;
        Some(user.id)
    }
}

/// Whom a program becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user; none: it stays, and so do its groups but the first.
    pub user: Option<Account>,
    /// The group.
    pub group: Account,
    /// Groups besides those that the user is in.
    pub further: Vec<u32>,
}

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name; its number as text when the machine knows no name for it.
    pub name: String,
    /// Its number.
    pub id: u32,
}

/// A resource limit; none is "unlimited".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// One of [`LIMIT_NAMES`].
    pub name: &'static str,
    /// What the kernel enforces.
    pub soft: Option<u64>,
    /// How far the program may raise it.
    pub hard: Option<u64>,
}

/// The limits of `setrlimit(2)`, without their `RLIMIT_` and small. `locks`, which Linux enforces nowhere, is ours
/// to mark runs with.
pub const LIMIT_NAMES: [&str; 15] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_that_asks_for_something_is_not_plain() {
        assert!(OsSettings::default().is_plain());
        let settings = OsSettings {
            umask: Some(0),
            ..OsSettings::default()
        };
        assert!(!settings.is_plain());
        assert_eq!(settings.parts(), [("umask", "000".to_owned())]);
        assert!(OsSettings::default().parts().is_empty());
        assert_eq!(settings.owner(), None);
    }
}
