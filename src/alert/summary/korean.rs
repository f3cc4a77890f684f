//! The same line in Korean. Names stand before a colon, so that no particle has to agree with them. Pure.

use super::clean;
use crate::limits;
use crate::model::event::{Event, EventKind, Facts};
use crate::model::language::Language;
use crate::model::trial::Step;
use crate::text;

const KO: Language = Language::Ko;

/// `event` in one line: `web: 비정상 종료했습니다: 종료 코드 1 (실행 시간 3시간 12분); 4초 후 3번째 재시작`.
pub(super) fn summary(event: &Event) -> String {
    let facts = &event.facts;
    let target = || match facts.target.as_deref() {
        Some(name) => format!("알림 대상 {}", clean(name)),
        None => "알림 대상".to_owned(),
    };
    let who = match (event.kind, &event.instance) {
        (EventKind::TargetFailing | EventKind::TargetRestored | EventKind::NotifyTest, _) => {
            target()
        }
        (_, Some(name)) => clean(&name.to_string()).into_owned(),
        (EventKind::StorageDegraded | EventKind::StorageRestored, None) => "저장소".to_owned(),
        (EventKind::ConfigReloaded | EventKind::ConfigRejected, None) => "설정".to_owned(),
        (kind, None) if kind.as_str().starts_with("program.") => "어떤 프로그램".to_owned(),
        (_, None) => "지킴이".to_owned(),
    };
    format!("{who}: {}", said(event))
}

fn said(event: &Event) -> String {
    let facts = &event.facts;
    let (why, by, after) = (why(facts), by(facts), after(facts));
    match event.kind {
        EventKind::ProgramStarted => format!("시작했습니다{}", started(facts)),
        EventKind::ProgramReady => "준비되었습니다".to_owned(),
        EventKind::ProgramExited => format!("종료했습니다{}{after}{why}", exit(facts)),
        EventKind::ProgramCrashed => {
            format!(
                "비정상 종료했습니다{}{after}{why}{}",
                exit(facts),
                next(facts)
            )
        }
        EventKind::ProgramRestarting => format!("다시 시작할 예정입니다{}", next(facts)),
        EventKind::ProgramFatal => format!("재시작을 포기했습니다{why}"),
        EventKind::ProgramRecovered => match facts.uptime_s {
            Some(s) => format!("복구되었습니다: {}째 실행 중입니다", KO.seconds(s)),
            None => "복구되었습니다".to_owned(),
        },
        EventKind::ProgramUnhealthy => format!("상태가 좋지 않습니다{why}"),
        EventKind::ProgramHealthy => "다시 정상입니다".to_owned(),
        EventKind::ProgramStopping => format!("중지하고 있습니다{by}{why}"),
        EventKind::ProgramStopped => format!("중지했습니다{after}{by}{why}"),
        EventKind::ProgramKilled => format!("제때 끝나지 않아 강제 종료했습니다{why}"),
        EventKind::ProgramAdopted => adopted(facts),
        EventKind::ProgramStalled => format!("응답 없이 멈춰 있습니다{why}"),
        EventKind::ProgramLogMatched => format!("지켜보던 출력이 나왔습니다{why}"),
        EventKind::ProgramSkipped => format!("예정된 시작을 건너뛰었습니다{why}"),
        EventKind::RuleFired => format!("규칙을 어겼습니다{why}"),
        EventKind::RuleCleared => format!("다시 규칙을 지키고 있습니다{why}"),
        EventKind::SupervisorStarted => match facts.count {
            Some(n) => format!("시작했습니다 (프로그램 {n}개)"),
            None => "시작했습니다".to_owned(),
        },
        EventKind::SupervisorStopping => format!("종료하고 있습니다{by}{why}"),
        EventKind::SupervisorRecovered => format!("다시 돌아왔습니다{why}"),
        EventKind::SupervisorDegraded => format!("일부 기능이 제대로 동작하지 않습니다{why}"),
        EventKind::SupervisorRestored => "모든 기능이 다시 정상입니다".to_owned(),
        EventKind::TargetFailing => format!("메시지를 받지 못하고 있습니다{why}"),
        EventKind::TargetRestored => "메시지를 다시 받고 있습니다".to_owned(),
        EventKind::ConfigReloaded => format!("다시 읽었습니다{why}"),
        EventKind::ConfigRejected => format!("새 설정에 오류가 있어 이전 설정을 유지합니다{why}"),
        EventKind::StorageDegraded => format!("쓰기에 문제가 있습니다{why}"),
        EventKind::StorageRestored => "다시 정상으로 기록하고 있습니다".to_owned(),
        EventKind::LogsDropped => dropped(event),
        EventKind::SilenceStarted => format!("알림을 중지했습니다{why}{by}"),
        EventKind::SilenceEnded => format!("알림 중지가 끝났습니다{why}{by}"),
        EventKind::NotifyTest => match facts.trial.map(|trial| trial.step) {
            None | Some(Step::Open) => format!("시험 메시지입니다{by}"),
            Some(Step::Update) => format!("시험이 계속됩니다{by}"),
            Some(Step::Resolve) => format!("시험이 끝났습니다{by}"),
        },
    }
}

