//! Who waits for whom, by plain dependencies. Pure: works on indices of programs.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::program::ProgramSpec;

/// The dependencies between programs, both ways. The configuration has refused cycles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    needs: Vec<Vec<usize>>,
    needed_by: Vec<Vec<usize>>,
}

impl Graph {
    /// The graph of `programs`, by their positions. Names that are not there are left out.
    #[must_use]
    pub fn new(programs: &[Arc<ProgramSpec>]) -> Self {
        let at: HashMap<&str, usize> = programs
            .iter()
            .enumerate()
            .map(|(i, p)| (&*p.name, i))
            .collect();
        let mut graph = Self {
            needs: vec![Vec::new(); programs.len()],
            needed_by: vec![Vec::new(); programs.len()],
        };
        for (i, program) in programs.iter().enumerate() {
            for j in program
                .depends_on
                .iter()
                .filter_map(|name| at.get(&**name).copied())
            {
                graph.needs[i].push(j);
                graph.needed_by[j].push(i);
            }
        }
        graph
    }

    /// What `program` needs, directly.
    #[must_use]
    pub fn needs(&self, program: usize) -> &[usize] {
        &self.needs[program]
    }

    /// What needs `program`, directly.
    #[must_use]
    pub fn needed_by(&self, program: usize) -> &[usize] {
        &self.needed_by[program]
    }

    /// `wanted` and everything it needs, however far, each once; what is needed comes first.
    #[must_use]
    pub fn with_needs(&self, wanted: &[usize]) -> Vec<usize> {
        let mut order = Vec::new();
        let mut seen = vec![false; self.needs.len()];
        // An explicit stack: a chain of a thousand programs must not overflow ours.
        let mut stack: Vec<(usize, bool)> = wanted.iter().rev().map(|w| (*w, false)).collect();
        while let Some((program, expanded)) = stack.pop() {
            if expanded {
                order.push(program);
            } else if !std::mem::replace(&mut seen[program], true) {
                stack.push((program, true));
                stack.extend(self.needs[program].iter().map(|n| (*n, false)));
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(usize, usize)], size: usize) -> Graph {
        let mut graph = Graph {
            needs: vec![Vec::new(); size],
            needed_by: vec![Vec::new(); size],
        };
        for (a, b) in edges {
            graph.needs[*a].push(*b);
            graph.needed_by[*b].push(*a);
        }
        graph
    }

    #[test]
    fn what_is_needed_comes_first_and_each_program_once() {
        // web needs app and cache; app needs db and cache.
        let (web, app, cache, db) = (0, 1, 2, 3);
        let graph = graph(&[(web, app), (web, cache), (app, db), (app, cache)], 4);
        let order = graph.with_needs(&[web]);
        let place = |p: usize| {
            order
                .iter()
                .position(|x| *x == p)
                .expect("all four are needed")
        };
        assert_eq!(order.len(), 4);
        assert!(place(db) < place(app) && place(cache) < place(app) && place(app) < place(web));
        assert_eq!(graph.with_needs(&[db]), [db]);
        assert_eq!(graph.needed_by(cache), [web, app]);
    }

    #[test]
    fn a_long_chain_does_not_overflow_the_stack() {
        let edges: Vec<(usize, usize)> = (0..99_999).map(|i| (i, i + 1)).collect();
        assert_eq!(graph(&edges, 100_000).with_needs(&[0]).len(), 100_000);
    }
}
