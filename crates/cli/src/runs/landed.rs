//! Whether the last success of a pipeline has seen the files that landed for it.
//!
//! The API does not tell which landing zones a pipeline reads, so its source is rendered here, as
//! `rat apply` does. Files that were deleted leave no trace and do not count.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use chrono::{DateTime, Utc};
use rat_pipeline::RenderContext;
use rat_types::{TableIdent, ZoneIdent};

use crate::apply::source;
use crate::client::{Client, Pipeline, Run};
use crate::landing;

/// Takes out of `successes` those of the `selected` pipelines that began before a file landed in
/// a zone that the pipeline reads.
///
/// # Errors
/// Whatever a request ended with.
pub async fn forget_unseen(
    client: &Client,
    selected: &BTreeSet<TableIdent>,
    all: &BTreeMap<TableIdent, Pipeline>,
    successes: &mut BTreeMap<TableIdent, Run>,
) -> Result<()> {
    let mut landed: BTreeMap<ZoneIdent, Option<DateTime<Utc>>> = BTreeMap::new();
    for ident in selected {
        let hash = all.get(ident).and_then(|p| p.source_hash.as_ref());
        let Some(last) = successes
            .get(ident)
            .filter(|last| last.source_hash.as_ref() == hash)
        else {
            continue; // it is stale whatever landed
        };
        let started = last.started_at;
        // What does not render says best by a run what is wrong with it.
        let zones = zones(client, ident).await?;
        let mut has_seen_all = zones.is_some();
        for zone in zones.into_iter().flatten() {
            if !landed.contains_key(&zone) {
                let files = landing::files(client, &zone).await?;
                let newest = files.values().filter_map(|file| file.uploaded_at).max();
                landed.insert(zone.clone(), newest);
            }
            if let Some(newest) = landed.get(&zone).copied().flatten() {
                has_seen_all &= started.is_some_and(|started| newest < started);
            }
        }
        if !has_seen_all {
            successes.remove(ident);
        }
    }
    Ok(())
}

/// The landing zones that a pipeline's query reads. `None`: that cannot be told.
async fn zones(client: &Client, ident: &TableIdent) -> Result<Option<BTreeSet<ZoneIdent>>> {
    let mut sources = BTreeMap::new();
    for file in ["pipeline.sql", "config.yaml"] {
        let text = source(client, ident, file).await?;
        if file == "pipeline.sql" && text.as_ref().is_some_and(|t| !t.contains("landing_zone")) {
            return Ok(Some(BTreeSet::new()));
        }
        sources.extend(text.map(|text| (file.to_owned(), text)));
    }
    let context = RenderContext {
        run_started_at: Utc::now(),
    };
    let rendered = rat_pipeline::Pipeline::parse(ident, &sources)
        .ok()
        .and_then(|pipeline| pipeline.render(&context).ok());
    Ok(rendered.map(|rendered| rendered.zones))
}
