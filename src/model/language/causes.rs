//! What the supervisor itself says of causes and of who asked, in Korean. Pure: a table of sentences with holes.

/// English and Korean; `{}` is whatever stands there, in the same order.
const SENTENCES: &[(&str, &str)] = &[
    ("command not found: {}", "명령을 찾을 수 없습니다: {}"),
    (
        "restart limit reached: {} in {}",
        "재시작 한도에 도달했습니다({}회, {})",
    ),
    (
        "restart limit: {} in {}",
        "재시작 한도에 도달했습니다({}회, {})",
    ),
    ("cooling down", "한동안 쉬었다가 다시 시도합니다"),
    (
        "did not end within {} of {}",
        "{} 안에 끝나지 않았습니다({} 이후)",
    ),
    (
        "not given the whole {} after {}: it was to end at once",
        "{}를 다 기다리지 않았습니다({} 이후): 바로 끝나야 했습니다",
    ),
    (
        "{} was typed, and then it was to end at once",
        "{} 입력 후 바로 끝나야 했습니다",
    ),
    (
        "{} was sent, and then it was to end at once",
        "{} 전송 후 바로 끝나야 했습니다",
    ),
    ("removed from the configuration", "설정에서 제거되었습니다"),
    (
        "given up before the last supervisor was killed",
        "이전 지킴이가 강제 종료되기 전에 이미 포기했습니다",
    ),
    ("planned restart, restart_at {}", "예정된 재시작입니다: {}"),
    (
        "it had run for {}, as long as max_runtime lets it",
        "최대 실행 시간을 채웠습니다: {}",
    ),
    (
        "{}, which it needs, was started anew",
        "필요한 프로그램이 새로 시작되었습니다: {}",
    ),
    ("not ready within {}: {}", "{} 안에 준비되지 않았습니다: {}"),
    ("not ready within {}", "{} 안에 준비되지 않았습니다"),
    ("not ready yet: {}", "아직 준비되지 않았습니다: {}"),
    ("not ready: {}", "준비되지 않았습니다: {}"),
    ("no WATCHDOG=1 within {}", "{} 안에 생존 신호가 없었습니다"),
    (
        "the program said that it does not work (WATCHDOG=trigger)",
        "프로그램이 스스로 동작하지 않는다고 알렸습니다",
    ),
    (
        "configured differently while no supervisor ran: {}",
        "지킴이가 없는 동안 설정이 바뀌었습니다: {}",
    ),
    ("{} failed {} times: {}", "{} {}회 연속 실패: {}"),
    ("{} failed: {}", "{} 실패: {}"),
    (
        "port {} is held by the program {} ({}, pid {})",
        "포트 {} 사용 중: 프로그램 {} ({}, 프로세스 {})",
    ),
    (
        "port {} is held by what is left of an earlier run of it ({}, pid {})",
        "포트 {} 사용 중: 이전 실행에서 남은 프로세스 ({}, 프로세스 {})",
    ),
    (
        "port {} is held by a process of user {}, which may not be looked into",
        "포트 {} 사용 중: 사용자 {}의 프로세스(들여다볼 권한 없음)",
    ),
    (
        "port {} is held by nobody, but an ended connection keeps it for about a minute",
        "포트 {}: 끝난 연결이 약 1분 동안 잡고 있습니다",
    ),
    (
        "port {} is held by nobody, but {} ended connections keep it for about a minute",
        "포트 {}: 끝난 연결 {}개가 약 1분 동안 잡고 있습니다",
    ),
    (
        "port {} is held by {} (pid {})",
        "포트 {} 사용 중: {} (프로세스 {})",
    ),
    (
        "port {} is in use; by whom was not found in time",
        "포트 {} 사용 중: 누가 쓰는지는 제때 찾지 못했습니다",
    ),
    (
        "port {} was in use and is free again",
        "포트 {}: 사용 중이었으나 지금은 비어 있습니다",
    ),
    (
        "probably the kernel ended a child of it for want of memory",
        "메모리 부족으로 커널이 자식 프로세스를 끝낸 것 같습니다",
    ),
    (
        "probably out of memory: at about that time the kernel ended a process for want of it",
        "메모리 부족으로 보입니다: 그 무렵 커널이 프로세스를 끝냈습니다",
    ),
    (
        "not restarted, by {}",
        "{} 설정에 따라 다시 시작하지 않습니다",
    ),
    (
        "the log disk took nothing",
        "로그 디스크에 쓸 수 없었습니다",
    ),
    (
        "the journal could not keep up",
        "기록이 밀려 일부를 남기지 못했습니다",
    ),
    ("{} runs went on", "{}개 실행이 계속되었습니다"),
    ("{} run went on", "{}개 실행이 계속되었습니다"),
    ("{} runs ended meanwhile", "그동안 {}개 실행이 끝났습니다"),
    ("{} run ended meanwhile", "그동안 {}개 실행이 끝났습니다"),
    ("nothing was running", "실행 중인 것이 없었습니다"),
    ("exit code {}", "종료 코드 {}"),
    ("signal {}", "시그널 {}"),
    ("the rule {}", "규칙 {}"),
    ("uid {} (pid {})", "사용자 {} (프로세스 {})"),
    (
        "uid {} (outside of this container)",
        "사용자 {} (컨테이너 밖)",
    ),
    ("uid {}", "사용자 {}"),
];

/// `english` in Korean as far as it is known.
pub(super) fn korean(english: &str) -> String {
    // Some sentences have the mark of the next one in them.
    if let Some(whole) = sentence(english, &[';']) {
        return whole;
    }
    let parts: Vec<String> = english
        .split("; ")
        .map(|part| sentence(part, &[]).unwrap_or_else(|| part.to_owned()))
        .collect();
    parts.join("; ")
}

/// The sentence in Korean; none when it is not in the table, or a hole of it holds one of `never`.
fn sentence(english: &str, never: &[char]) -> Option<String> {
    SENTENCES.iter().find_map(|(form, korean)| {
        let holes = holes(form, english).filter(|h| !h.iter().any(|h| h.contains(never)))?;
        let mut parts = korean.split("{}");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for (hole, part) in holes.iter().zip(parts) {
            let said = duration(hole).or_else(|| sentence(hole, never));
            out.push_str(said.as_deref().unwrap_or(hole));
            out.push_str(part);
        }
        Some(out)
    })
}

/// What stands in the holes of `form`, if `text` has that form. A hole ends where what follows it begins first.
fn holes<'a>(form: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = form.split("{}");
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut found = Vec::new();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let at = match parts.peek() {
            None => rest.strip_suffix(part)?.len(),
            Some(_) => rest.find(part)?,
        };
        if at == 0 {
            return None;
        }
        found.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    (found.is_empty() && rest.is_empty() || !found.is_empty()).then_some(found)
}

/// `3m 12s` as `3분 12초`; none when it is no duration.
pub(super) fn duration(english: &str) -> Option<String> {
    let words: Option<Vec<String>> = english.split(' ').map(unit).collect();
    words.map(|words| words.join(" "))
}

fn unit(word: &str) -> Option<String> {
    const UNITS: [(&str, &str); 5] = [
        ("ms", "밀리초"),
        ("s", "초"),
        ("m", "분"),
        ("h", "시간"),
        ("d", "일"),
    ];
    UNITS.iter().find_map(|(english, korean)| {
        let number = word.strip_suffix(english)?;
        let is_number =
            !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
        is_number.then(|| format!("{number}{korean}"))
    })
}
