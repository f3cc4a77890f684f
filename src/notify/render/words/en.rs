//! English.

use super::Words;

pub(super) const WORDS: Words = Words {
    note: "Note",
    program: "Program",
    target: "Target",
    exit: "Exit",
    cause: "Cause",
    changed: "Changed since it did well",
    uptime: "Uptime",
    restarts: "Restarts",
    next: "Next restart in",
    memory: "Memory before",
    cpu: "CPU before",
    peak: "Peak memory",
    asked_by: "Asked by",
    count: "Count",
    incident: "Incident",
    likely: "Likely cause",
    file: "(file)",
};
