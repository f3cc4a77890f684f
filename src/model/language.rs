//! The languages of messages: what is the same in whatever is said, a duration, the end of a run, a cause. Pure.

mod causes;

use std::borrow::Cow;
use std::time::Duration;

use super::event::Exit;
use crate::text;

/// The language that messages are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Korean.
    Ko,
}

impl Language {
    /// Every one there is.
    pub const ALL: &'static [Self] = &[Self::En, Self::Ko];

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ko => "ko",
        }
    }

    /// The language of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|l| l.as_str() == word)
    }

    /// `3m 12s`, `3분 12초`.
    #[must_use]
    pub fn duration(self, duration: Duration) -> String {
        let words = text::duration(duration);
        match self {
            Self::En => words,
            Self::Ko => causes::duration(&words).unwrap_or(words),
        }
    }

    /// The same of seconds.
    #[must_use]
    pub fn seconds(self, seconds: f64) -> String {
        match (Duration::try_from_secs_f64(seconds.max(0.0)), self) {
            (Ok(duration), _) => self.duration(duration),
            (Err(_), Self::En) => "a long time".to_owned(),
            (Err(_), Self::Ko) => "아주 긴 시간".to_owned(),
        }
    }

    /// `exit code 1`, `종료 코드 1`.
    #[must_use]
    pub fn exit(self, exit: &Exit) -> String {
        if self == Self::En {
            return exit.to_string();
        }
        match exit {
            Exit::Code(code) => format!("종료 코드 {code}"),
            Exit::Signal { signal, core, oom } => {
                let more = match (oom, core) {
                    (true, _) => " (메모리 부족)",
                    (false, true) => " (코어 덤프)",
                    (false, false) => "",
                };
                format!("{signal} 시그널{more}")
            }
            Exit::Unknown => "알 수 없는 종료".to_owned(),
        }
    }

    /// A cause, or who asked, as the supervisor words it; what it does not know stays as it is.
    #[must_use]
    pub fn cause(self, english: &str) -> Cow<'_, str> {
        match self {
            Self::En => Cow::Borrowed(english),
            Self::Ko => Cow::Owned(causes::korean(english)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::program::Signal;

    #[test]
    fn durations_and_ends_have_words_in_both() {
        let at = |ms| Language::Ko.duration(Duration::from_millis(ms));
        assert_eq!(
            [350, 4_250, 192_000, 7_500_000, 273_600_000].map(at),
            ["350밀리초", "4.2초", "3분 12초", "2시간 5분", "3일 4시간"]
        );
        let core = Exit::Signal {
            signal: Signal::parse("SEGV").expect("a signal"),
            core: true,
            oom: false,
        };
        assert_eq!(Language::Ko.exit(&core), "SIGSEGV 시그널 (코어 덤프)");
        assert_eq!(Language::Ko.exit(&Exit::Code(3)), "종료 코드 3");
        assert_eq!(Language::En.exit(&Exit::Code(3)), "exit code 3");
        assert_eq!(Language::parse("ko"), Some(Language::Ko));
        assert_eq!(Language::parse("fr"), None);
    }

    #[test]
    fn causes_of_our_own_are_told_in_korean_and_others_stay() {
        for (english, korean) in [
            ("command not found: wbe", "명령을 찾을 수 없습니다: wbe"),
            (
                "restart limit reached: 5 in 1m; cooling down",
                "재시작 한도에 도달했습니다(5회, 1분); 한동안 쉬었다가 다시 시도합니다",
            ),
            (
                "did not end within 10s of SIGTERM",
                "10초 안에 끝나지 않았습니다(SIGTERM 이후)",
            ),
            (
                "not ready within 2m: tcp failed: refused",
                "2분 안에 준비되지 않았습니다: tcp 실패: refused",
            ),
            ("uid 1000 (pid 7)", "사용자 1000 (프로세스 7)"),
            ("the disk is on fire", "the disk is on fire"),
            ("", ""),
        ] {
            assert_eq!(Language::Ko.cause(english), korean);
        }
    }
}
