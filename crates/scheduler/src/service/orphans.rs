//! Branches and staged tables of runs that have ended.
//!
//! A run that ends while the catalog cannot be written leaves them behind, and so does a restored
//! backup of the database. Looked for at the start and then seldom: it opens every table.

use std::sync::Arc;

use rat_catalog::RunBranch;

use super::Shared;
use crate::retry::chain;

/// Removes them from time to time, until the process ends.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        remove(&shared).await;
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

async fn remove_one(shared: &Shared, RunBranch { run, ident }: &RunBranch) {
    match shared.store.runs().get(*run).await {
        Ok(Some(row)) if !row.status.is_terminal() => return,
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
