//! Maintenance: which windows of the configuration are to be silences at a time, and which silences of theirs are to
//! end. Pure: no clock, no I/O. A window is a silence like one that a person asks for, and is kept as one: after a
//! restart the silence that is in force is known by who asked for it, and is not begun again.

use crate::clock::Wall;
use crate::ids::SilenceId;
use crate::model::maintenance::MaintenanceSpec;
use crate::model::silence::Silence;

/// The windows of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    windows: Vec<Window>,
    /// When it was looked last, and when something begins next.
    looked: Option<(Wall, Option<Wall>)>,
}

#[derive(Clone, Debug)]
struct Window {
    spec: MaintenanceSpec,
    /// The beginning of the last one that was made a silence: it is not begun again when a person ends it.
    begun: Option<Wall>,
}

impl Windows {
    /// From now on these count; what is as it was goes on.
    pub fn configure(&mut self, specs: &[MaintenanceSpec]) {
        let before = std::mem::take(&mut self.windows);
        self.windows = specs
            .iter()
            .map(|spec| Window {
                spec: spec.clone(),
                begun: before
                    .iter()
                    .find(|window| window.spec == *spec)
                    .and_then(|window| window.begun),
            })
            .collect();
        self.looked = None;
    }

    /// The silences that are to begin at `now`, beside those that are `active`.
    pub fn due(&mut self, now: Wall, active: &[Silence]) -> Vec<Silence> {
        if let Some((last, next)) = self.looked
            && now >= last
            && next.is_none_or(|next| now < next)
        {
            return Vec::new();
        }
        let begin = |window: &mut Window| {
            let began = window.spec.began(now)?;
            let until = began + window.spec.lasts;
            let mut own = active.iter().filter(|s| window.spec.owns(s)).peekable();
            // One that overlaps follows when this one is over.
            if own.peek().is_some() {
                if own.any(|s| s.until == until) {
                    window.begun = Some(began);
                }
                return None;
            }
            let is_known = window.begun.replace(began) == Some(began);
            (!is_known).then(|| window.spec.silence(began, now))
        };
        let silences = self.windows.iter_mut().filter_map(begin).collect();
        let next = |window: &Window| window.spec.schedule.next_after(now);
        self.looked = Some((now, self.windows.iter().filter_map(next).min()));
        silences
    }

    /// A silence is over: one of another beginning may go on.
    pub fn look_again(&mut self) {
        self.looked = None;
    }

    /// The first of the `active` silences whose window is not configured any more.
    #[must_use]
    pub fn orphan(&self, active: &[Silence]) -> Option<SilenceId> {
        let is_ours = |s: &&Silence| s.by.starts_with("maintenance at ");
        let mut ours = active.iter().filter(is_ours);
        ours.find(|s| !self.windows.iter().any(|w| w.spec.owns(s)))
            .map(|s| s.id)
    }

    /// When something begins next; a time that is past until it was looked.
    #[must_use]
    pub fn next(&self) -> Option<Wall> {
        match self.looked {
            Some((_, next)) => next,
            None => Some(Wall::default()).filter(|_| !self.windows.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests;
