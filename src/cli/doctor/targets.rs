//! Targets that cannot be reached. They are sent nothing.

use std::sync::Arc;

use crossbeam::channel::bounded;

use super::{Finding, Scene};
use crate::app::knock;
use crate::clock;
use crate::limits;
use crate::model::target::TargetSpec;
use crate::thread::spawn_named;

/// Connects to every target, all at once.
pub(super) fn reachable(scene: &Scene) -> Vec<Finding> {
    const CHECK: &str = "targets";
    let Some(settings) = scene.settings.as_ref().filter(|s| !s.targets.is_empty()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut well = 0;
    for some in settings.targets.chunks(limits::DOCTOR_KNOCKS) {
        for (name, answer) in knock_at(some) {
            match answer {
                None | Some(Ok(_)) => well += 1,
                Some(Err(why)) => found.push(Finding::wrong(
                    CHECK,
                    format!("{name}: {why}"),
                    format!("look at its address and at the network; `jikimi notify test {name}` sends a message"),
                )),
            }
        }
    }
    if found.is_empty() {
        let well = super::super::run::count(well, "target");
        found.push(Finding::well(
            CHECK,
            format!("{well} can be reached; nothing was sent"),
        ));
    }
    found
}

type Answer = Option<Result<String, String>>;

/// A name that hangs while it is looked up hangs in its own thread, and only so long.
fn knock_at(targets: &[Arc<TargetSpec>]) -> Vec<(Arc<str>, Answer)> {
    let (say, answers) = bounded(limits::DOCTOR_KNOCKS);
    for (n, target) in targets.iter().enumerate() {
        let (say, target) = (say.clone(), Arc::clone(target));
        let thread = spawn_named("doctor-knock", move || {
            let _ = say.send((n, knock::knock(&target, limits::DOCTOR_CONNECT)));
        });
        // It ends by itself, or with the command.
        drop(thread);
    }
    drop(say);
    let mut told: Vec<Answer> =
        vec![Some(Err("its name is not answered for".to_owned())); targets.len()];
    let until = clock::mono() + limits::DOCTOR_CONNECT * 2;
    while let Ok((n, answer)) = answers.recv_timeout(until.since(clock::mono())) {
        told[n] = answer;
    }
    targets
        .iter()
        .map(|t| Arc::clone(&t.name))
        .zip(told)
        .collect()
}
