//! Names of programs and their instances, and the choosing of instances by name, glob, tag or `all`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text;

/// The name of one supervised slot: `web`, or `web:0` when the program has several instances.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceName {
    program: Arc<str>,
    index: Option<u16>,
}

impl InstanceName {
    /// The only instance of `program`.
    #[must_use]
    pub fn single(program: impl Into<Arc<str>>) -> Self {
        Self {
            program: program.into(),
            index: None,
        }
    }

    /// Instance `index` of a program that has several.
    #[must_use]
    pub fn indexed(program: impl Into<Arc<str>>, index: u16) -> Self {
        Self {
            program: program.into(),
            index: Some(index),
        }
    }

    /// The program this is an instance of.
    #[must_use]
    pub fn program(&self) -> &Arc<str> {
        &self.program
    }

    /// The number after the colon, when the program has several instances.
    #[must_use]
    pub fn index(&self) -> Option<u16> {
        self.index
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            None => f.pad(&self.program),
            Some(i) => f.pad(&format!("{}:{i}", self.program)),
        }
    }
}

impl FromStr for InstanceName {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once(':') {
            None => Ok(Self::single(text)),
            Some((program, index)) => Ok(Self::indexed(program, index.parse()?)),
        }
    }
}

impl Serialize for InstanceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InstanceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A name that chooses nothing, with the nearest names there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no program is called \"{}\"{}", text::printable(.name.as_bytes()), hint(.nearest))]
pub struct UnknownName {
    /// As the person wrote it.
    pub name: String,
    /// Names like it, nearest first; may be empty.
    pub nearest: Vec<String>,
}

fn hint(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        [one] => format!("; did you mean \"{one}\"?"),
        many => format!("; did you mean one of \"{}\"?", many.join("\", \"")),
    }
}

/// Chooses instances, in their order in `known`, each once. A pattern is `all`, `tag:NAME`, a program name,
/// an instance name, or a glob with `*` and `?` over either.
///
/// # Errors
/// The first pattern that chooses nothing.
pub fn select(
    patterns: &[String],
    known: &[(InstanceName, Vec<String>)],
) -> Result<Vec<InstanceName>, UnknownName> {
    let mut chosen = vec![false; known.len()];
    for pattern in patterns {
        let mut hit = pattern == "all";
        for (slot, (name, tags)) in chosen.iter_mut().zip(known) {
            if matches(pattern, name, tags) {
                *slot = true;
                hit = true;
            }
        }
        if !hit {
            return Err(UnknownName {
                name: pattern.clone(),
                nearest: nearest_names(pattern, known),
            });
        }
    }
    Ok(known
        .iter()
        .zip(chosen)
        .filter(|(_, c)| *c)
        .map(|((n, _), _)| n.clone())
        .collect())
}

/// Whether `pattern` (see [`select`]) chooses the instance `name` with `tags`.
#[must_use]
pub fn matches(pattern: &str, name: &InstanceName, tags: &[String]) -> bool {
    if pattern == "all" {
        return true;
    }
    if let Some(tag) = pattern.strip_prefix("tag:") {
        let glob = wildmatch::WildMatch::new(tag);
        return tags.iter().any(|t| glob.matches(t));
    }
    let glob = wildmatch::WildMatch::new(pattern);
    glob.matches(name.program()) || glob.matches(&name.to_string())
}

fn nearest_names(pattern: &str, known: &[(InstanceName, Vec<String>)]) -> Vec<String> {
    let programs: Vec<String> = known.iter().map(|(n, _)| n.program().to_string()).collect();
    crate::text::nearest(pattern, programs.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<(InstanceName, Vec<String>)> {
        vec![
            (InstanceName::indexed("web", 0), vec!["game".to_owned()]),
            (InstanceName::indexed("web", 1), vec!["game".to_owned()]),
            (InstanceName::single("worker"), vec![]),
        ]
    }

    fn chosen(patterns: &[&str]) -> Result<Vec<String>, UnknownName> {
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        select(&patterns, &known()).map(|names| names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn programs_instances_globs_tags_and_all_choose_each_instance_once() {
        assert_eq!(chosen(&["web"]).unwrap_or_default(), ["web:0", "web:1"]);
        assert_eq!(
            chosen(&["web:1", "web:*"]).unwrap_or_default(),
            ["web:0", "web:1"]
        );
        assert_eq!(chosen(&["w*r"]).unwrap_or_default(), ["worker"]);
        assert_eq!(
            chosen(&["tag:game", "worker"]).unwrap_or_default(),
            ["web:0", "web:1", "worker"]
        );
        assert_eq!(chosen(&["all"]).unwrap_or_default().len(), 3);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_one() {
        let error = chosen(&["wroker"]).expect_err("there is no such program");
        assert_eq!(
            error.to_string(),
            "no program is called \"wroker\"; did you mean \"worker\"?"
        );
        assert_eq!(select(&["all".to_owned()], &[]), Ok(vec![]));
    }
}
