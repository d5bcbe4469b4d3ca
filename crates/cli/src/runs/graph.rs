//! Which pipelines run, and when each may start.

use std::collections::{BTreeMap, BTreeSet};

use rat_types::{RunStatus, TableIdent};

use crate::client::{Pipeline, Run};

/// The selected pipelines and what each has to wait for.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    waits_for: BTreeMap<TableIdent, BTreeSet<TableIdent>>,
}

impl Graph {
    /// The graph of `selected` among `all` pipelines. A selected pipeline also waits for one that
    /// it only reads by way of pipelines that are not selected.
    ///
    /// # Errors
    /// A dependency cycle among the selected.
    pub fn new(
        all: &BTreeMap<TableIdent, Pipeline>,
        selected: &BTreeSet<TableIdent>,
    ) -> Result<Self, rat_pipeline::Cycle> {
        let depends: BTreeMap<&TableIdent, BTreeSet<TableIdent>> = all
            .iter()
            .map(|(ident, pipeline)| {
                let names = pipeline
                    .depends_on
                    .iter()
                    .filter_map(|name| name.parse().ok());
                (ident, names.filter(|other| other != ident).collect())
            })
            .collect();
        let waits_for: BTreeMap<TableIdent, BTreeSet<TableIdent>> = selected
            .iter()
            .map(|ident| (ident.clone(), reachable(ident, &depends, selected)))
            .collect();
        rat_pipeline::order(waits_for.clone())?;
        Ok(Self { waits_for })
    }

    /// What the pipelines wait for.
    pub fn waits_for(&self) -> &BTreeMap<TableIdent, BTreeSet<TableIdent>> {
        &self.waits_for
    }

    /// Leaves only the pipelines that are stale: without a success, with sources that the last
    /// success did not have, or with an input that is newer or stale itself.
    pub fn retain_stale(
        &mut self,
        all: &BTreeMap<TableIdent, Pipeline>,
        successes: &BTreeMap<TableIdent, Run>,
    ) {
        let mut stale: BTreeSet<TableIdent> = BTreeSet::new();
        let waves = rat_pipeline::order(self.waits_for.clone()).unwrap_or_default();
        for ident in waves.into_iter().flatten() {
            let inputs = all
                .get(&ident)
                .map(|pipeline| pipeline.depends_on.as_slice());
            let inputs: Vec<TableIdent> = inputs
                .unwrap_or_default()
                .iter()
                .filter_map(|name| name.parse().ok())
                .collect();
            let waits = self.waits_for.get(&ident).into_iter().flatten();
            let is_stale = match successes.get(&ident) {
                None => true,
                Some(last) => {
                    last.source_hash != all.get(&ident).and_then(|p| p.source_hash.clone())
                        || waits.into_iter().any(|input| stale.contains(input))
                        || inputs
                            .iter()
                            .filter(|input| **input != ident)
                            .filter_map(|input| successes.get(input))
                            .any(|input| input.finished_at > last.started_at)
                }
            };
            if is_stale {
                stale.insert(ident);
            }
        }
        self.waits_for.retain(|ident, _| stale.contains(ident));
        for waits in self.waits_for.values_mut() {
            waits.retain(|other| stale.contains(other));
        }
    }
}

/// Selected pipelines that `from` reads, directly or through pipelines that are not selected.
fn reachable(
    from: &TableIdent,
    depends: &BTreeMap<&TableIdent, BTreeSet<TableIdent>>,
    selected: &BTreeSet<TableIdent>,
) -> BTreeSet<TableIdent> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::from([from]);
    let mut open: Vec<&TableIdent> = vec![from];
    while let Some(ident) = open.pop() {
        for next in depends.get(ident).into_iter().flatten() {
            if !seen.insert(next) {
                continue;
            }
            match selected.contains(next) {
                true => drop(found.insert(next.clone())),
                false => open.push(next),
            }
        }
    }
    found
}

/// How far a set of pipelines has come: what may start next, what never will.
#[derive(Debug, Clone)]
pub struct Progress {
    waiting: BTreeMap<TableIdent, BTreeSet<TableIdent>>,
    stopped: bool,
}

impl Progress {
    /// Nothing has started yet.
    pub fn new(graph: &Graph) -> Self {
        Self {
            waiting: graph.waits_for.clone(),
            stopped: false,
        }
    }

    /// Takes one pipeline that may start now.
    pub fn take_ready(&mut self) -> Option<TableIdent> {
        if self.stopped {
            return None;
        }
        let ident = self
            .waiting
            .iter()
            .find(|(_, open)| open.is_empty())?
            .0
            .clone();
        self.waiting.remove(&ident);
        Some(ident)
    }

    /// Notes how a pipeline ended; answers with the pipelines that can no longer run.
    pub fn ended(&mut self, ident: &TableIdent, status: Option<RunStatus>) -> Vec<TableIdent> {
        if status == Some(RunStatus::Success) {
            for open in self.waiting.values_mut() {
                open.remove(ident);
            }
            return Vec::new();
        }
        let mut skipped = Vec::new();
        let mut lost = BTreeSet::from([ident.clone()]);
        while let Some(victim) = self
            .waiting
            .iter()
            .find(|(_, open)| !open.is_disjoint(&lost))
            .map(|(i, _)| i.clone())
        {
            self.waiting.remove(&victim);
            lost.insert(victim.clone());
            skipped.push(victim);
        }
        skipped
    }

