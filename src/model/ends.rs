//! Which ends of a run are no failure, and which forbid another run. Pure.

use super::event::Exit;
use super::program::Signal;

/// What a program says of its own ends, besides `success_exit_codes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndPolicy {
    /// Ends by these signals are no failure.
    pub success_signals: Vec<Signal>,
    /// After an exit with one of these codes no run follows.
    pub no_restart_exit_codes: Vec<i32>,
    /// After an end by one of these signals no run follows.
    pub no_restart_signals: Vec<Signal>,
}

impl EndPolicy {
    /// Why no run may follow `exit`, when that is so: `not restarted, by no_restart_exit_codes`.
    #[must_use]
    pub fn forbids(&self, exit: &Exit) -> Option<&'static str> {
        match exit {
            Exit::Code(code) => self
                .no_restart_exit_codes
                .contains(code)
                .then_some("not restarted, by no_restart_exit_codes"),
            Exit::Signal { signal, .. } => self
                .no_restart_signals
                .contains(signal)
                .then_some("not restarted, by no_restart_signals"),
            Exit::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_signals_forbid_apart_and_an_unknown_end_forbids_nothing() {
        let policy = EndPolicy {
            success_signals: vec![],
            no_restart_exit_codes: vec![78, 9],
            no_restart_signals: vec![Signal::TERM],
        };
        let by = |signal| Exit::Signal {
            signal,
            core: false,
            oom: false,
        };
        let codes = Some("not restarted, by no_restart_exit_codes");
        let signals = Some("not restarted, by no_restart_signals");
        for (exit, words) in [
            (Exit::Code(78), codes),
            (Exit::Code(15), None),
            (by(Signal::TERM), signals),
            (by(Signal::KILL), None),
            (Exit::Unknown, None),
        ] {
            assert_eq!(policy.forbids(&exit), words, "{exit}");
        }
    }
}
