//! In what order pipelines have to run.

use std::collections::{BTreeMap, BTreeSet};

use rat_types::{Kind, TableIdent};

/// Pipelines that wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dependency cycle: {}", self.to_text())]
pub struct Cycle {
    /// Each pipeline reads the next; the last is the first again.
    pub path: Vec<TableIdent>,
}

impl Cycle {
    fn to_text(&self) -> String {
        self.path
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" → ")
    }

    /// Always the caller's mistake.
    pub fn kind(&self) -> Kind {
        Kind::InvalidArgument
    }

    /// Stable code.
    pub fn reason(&self) -> &'static str {
        "DEPENDENCY_CYCLE"
    }
}

/// Sorts pipelines into waves: every pipeline comes after all that it reads, and those of one
/// wave do not depend on each other. Sorted by name within a wave.
///
/// Tables that no given pipeline writes do not count, and neither does a pipeline reading its own
/// table, which is how an append looks at what is already there.
///
/// # Errors
/// [`Cycle`], with one of the cycles.
pub fn order(
    pipelines: impl IntoIterator<Item = (TableIdent, BTreeSet<TableIdent>)>,
) -> Result<Vec<Vec<TableIdent>>, Cycle> {
    let all: BTreeMap<TableIdent, BTreeSet<TableIdent>> = pipelines.into_iter().collect();
    let mut waiting: BTreeMap<&TableIdent, BTreeSet<&TableIdent>> = all
        .iter()
        .map(|(ident, refs)| {
            let open = refs
                .iter()
                .filter(|r| *r != ident && all.contains_key(*r))
                .collect();
            (ident, open)
        })
        .collect();
    let mut waves = Vec::new();
    while !waiting.is_empty() {
        let ready: BTreeSet<&TableIdent> = waiting
            .iter()
            .filter(|(_, open)| open.is_empty())
            .map(|(ident, _)| *ident)
            .collect();
        if ready.is_empty() {
            return Err(find_cycle(&waiting));
        }
        waiting.retain(|ident, _| !ready.contains(ident));
        for open in waiting.values_mut() {
            open.retain(|dependency| !ready.contains(dependency));
        }
        waves.push(ready.into_iter().cloned().collect());
    }
    Ok(waves)
}

/// Every pipeline left waits for another one left, so following any of them comes round.
fn find_cycle(waiting: &BTreeMap<&TableIdent, BTreeSet<&TableIdent>>) -> Cycle {
    let mut trail: Vec<&TableIdent> = Vec::new();
    let mut next = waiting.keys().next().copied();
    while let Some(ident) = next {
        if let Some(start) = trail.iter().position(|seen| *seen == ident) {
            let mut path = trail.split_off(start);
            let smallest = path
                .iter()
                .enumerate()
                .min_by_key(|(_, i)| **i)
                .map_or(0, |(at, _)| at);
            path.rotate_left(smallest);
            path.extend(path.first().copied());
            return Cycle {
                path: path.into_iter().cloned().collect(),
            };
        }
        trail.push(ident);
        next = waiting.get(ident).and_then(|open| open.first().copied());
    }
    Cycle {
        path: trail.into_iter().cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> Result<Vec<Vec<String>>, String> {
        let table = |name: &str| format!("n.bronze.{name}").parse::<TableIdent>().unwrap();
        order(
            edges
                .iter()
                .map(|(of, on)| (table(of), on.iter().map(|n| table(n)).collect())),
        )
        .map(|waves| {
            let text = |t: TableIdent| t.name.to_string();
            waves
                .into_iter()
                .map(|wave| wave.into_iter().map(text).collect())
                .collect()
        })
        .map_err(|cycle| cycle.to_string())
    }

    #[test]
    fn a_pipeline_comes_after_what_it_reads() {
        let waves = graph(&[
            ("d", &["b", "c"]),
            ("c", &["a"]),
            ("b", &["a"]),
            ("a", &["raw"]),
        ]);
        assert_eq!(
            waves.unwrap(),
            [
                vec!["a".to_owned()],
                vec!["b".to_owned(), "c".to_owned()],
                vec!["d".to_owned()]
            ]
        );
    }

    #[test]
    fn reading_its_own_table_is_no_cycle() {
        assert!(graph(&[("a", &["a"])]).is_ok());
    }

    #[test]
    fn a_cycle_is_named_in_the_direction_of_reading() {
        let message = graph(&[("x", &["c"]), ("c", &["b"]), ("b", &["a"]), ("a", &["c"])]);
        assert_eq!(
            message.unwrap_err(),
            "dependency cycle: n.bronze.a → n.bronze.c → n.bronze.b → n.bronze.a"
        );
    }
}
