//! What one message says of several programs that failed together: who, what became of each, and which of them is
//! likely to be the cause. Pure.

use super::words;
use crate::limits;
use crate::model::delivery::Leased;
use crate::model::group::Member;
use crate::model::incident::{Condition, IncidentState};
use crate::model::language::Language;

/// The line that says it all; none when it is about one alone.
pub(super) fn title(leased: &Leased, language: Language) -> Option<String> {
    let members = &leased.known.members;
    let open = members.iter().filter(|m| is_open(m)).count();
    if members.len() < 2 {
        return None;
    }
    let all: Vec<&Member> = members.iter().collect();
    if open == 0 {
        let names = names(&all, language);
        let is_well = all.iter().all(|m| has_recovered(m));
        return Some(match (language, is_well) {
            (Language::En, true) => format!("{names} recovered"),
            (Language::En, false) => format!("{names}: it is over"),
            (Language::Ko, true) => format!("{names}: 모두 복구되었습니다"),
            (Language::Ko, false) => format!("{names}: 모두 끝났습니다"),
        });
    }
    let over = match (all.len() - open, language) {
        (0, _) => String::new(),
        (over, Language::En) => format!("; {over} of {} over", all.len()),
        (over, Language::Ko) => format!("; {}개 중 {over}개 끝남", all.len()),
    };
    Some(format!("{}{over}", failed(&all, language)))
}

fn failed(all: &[&Member], language: Language) -> String {
    if let [cause] = &causes(all)[..]
        && cause.others.len() + 1 == all.len()
    {
        return blame(cause, language);
    }
    let names = names(all, language);
    match language {
        Language::En => format!("{names} failed together"),
        Language::Ko => format!("{names}: 함께 실패했습니다"),
    }
}

/// Label and value of all that applies.
pub(super) fn facts(leased: &Leased, language: Language) -> Vec<(&'static str, String)> {
    let members: Vec<&Member> = leased.known.members.iter().collect();
    let words = words::of(language);
    let mut list: Vec<(&'static str, String)> = causes(&members)
        .iter()
        .take(limits::GROUP_CAUSES)
        .map(|cause| (words.likely, blame(cause, language)))
        .collect();
    let shown = members.iter().take(limits::GROUP_NAMED);
    list.extend(shown.map(|member| (words.program, line(member, language))));
    if let Some(more) = members.len().checked_sub(limits::GROUP_NAMED + 1) {
        let more = more + 1;
        let value = match language {
            Language::En => format!("{more} more"),
            Language::Ko => format!("외 {more}개"),
        };
        list.push((words.program, value));
    }
    list
}

/// The member whose last words are worth showing: the likely cause, or the first.
pub(super) fn speaker(leased: &Leased) -> Option<&Member> {
    let members: Vec<&Member> = leased.known.members.iter().collect();
    let cause = causes(&members).first().map(|cause| cause.member);
    cause.or_else(|| members.first().copied())
}

/// One that others depend on.
struct Cause<'a> {
    member: &'a Member,
    others: Vec<&'a Member>,
}

/// Those that depend on none of the others and that others depend on; the one with most of them first.
fn causes<'a>(members: &[&'a Member]) -> Vec<Cause<'a>> {
    let needs = |member: &Member, other: &Member| {
        let name = program(other);
        member.needs.iter().any(|needed| Some(&**needed) == name)
    };
    let roots = members
        .iter()
        .filter(|root| !members.iter().any(|other| needs(root, other)));
    let mut causes: Vec<Cause<'a>> = roots
        .map(|root| Cause {
            member: root,
            others: members
                .iter()
                .filter(|other| needs(other, root))
                .copied()
                .collect(),
        })
        .filter(|cause| !cause.others.is_empty())
        .collect();
    causes.sort_by_key(|cause| {
        (
            std::cmp::Reverse(cause.others.len()),
            cause.member.incident.opened_at,
        )
    });
    causes
}

