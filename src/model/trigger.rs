//! Why a run is ended that nobody stopped by hand and that did not end by itself.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! triggers {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What made the supervisor end a run and start the program again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Trigger { $($(#[$doc])* $name,)* }

        impl Trigger {
            /// Every one there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its word in events.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

triggers! {
    /// A liveness probe failed.
    Liveness = "liveness";
    /// The program did not report to its watchdog in time.
    Watchdog = "watchdog";
    /// It wrote nothing for too long.
    LogSilence = "log_silence";
    /// It was not ready in time.
    StartTimeout = "start_timeout";
    /// It said that it ends, and did not in time.
    StopTimeout = "stop_timeout";
    /// A rule about its figures.
    Rule = "rule";
    /// It had run as long as it may.
    MaxRuntime = "max_runtime";
    /// The time of a planned restart.
    Schedule = "schedule";
    /// Something it depends on was started anew.
    Dependency = "dependency";
    /// Its configuration changed.
    Reload = "reload";
    /// A file it is to be restarted for changed.
    Watch = "watch";
}

impl Trigger {
    /// Whether a planned restart for this reason has to wait as one after a failure does, and counts against the
    /// restart limit: what brought it about may come again at once, and would for ever.
    #[must_use]
    pub const fn is_counted(self) -> bool {
        matches!(self, Self::Rule)
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The wish to end a run and start its program again, by somebody who is no person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// What kind of reason.
    pub trigger: Trigger,
    /// The reason in words, for people: `GET http://127.0.0.1:8080/ failed 3 times: 503`.
    pub cause: String,
    /// The run has failed, however it then ends: backoff and restart limit count it. Otherwise the program is
    /// started anew at once, and nothing is held against it.
    pub is_failure: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_in_json_are_those_for_people() {
        for trigger in Trigger::ALL {
            let json = serde_json::to_string(trigger).expect("a word");
            assert_eq!(json, format!("\"{trigger}\""));
        }
    }
}
