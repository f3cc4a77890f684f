//! Korean.

use super::Words;

pub(super) const WORDS: Words = Words {
    note: "참고",
    program: "프로그램",
    target: "알림 대상",
    exit: "종료 상태",
    cause: "원인",
    changed: "정상 실행 이후 바뀐 것",
    uptime: "실행 시간",
    restarts: "재시작 횟수",
    next: "다음 재시작까지",
    memory: "종료 전 메모리",
    cpu: "종료 전 프로세서",
    peak: "최대 메모리",
    asked_by: "요청",
    count: "개수",
    incident: "장애",
    likely: "추정 원인",
    file: "(파일)",
};
