//! Which tables a pipeline's sources refer to, remembered by the sources' hash.
//!
//! Lists of pipelines show it, and reading and rendering every pipeline for every list would be
//! slow. Sources that cannot be rendered refer to nothing; `validate` says what is wrong.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use chrono::Utc;
use rat_pipeline::{Pipeline, RenderContext};
use rat_store::Store;
use rat_types::TableIdent;

use crate::blocking::blocking;
use crate::fault::Fault;

/// Pipelines that are remembered; when there are more, all are forgotten.
const REMEMBERED: usize = 10_000;

/// The memory.
#[derive(Debug, Default)]
pub(crate) struct References {
    known: Mutex<HashMap<TableIdent, Known>>,
}

#[derive(Debug)]
struct Known {
    hash: String,
    tables: Vec<TableIdent>,
}

impl References {
    /// The tables that the sources of `pipeline` refer to, which have the hash `hash`.
    pub(crate) async fn of(
        &self,
        store: &Store,
        pipeline: &TableIdent,
        hash: &str,
    ) -> Result<Vec<TableIdent>, Fault> {
        if let Some(tables) = self.recall(pipeline, hash) {
            return Ok(tables);
        }
        let sources = store.files().pipeline_sources(pipeline).await?;
        let ident = pipeline.clone();
        let tables = blocking(move || read(&ident, &sources)).await?;
        // Somebody may have written between the two reads: only what belongs to the hash is kept.
        let known = Known {
            hash: hash.to_owned(),
            tables: tables.1.clone(),
        };
        if tables.0 == hash {
            self.remember(pipeline.clone(), known);
        }
        Ok(tables.1)
    }

    fn recall(&self, pipeline: &TableIdent, hash: &str) -> Option<Vec<TableIdent>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(pipeline)
            .filter(|known| known.hash == hash)
            .map(|known| known.tables.clone())
    }

    fn remember(&self, pipeline: TableIdent, entry: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(pipeline, entry);
    }
}

fn read(ident: &TableIdent, sources: &BTreeMap<String, String>) -> (String, Vec<TableIdent>) {
    let hash = rat_pipeline::source_hash(sources);
    let context = RenderContext {
        run_started_at: Utc::now(),
    };
    let references = Pipeline::parse(ident, sources)
        .ok()
        .and_then(|pipeline| pipeline.references(&context).ok())
        .unwrap_or_default();
    (hash, references.into_iter().collect())
}
