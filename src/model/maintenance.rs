//! Maintenance: programs that people do not want to hear of at times that come again.

use std::time::Duration;

use super::calendar::Calendar;
use super::silence::Silence;
use crate::clock::Wall;
use crate::ids::SilenceId;

/// One `[[maintenance]]` table, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct MaintenanceSpec {
    /// Names, globs, `tag:x`, `all`.
    pub programs: Vec<String>,
    /// When it begins.
    pub schedule: Calendar,
    /// How long it lasts.
    pub lasts: Duration,
    /// Why, in a person's words.
    pub reason: Option<String>,
}

impl MaintenanceSpec {
    /// Who asks for its silences; tells them from those that people ask for.
    #[must_use]
    pub fn by(&self) -> String {
        let lasts = crate::text::duration(self.lasts);
        format!("maintenance at {} for {lasts}", self.schedule.words())
    }

    /// When the one began that goes on at `now`; the latest, where two overlap.
    #[must_use]
    pub fn began(&self, now: Wall) -> Option<Wall> {
        let lasts = i64::try_from(self.lasts.as_millis()).unwrap_or(i64::MAX);
        let before = Wall::from_millis(now.millis().saturating_sub(lasts));
        let mut latest = None;
        let mut at = before;
        while let Some(next) = self.schedule.next_after(at).filter(|next| *next <= now) {
            latest = Some(next);
            at = next;
        }
        latest
    }

    /// Whether `silence` is one of its own.
    #[must_use]
    pub fn owns(&self, silence: &Silence) -> bool {
        silence.by == self.by()
            && silence.programs == self.programs
            && silence.reason == self.reason
    }

    /// The silence of the one that began at `began`, from `now` on.
    #[must_use]
    pub fn silence(&self, began: Wall, now: Wall) -> Silence {
        Silence {
            id: SilenceId::new(),
            programs: self.programs.clone(),
            reason: self.reason.clone(),
            by: self.by(),
            since: now,
            until: began + self.lasts,
            ended_at: None,
            past: std::collections::BTreeMap::new(),
        }
    }
}
