//! What a run's end changes in the lake: its result becomes the table, or nothing of it stays.
//!
//! Neither may keep a run from ending for ever, because a run that has not ended blocks its
//! pipeline: what cannot succeed fails at once, and what might is tried for a limited time.

use std::time::Duration;

use rat_catalog::{DiscardOutcome, Error, PublishOutcome};
use rat_types::{Kind, RunFailure, RunOutcome};
use tokio::time::Instant;

use super::Task;
use crate::backoff::Backoff;
use crate::retry::{self, Halt};

/// Nobody knows why publishing did not succeed in time.
const PUBLISH_FAILED: &str = "PUBLISH_FAILED";
/// Tries to clean up after a run that is not published.
const DISCARD_TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// How publishing ended.
pub(super) enum Published {
    /// The snapshot on `main`; `None` where the run had nothing to add.
    Yes(Option<i64>),
    Conflict(String),
    /// Somebody did not want to wait for it any longer, and nothing of the run is left.
    Cancelled,
    No(RunFailure),
}

/// Whether something of a run is left in the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    /// Nothing.
    Yes,
    /// Its result is on `main`, and stays.
    Published,
    /// The lake or the database failed too often.
    Unknown,
}

impl Task {
    /// The wish to cancel counts until publishing begins; the row knows it, whoever noted it.
    pub(super) async fn is_cancelled(&self) -> Result<bool, Halt> {
        let runs = self.shared.store.runs();
        let row = retry::store("read a run", &self.shared.shutdown, || {
            runs.get(self.run.id)
        })
        .await?;
        Ok(row.is_some_and(|row| row.cancel_requested))
    }

    /// Publishes, and tries again while that may help: after a failure nobody knows whether the
    /// commit went through, and publishing again answers that.
    pub(super) async fn publish(&self, outcome: &RunOutcome) -> Result<Published, Halt> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LAST_PAUSE);
        let began = Instant::now();
        loop {
            let catalog = &self.shared.catalog;
            let error = match catalog.publish(self.run.id, &self.run.pipeline).await {
                Ok(published) => return Ok(read(published, outcome)),
                Err(error) => error,
            };
            if error.kind() == Kind::Conflict {
                return Ok(Published::Conflict(error.to_string()));
            }
            if error.is_permanent() || !retry::is_transient(error.kind()) {
                let failure = RunFailure::new(error.reason(), retry::chain(&error));
                return Ok(self.give_up(failure).await);
            }
            tracing::warn!(
                run = %self.run.id, error = %retry::chain(&error),
                "publishing failed, trying again"
            );
            // A commit that may be under way is not called back.
            let is_settled = !matches!(error, Error::CommitStateUnknown { .. });
            if is_settled && self.is_cancelled().await? && self.discard().await? == Removed::Yes {
                return Ok(Published::Cancelled);
            }
            let limit = self.shared.config.publish_for;
            if began.elapsed() >= limit {
                let message = format!(
                    "publishing was given up after {} s: {}",
                    limit.as_secs(),
                    retry::chain(&error)
                );
                return Ok(self.give_up(RunFailure::new(PUBLISH_FAILED, message)).await);
            }
            retry::pause_or_halt(backoff.pause(), &self.shared.shutdown).await?;
        }
    }

    /// The run fails, unless its result turns out to be on `main` all the same.
    async fn give_up(&self, failure: RunFailure) -> Published {
        let (run, table) = (self.run.id, &self.run.pipeline);
        tracing::error!(
            %run, %table, code = %failure.code, message = %failure.message,
            "a result cannot be published"
        );
        match self.shared.catalog.published_snapshot(run, table).await {
            Ok(Some(snapshot)) => Published::Yes(Some(snapshot)),
            Ok(None) => Published::No(failure),
            Err(error) => {
                tracing::warn!(
                    %run, error = %retry::chain(&error),
                    "failed to see whether a result was published"
                );
                Published::No(failure)
            }
        }
    }

    /// Removes what the run left in the lake. What cannot be removed costs space and is never
    /// seen: it must not keep the run from ending. A published result stays.
    pub(super) async fn discard(&self) -> Result<Removed, Halt> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LAST_PAUSE);
        for attempt in 1..=DISCARD_TRIES {
            let catalog = &self.shared.catalog;
            let error = match catalog.discard(self.run.id, &self.run.pipeline).await {
                Ok(DiscardOutcome::Discarded) => return Ok(Removed::Yes),
                Ok(DiscardOutcome::AlreadyPublished) => return Ok(Removed::Published),
                Err(error) => error,
            };
            tracing::warn!(
                run = %self.run.id, attempt, error = %retry::chain(&error),
                "failed to remove what a run left"
            );
            let may_help = retry::is_transient(error.kind()) || error.kind() == Kind::Conflict;
            if error.is_permanent() || !may_help {
                break;
            }
            retry::pause_or_halt(backoff.pause(), &self.shared.shutdown).await?;
        }
        Ok(Removed::Unknown)
    }

    /// A table that nobody owns belongs to the owner of its pipeline.
    pub(super) async fn own_table(&self) -> Result<(), Halt> {
        let store = &self.shared.store;
        let table = &self.run.pipeline;
        retry::store(
            "store the owner of a table",
            &self.shared.shutdown,
            || async {
                match store.pipelines().get(table).await? {
                    Some(pipeline) => {
                        let described = store.table_metadata();
                        described.claim(table, &pipeline.owner).await.map(drop)
                    }
                    None => Ok(()),
                }
            },
        )
        .await
    }
}

/// What the catalog's answer means for a run with this outcome.
fn read(published: PublishOutcome, outcome: &RunOutcome) -> Published {
    match published {
        PublishOutcome::Published(publication) | PublishOutcome::AlreadyPublished(publication) => {
            Published::Yes(Some(publication.snapshot_id))
        }
        PublishOutcome::NothingToPublish if outcome.snapshot_id.is_none() => Published::Yes(None),
        // A ratd that died while it sent the run round again had discarded the branch already.
        PublishOutcome::NothingToPublish => {
            Published::Conflict("the branch of the run is not there any more".to_owned())
        }
        PublishOutcome::Conflict { reason } => Published::Conflict(reason),
    }
}
