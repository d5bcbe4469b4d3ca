//! Whether a pipeline depends on itself.

use std::collections::{HashMap, VecDeque};

use rat_types::TableIdent;

use crate::access::{Access, Resource};
use crate::fault::Fault;
use crate::state::AppState;

/// Pipelines that are looked at; a longer chain of dependencies is no pipeline's intention.
const MOST: usize = 10_000;

/// The way from `start` through its dependencies back to itself, if there is one.
pub(crate) async fn find_cycle(
    state: &AppState,
    start: &TableIdent,
) -> Result<Option<Vec<TableIdent>>, Fault> {
    let mut reader_of: HashMap<TableIdent, TableIdent> = HashMap::new();
    let mut open = VecDeque::from([start.clone()]);
    while let Some(reader) = open.pop_front() {
        for table in references_of(state, &reader).await? {
            if table == *start {
                return Ok(Some(way_back(&reader_of, start, reader)));
            }
            if reader_of.len() < MOST && !reader_of.contains_key(&table) {
                reader_of.insert(table.clone(), reader.clone());
                open.push_back(table);
            }
        }
    }
    Ok(None)
}

/// A cycle in words, with the names of those pipelines that the caller may read.
pub(crate) async fn describe(access: &Access, cycle: &[TableIdent]) -> Result<String, Fault> {
    let mut names = Vec::new();
    for ident in cycle {
        names.push(match access.reads(&Resource::pipeline(ident)).await? {
            true => ident.to_string(),
            false => "a pipeline that you may not read".to_owned(),
        });
    }
    Ok(format!("dependency cycle: {}", names.join(" → ")))
}

async fn references_of(state: &AppState, ident: &TableIdent) -> Result<Vec<TableIdent>, Fault> {
    let record = state.store.pipelines().get(ident).await?;
    match record.and_then(|record| record.source_hash) {
        Some(hash) => state.memory.references.of(&state.store, ident, &hash).await,
        None => Ok(Vec::new()),
    }
}

fn way_back(
    reader_of: &HashMap<TableIdent, TableIdent>,
    start: &TableIdent,
    last: TableIdent,
) -> Vec<TableIdent> {
    let mut way = vec![start.clone()];
    let mut next = Some(last);
    while let Some(ident) = next.filter(|ident| ident != start) {
        next = reader_of.get(&ident).cloned();
        way.push(ident);
    }
    way.push(start.clone());
    way.reverse();
    way
}