fn started(facts: &Facts) -> String {
    match (facts.pid, facts.restarts) {
        (Some(pid), Some(n @ 1..)) => format!(" (프로세스 {pid}, {n}번째 재시작)"),
        (Some(pid), _) => format!(" (프로세스 {pid})"),
        (None, Some(n @ 1..)) => format!(" ({n}번째 재시작)"),
        (None, _) => String::new(),
    }
}

fn adopted(facts: &Facts) -> String {
    match (&facts.exit, facts.pid) {
        (Some(end), _) => {
            format!(
                "지켜보지 못하는 동안 끝났습니다: {}{}",
                KO.exit(end),
                why(facts)
            )
        }
        (None, Some(pid)) => {
            format!("계속 실행 중이어서 다시 관리를 시작했습니다 (프로세스 {pid})")
        }
        (None, None) => "계속 실행 중이어서 다시 관리를 시작했습니다".to_owned(),
    }
}

fn dropped(event: &Event) -> String {
    let why = why(&event.facts);
    match (&event.instance, event.facts.count) {
        (Some(_), Some(bytes)) => format!("출력 일부를 잃었습니다({}){why}", text::size(bytes)),
        (Some(_), None) => format!("출력 일부를 잃었습니다{why}"),
        (None, Some(n)) => format!("기록 {n}건을 남기지 못했습니다{why}"),
        (None, None) => format!("기록 일부를 남기지 못했습니다{why}"),
    }
}

fn next(facts: &Facts) -> String {
    let Some(s) = facts.next_restart_s else {
        return String::new();
    };
    let when = if s < 0.001 {
        "곧바로".to_owned()
    } else {
        format!("{} 후", KO.seconds(s))
    };
    match facts.restarts {
        Some(n) => format!("; {when} {}번째 재시작", n.saturating_add(1)),
        None => format!("; {when} 재시작"),
    }
}

fn exit(facts: &Facts) -> String {
    let end = facts.exit.as_ref();
    end.map_or_else(String::new, |end| format!(": {}", KO.exit(end)))
}

fn after(facts: &Facts) -> String {
    let up = facts.uptime_s;
    up.map_or_else(String::new, |s| format!(" (실행 시간 {})", KO.seconds(s)))
}

fn why(facts: &Facts) -> String {
    let cause = facts.cause.as_deref();
    cause.map_or_else(String::new, |cause| format!(": {}", worded(cause)))
}

fn by(facts: &Facts) -> String {
    let who = facts.asked_by.as_deref();
    who.map_or_else(String::new, |who| format!(" (요청: {})", worded(who)))
}

fn worded(english: &str) -> String {
    let line = text::printable(english.as_bytes());
    let words = KO.cause(&line);
    text::cut(&words, limits::SUMMARY_PART_CHARS).into_owned()
}