    /// Nothing more may start; answers with what never started.
    pub fn stop(&mut self) -> Vec<TableIdent> {
        self.stopped = true;
        std::mem::take(&mut self.waiting).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ident(name: &str) -> TableIdent {
        format!("n.bronze.{name}").parse().unwrap()
    }

    fn pipelines(edges: &[(&str, &[&str])]) -> BTreeMap<TableIdent, Pipeline> {
        edges
            .iter()
            .map(|(name, on)| {
                let on: Vec<String> = on.iter().map(|other| ident(other).to_string()).collect();
                let text = serde_json::json!({"namespace": "n", "layer": "bronze", "name": name,
                    "depends_on": on, "source_hash": format!("hash-{name}")});
                (ident(name), serde_json::from_value(text).unwrap())
            })
            .collect()
    }

    fn graph(all: &BTreeMap<TableIdent, Pipeline>, selected: &[&str]) -> Graph {
        Graph::new(all, &selected.iter().map(|name| ident(name)).collect()).unwrap()
    }

    fn names(idents: impl IntoIterator<Item = TableIdent>) -> Vec<String> {
        idents
            .into_iter()
            .map(|ident| ident.name.to_string())
            .collect()
    }

    #[test]
    fn a_pipeline_starts_when_all_that_it_reads_has_succeeded() {
        let all = pipelines(&[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])]);
        let mut progress = Progress::new(&graph(&all, &["a", "b", "c", "d"]));
        assert_eq!(progress.take_ready(), Some(ident("a")));
        assert_eq!(progress.take_ready(), None);
        progress.ended(&ident("a"), Some(RunStatus::Success));
        assert_eq!(
            (progress.take_ready(), progress.take_ready()),
            (Some(ident("b")), Some(ident("c")))
        );
        progress.ended(&ident("b"), Some(RunStatus::Success));
        assert_eq!(progress.take_ready(), None);
        progress.ended(&ident("c"), Some(RunStatus::Success));
        assert_eq!(progress.take_ready(), Some(ident("d")));
    }

    #[test]
    fn everything_downstream_of_a_failure_is_skipped_and_nothing_else() {
        let all = pipelines(&[
            ("a", &[]),
            ("b", &["a"]),
            ("c", &["b"]),
            ("x", &[]),
            ("y", &["x"]),
        ]);
        let mut progress = Progress::new(&graph(&all, &["a", "b", "c", "x", "y"]));
        assert_eq!(
            (progress.take_ready(), progress.take_ready()),
            (Some(ident("a")), Some(ident("x")))
        );
        assert_eq!(
            names(progress.ended(&ident("a"), Some(RunStatus::Failed))),
            ["b", "c"]
        );
        progress.ended(&ident("x"), Some(RunStatus::Success));
        assert_eq!(
            (progress.take_ready(), progress.take_ready()),
            (Some(ident("y")), None)
        );
    }

    #[test]
    fn order_holds_across_pipelines_that_are_not_selected() {
        let all = pipelines(&[("a", &[]), ("b", &["a"]), ("c", &["b"])]);
        let graph = graph(&all, &["a", "c"]);
        assert_eq!(graph.waits_for()[&ident("c")], BTreeSet::from([ident("a")]));
    }

    #[test]
    fn reading_its_own_table_makes_nobody_wait() {
        let all = pipelines(&[("a", &["a"])]);
        assert_eq!(
            Progress::new(&graph(&all, &["a"])).take_ready(),
            Some(ident("a"))
        );
    }

    fn success(name: &str, hash: &str, started: &str, finished: &str) -> (TableIdent, Run) {
        let text = serde_json::json!({"id": "019a0000-0000-7000-8000-000000000000",
            "status": "success", "source_hash": hash,
            "started_at": format!("2026-01-01T00:00:{started}Z"),
            "finished_at": format!("2026-01-01T00:00:{finished}Z")});
        (ident(name), serde_json::from_value(text).unwrap())
    }

    #[test]
    fn what_ran_with_the_same_sources_after_its_inputs_is_not_stale() {
        let all = pipelines(&[("a", &[]), ("b", &["a"]), ("c", &["b"])]);
        let fresh = [
            success("a", "hash-a", "00", "10"),
            success("b", "hash-b", "11", "20"),
            success("c", "hash-c", "21", "30"),
        ];
        let stale = |changes: &[(TableIdent, Run)], missing: &[&str]| {
            let mut successes: BTreeMap<_, _> = fresh.iter().cloned().collect();
            successes.extend(changes.iter().cloned());
            missing
                .iter()
                .for_each(|name| drop(successes.remove(&ident(name))));
            let mut graph = graph(&all, &["a", "b", "c"]);
            graph.retain_stale(&all, &successes);
            names(graph.waits_for().keys().cloned())
        };
        assert_eq!(stale(&[], &[]), Vec::<String>::new());
        assert_eq!(stale(&[], &["c"]), ["c"]);
        assert_eq!(stale(&[success("b", "other", "11", "20")], &[]), ["b", "c"]);
        assert_eq!(
            stale(&[success("a", "hash-a", "40", "50")], &[]),
            ["b", "c"]
        );
    }
}