/// `db crashed; web and api depend on it`.
fn blame(cause: &Cause<'_>, language: Language) -> String {
    let (name, others) = (name(cause.member), names(&cause.others, language));
    let what = what(cause.member, language);
    match (language, cause.others.len()) {
        (Language::En, 1) => format!("{name} {what}; {others} depends on it"),
        (Language::En, _) => format!("{name} {what}; {others} depend on it"),
        (Language::Ko, _) => format!("{name}: {what}; 의존하는 프로그램: {others}"),
    }
}

/// `db: crashed, exit code 1, 3 times`.
fn line(member: &Member, language: Language) -> String {
    let incident = &member.incident;
    let mut line = format!("{}: {}", name(member), what(member, language));
    let facts = member.event.as_ref().map(|event| &event.facts);
    let exit = facts
        .and_then(|f| f.exit.as_ref())
        .map(|e| language.exit(e));
    let cause = facts.and_then(|f| f.cause.as_ref());
    let cause = cause.map(|c| language.cause(c).into_owned());
    let times = match (incident.failures, language) {
        (0 | 1, _) => None,
        (n, Language::En) => Some(format!("{n} times")),
        (n, Language::Ko) => Some(format!("{n}번")),
    };
    for part in [exit, cause, times].into_iter().flatten() {
        line.push_str(", ");
        line.push_str(&part);
    }
    if is_open(member) {
        return line;
    }
    let end = match (language, has_recovered(member)) {
        (Language::En, true) => "recovered",
        (Language::En, false) => "over",
        (Language::Ko, true) => "복구됨",
        (Language::Ko, false) => "끝남",
    };
    // First: a long cause may be cut.
    format!("[{end}] {line}")
}

fn what(member: &Member, language: Language) -> &'static str {
    let incident = &member.incident;
    let is_given_up = incident.severity == crate::model::event::Severity::Critical;
    match (incident.condition, language) {
        (Condition::Crash, Language::En) if is_given_up => "was given up",
        (Condition::Crash, Language::Ko) if is_given_up => "재시작 포기",
        (Condition::Crash, Language::En) => "crashed",
        (Condition::Crash, Language::Ko) => "비정상 종료",
        (Condition::Unhealthy, Language::En) => "became unhealthy",
        (Condition::Unhealthy, Language::Ko) => "상태 이상",
        (Condition::Stalled, Language::En) => "stalled",
        (Condition::Stalled, Language::Ko) => "멈춤",
        (Condition::Rule, Language::En) => "broke a rule",
        (Condition::Rule, Language::Ko) => "규칙 위반",
        (Condition::Target | Condition::Storage | Condition::Supervisor, Language::En) => "failed",
        (Condition::Target | Condition::Storage | Condition::Supervisor, Language::Ko) => "실패",
    }
}

fn is_open(member: &Member) -> bool {
    member.incident.state == IncidentState::Open
}

fn has_recovered(member: &Member) -> bool {
    let cause = member.incident.cause.as_deref();
    cause.is_none_or(|cause| cause == "recovered")
}

fn program(member: &Member) -> Option<&str> {
    let instance = member.incident.instance.as_ref()?;
    Some(instance.program())
}

fn name(member: &Member) -> String {
    let instance = member.incident.instance.as_ref();
    instance.map_or_else(|| "?".to_owned(), ToString::to_string)
}

/// `db, web and api`, `db, web and 5 more`; each program once.
fn names(members: &[&Member], language: Language) -> String {
    let mut names: Vec<String> = Vec::new();
    for member in members {
        let name = name(member);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(limits::GROUP_TITLE_NAMES);
    if more > 1 {
        names.truncate(limits::GROUP_TITLE_NAMES);
        names.push(match language {
            Language::En => format!("{more} more"),
            Language::Ko => format!("그 밖의 {more}개"),
        });
    }
    let last = names.pop().unwrap_or_default();
    match (names.is_empty(), language) {
        (true, _) => last,
        (false, Language::En) => format!("{} and {last}", names.join(", ")),
        (false, Language::Ko) => format!("{}, {last}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests;
