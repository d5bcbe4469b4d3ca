//! Branches and staged tables of runs that have ended, and files of processes that were killed.
//!
//! A run that ends while the catalog cannot be written leaves the former behind, and so does a
//! restored backup of the database. Looked for at the start and then seldom: it opens every table.
//! For the files every folder of the lake is gone through, which is done once a day.

use std::sync::Arc;
use std::time::Duration;

use rat_catalog::RunBranch;
use tokio::time::Instant;

use super::Shared;
use crate::retry::chain;

const UNFINISHED_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// Removes them from time to time, until the process ends.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut next_walk = Instant::now();
    loop {
        remove(&shared).await;
        if next_walk <= Instant::now() {
            next_walk = Instant::now() + UNFINISHED_INTERVAL;
            remove_unfinished(&shared).await;
        }
        let pause = tokio::time::sleep(shared.config.orphans_interval);
        if shared.shutdown.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

async fn remove(shared: &Shared) {
    let search = shared
        .shutdown
        .run_until_cancelled(shared.catalog.run_branches());
    match search.await {
        Some(Ok(branches)) => {
            for branch in branches {
                if shared.shutdown.is_cancelled() {
                    return;
                }
                remove_one(shared, &branch).await;
            }
        }
        Some(Err(error)) => {
            tracing::warn!(error = %chain(&error), "failed to look for what ended runs left");
        }
        None => {}
    }
}

async fn remove_unfinished(shared: &Shared) {
    let walk = shared.catalog.remove_unfinished();
    if let Some(removed @ 1..) = shared.shutdown.run_until_cancelled(walk).await {
        tracing::info!(
            removed,
            "removed unfinished files of processes that were killed"
        );
    }
}

async fn remove_one(shared: &Shared, RunBranch { run, ident }: &RunBranch) {
    match shared.store.runs().get(*run).await {
        Ok(Some(row)) if !row.status.is_terminal() => return,
        // Another RAT's, which may be executing it.
        Ok(None) if shared.catalog.is_shared() => return,
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(%run, error = %chain(&error), "failed to read a run");
            return;
        }
    }
    match shared.catalog.discard(*run, ident).await {
        Ok(_) => tracing::info!(%run, table = %ident, "removed what an ended run had left"),
        Err(error) => {
            tracing::warn!(%run, table = %ident, error = %chain(&error), "failed to clean up");
        }
    }
}
