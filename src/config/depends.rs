//! `depends_on`: that every program named is there, and that none waits for itself. Pure but for reporting.

use std::collections::BTreeMap;

use super::fault::{shown, wrong};
use super::fields::Block;
use super::load::known_names;
use super::read::Reader;

const KEY: &str = "program.*.depends_on";

/// Reports unknown programs, and each circle once, spelled out.
pub(super) fn check(reader: &mut Reader<'_>, programs: &[Block]) {
    let index: BTreeMap<&str, usize> = programs
        .iter()
        .enumerate()
        .map(|(i, b)| (b.name.as_str(), i))
        .collect();
    let mut edges: Vec<Vec<usize>> = Vec::with_capacity(programs.len());
    for block in programs {
        let full = format!("{}.depends_on", block.shown);
        let mut needs = Vec::new();
        for word in block.fields.words(KEY) {
            if word.text == block.name {
                let w = wrong(
                    "it depends on itself",
                    format!("take {} out", shown(&word.raw)),
                );
                reader.fault(word.at, &full, w);
            } else if let Some(i) = index.get(word.text.as_str()) {
                needs.push(*i);
            } else if !reader.sources.is_broken() {
                let what = format!("no program is called {}", shown(&word.raw));
                let names = programs.iter().map(|b| b.name.as_str());
                reader.fault(word.at, &full, wrong(what, known_names(&word.raw, names)));
            }
        }
        edges.push(needs);
    }
    for circle in circles(&edges) {
        let block = &programs[circle[0]];
        let at = block.fields.place(KEY).unwrap_or(block.at);
        let names: Vec<&str> = circle
            .iter()
            .chain(&circle[..1])
            .map(|i| programs[*i].name.as_str())
            .collect();
        let what = format!("these wait for each other, {}", names.join(" -> "));
        let full = format!("{}.depends_on", block.shown);
        reader.fault(at, &full, wrong(what, "take one of them out"));
    }
}

/// The circles of a graph as a walk meets them, each from its first node on. Without recursion: a chain
/// can be as long as a file has lines.
pub(super) fn circles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        OnTheWay,
        Done,
    }
    let mut seen = vec![Seen::Not; edges.len()];
    let mut circles = Vec::new();
    for start in 0..edges.len() {
        if seen[start] != Seen::Not {
            continue;
        }
        seen[start] = Seen::OnTheWay;
        let mut way = vec![(start, 0)];
        while let Some((node, tried)) = way.last_mut() {
            let Some(&next) = edges[*node].get(*tried) else {
                seen[*node] = Seen::Done;
                way.pop();
                continue;
            };
            *tried += 1;
            match seen[next] {
                Seen::Done => {}
                Seen::Not => {
                    seen[next] = Seen::OnTheWay;
                    way.push((next, 0));
                }
                Seen::OnTheWay => {
                    let from = way.iter().position(|(n, _)| *n == next).unwrap_or(0);
                    let mut circle: Vec<usize> = way[from..].iter().map(|(n, _)| *n).collect();
                    let first = circle.iter().enumerate().min_by_key(|(_, n)| **n);
                    let first = first.map_or(0, |(i, _)| i);
                    circle.rotate_left(first);
                    circles.push(circle);
                }
            }
        }
    }
    circles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_begin_with_their_first_program() {
        for (edges, expected) in [
            (vec![], vec![]),
            (vec![vec![1], vec![2], vec![]], vec![]),
            (vec![vec![1, 2], vec![2], vec![]], vec![]),
            (vec![vec![1], vec![0]], vec![vec![0, 1]]),
            (vec![vec![2], vec![0], vec![1]], vec![vec![0, 2, 1]]),
            (vec![vec![1], vec![2], vec![1]], vec![vec![1, 2]]),
            (
                vec![vec![1], vec![0], vec![3], vec![2]],
                vec![vec![0, 1], vec![2, 3]],
            ),
        ] {
            assert_eq!(circles(&edges), expected, "{edges:?}");
        }
    }

    #[test]
    fn a_very_long_chain_is_walked_without_recursion() {
        let n = 200_000;
        let mut edges: Vec<Vec<usize>> = (1..n).map(|i| vec![i]).collect();
        edges.push(vec![0]);
        assert_eq!(circles(&edges).first().map(Vec::len), Some(n));
    }
}
