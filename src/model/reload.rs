//! Reloads: what one does or would do, and how it is asked for and answered. Plain data.

use std::fmt;

use crossbeam::channel::{Receiver, Sender};
use serde::{Deserialize, Serialize};

use super::command::VerbResult;

/// What a reload does, in the order of the configuration; what is not named goes on untouched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What changes.
    pub steps: Vec<Step>,
    /// Instances that nothing changes for.
    pub unchanged: usize,
}

/// One thing that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What happens.
    pub action: StepAction,
    /// What kind of thing it happens to.
    pub kind: StepKind,
    /// Its name: `web:0`, `ops`; of a setting the key.
    pub name: String,
    /// The keys that differ; never their values.
    pub keys: Vec<String>,
    /// Why, in words.
    pub why: String,
}

/// What kind of thing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// An instance, or a program with all its instances.
    Program,
    /// A target.
    Target,
    /// Everything else.
    Setting,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepAction {
    /// It comes, and starts.
    Start,
    /// It comes, and is not started.
    Add,
    /// It is stopped, and goes.
    Stop,
    /// It goes; nothing of it runs.
    Remove,
    /// It is restarted.
    Restart,
    /// It has another try at once, with what changed.
    Retry,
    /// What changed counts from its next start on; nothing of it runs.
    NextStart,
    /// What changed counts at once.
    Live,
    /// What changed counts from the next start of the supervisor on.
    NeedsSupervisorRestart,
}

impl StepAction {
    /// In the order in which people read them.
    pub const ALL: [Self; 9] = [
        Self::Stop,
        Self::Remove,
        Self::Restart,
        Self::Retry,
        Self::Start,
        Self::Add,
        Self::NextStart,
        Self::Live,
        Self::NeedsSupervisorRestart,
    ];

    /// What it does, as a verb for a list.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Add => "add",
            Self::Stop => "stop",
            Self::Remove => "remove",
            Self::Restart => "restart",
            Self::Retry => "retry",
            Self::NextStart => "next start",
            Self::Live => "live",
            Self::NeedsSupervisorRestart => "needs a restart of the supervisor",
        }
    }
}

impl fmt::Display for StepAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Plan {
    /// Nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// In one line: `restart: web (command); start: db; live: log.level`.
    #[must_use]
    pub fn summary(&self) -> String {
        if self.is_empty() {
            return "nothing changed".to_owned();
        }
        let parts = StepAction::ALL.into_iter().filter_map(|action| {
            let steps = self.steps.iter().filter(|step| step.action == action);
            let names: Vec<String> = steps.map(Step::short).collect();
            (!names.is_empty()).then(|| format!("{action}: {}", names.join(", ")))
        });
        parts.collect::<Vec<_>>().join("; ")
    }
}

impl Step {
    /// The name with the keys behind it.
    fn short(&self) -> String {
        let name = match self.kind {
            StepKind::Program | StepKind::Setting => self.name.clone(),
            StepKind::Target => format!("target {}", self.name),
        };
        match self.kind {
            StepKind::Program | StepKind::Target if !self.keys.is_empty() => {
                format!("{name} ({})", self.keys.join(", "))
            }
            StepKind::Program | StepKind::Target | StepKind::Setting => name,
        }
    }
}

/// Why a run gives way: `configuration changed: command, environment.PORT`.
#[must_use]
pub fn because(keys: &[String]) -> String {
    format!("configuration changed: {}", keys.join(", "))
}

/// The wish for a reload.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Say what would happen, and change nothing.
    pub is_plan: bool,
    /// Who asked.
    pub by: String,
    /// Told once; has room for it. A signal hears no answer.
    pub reply: Option<Sender<ReloadReply>>,
}

/// What a wish for a reload came to.
pub type ReloadReply = Result<Accepted, Refusal>;

/// The configuration is right.
#[derive(Debug)]
pub struct Accepted {
    /// What is done, or would be.
    pub plan: Plan,
    /// What is odd about the configuration, a sentence each.
    pub warnings: Vec<String>,
    /// One answer, when every program is as the plan says; none for a mere plan.
    pub done: Option<Receiver<Vec<VerbResult>>>,
}

/// Everything runs on as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The configuration is wrong; every fault a line.
    Faults(Vec<String>),
    /// It cannot be now.
    NotNow(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_told_in_one_line_by_what_happens() {
        let step = |action, kind, name: &str, keys: &[&str]| Step {
            action,
            kind,
            name: name.to_owned(),
            keys: keys.iter().map(|k| (*k).to_owned()).collect(),
            why: String::new(),
        };
        let plan = Plan {
            steps: vec![
                step(
                    StepAction::Live,
                    StepKind::Setting,
                    "log.level",
                    &["log.level"],
                ),
                step(StepAction::Start, StepKind::Program, "db", &[]),
                step(
                    StepAction::Restart,
                    StepKind::Program,
                    "web",
                    &["command", "environment.PORT"],
                ),
                step(StepAction::Live, StepKind::Target, "ops", &["url"]),
                step(StepAction::Stop, StepKind::Program, "old", &[]),
            ],
            unchanged: 3,
        };
        assert_eq!(
            plan.summary(),
            "stop: old; restart: web (command, environment.PORT); start: db; live: log.level, target ops (url)"
        );
        assert_eq!(Plan::default().summary(), "nothing changed");
    }
}
