//! Publishing: a run's branch becomes `main` and goes, in one commit.
//!
//! Where `main` is still what the run started from, that is moving two references. Where somebody
//! else's commit came in between, an append is composed anew on top of it; anything else was
//! computed from what is no longer there, and has to be computed again ([`PublishOutcome::Conflict`]).
//!
//! Whether a run is published can be read from the table alone: a snapshot on `main` names it. So
//! the caller may die at any moment and ask again.

mod plan;

use iceberg::spec::{Snapshot, TableMetadata};
use rat_iceberg::snapshot::{self, Totals};
use rat_types::{RunId, TableIdent};

use crate::Error;
use crate::catalog::{ATTEMPTS, Catalog, LoadedTable, pause};
use crate::history::{ancestors, is_by};
use crate::leftovers::metadata_files;
use crate::rules::{self, Changed};

use plan::{Commit, Plan};

/// What became of publishing a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishOutcome {
    /// `main` shows the run's result now.
    Published(Publication),
    /// It did before; this call changed nothing that anybody can see.
    AlreadyPublished(Publication),
    /// The run has no snapshot: it failed before, it was discarded, or it had nothing to add.
    NothingToPublish,
    /// The table changed under the run. Discard it and execute it again.
    Conflict {
        /// What changed.
        reason: String,
    },
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The run's snapshot on `main`.
    pub snapshot_id: i64,
    /// Rows, files and bytes of the table at this snapshot.
    pub totals: Totals,
    /// Whether the run's append was composed anew on top of somebody else's commit.
    pub rebased: bool,
}

impl Catalog {
    /// Moves the `main` of `ident` to the result of `run` and drops the run's branch, in one
    /// commit. May be called again at any time.
    ///
    /// # Errors
    /// [`Error::CommitStateUnknown`]: ask again. Otherwise a file or the database failed, and
    /// nothing was published.
    pub async fn publish(&self, run: RunId, ident: &TableIdent) -> Result<PublishOutcome, Error> {
        let _turn = self.locks().lock(ident).await?;
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            if let Some(staged) = self.find_staged(ident, run).await? {
                if let Some(outcome) = self.publish_staged(run, &staged).await? {
                    return Ok(outcome);
                }
                continue;
            }
            let Some(table) = self.find_published(ident).await? else {
                return Ok(PublishOutcome::NothingToPublish);
            };
            let (changed, commit) = match self.plan(run, &table).await? {
                Plan::Done(outcome) => {
                    // Whoever published may have died before this.
                    if matches!(outcome, PublishOutcome::AlreadyPublished(_)) {
                        self.tidy_up(run, ident, table.metadata(), &[]).await;
                    }
                    return Ok(outcome);
                }
                Plan::Commit(commit) => *commit,
            };
            if let Some(outcome) = self.carry_out(run, &table, changed, commit).await? {
                return Ok(outcome);
            }
        }
        let reason = format!("others were faster {ATTEMPTS} times");
        Ok(PublishOutcome::Conflict { reason })
    }

    /// The snapshot on the `main` of `ident` that `run` made, if there is one.
    ///
    /// # Errors
    /// The table's metadata cannot be read, or the database fails.
    pub async fn published_snapshot(
        &self,
        run: RunId,
        ident: &TableIdent,
    ) -> Result<Option<i64>, Error> {
        let Some(table) = self.find_published(ident).await? else {
            return Ok(None);
        };
        let metadata = table.metadata();
        let snapshot = ancestors(metadata, metadata.current_snapshot_id())
            .find(|snapshot| is_by(snapshot, run));
        Ok(snapshot.map(Snapshot::snapshot_id))
    }

    /// A table that the run created becomes visible, with its first content.
    async fn publish_staged(
        &self,
        run: RunId,
        staged: &LoadedTable,
    ) -> Result<Option<PublishOutcome>, Error> {
        let (ident, metadata) = (&staged.ident, staged.metadata());
        if self.exists(ident).await? {
            if self.published_snapshot(run, ident).await?.is_some() {
                // An earlier call created it in the external catalog and died before it could
                // forget the staged table. What is published is looked at anew.
                self.discard_staged(run, ident, staged.location.clone())
                    .await?;
                return Ok(None);
            }
            let reason = format!("table {ident} was created by somebody else");
            return Ok(Some(PublishOutcome::Conflict { reason }));
        }
        let Some(snapshot) = metadata.snapshot_for_ref(&run.branch()) else {
            return Ok(Some(PublishOutcome::NothingToPublish));
        };
        let builder = self.move_main(run, staged, snapshot, snapshot.schema_id())?;
        let Some(changed) = rules::build(ident, builder)? else {
            return Ok(Some(PublishOutcome::NothingToPublish));
        };
        let publication = self
            .publication(&changed.metadata, ident, snapshot, false)
            .await?;
        let promoted = self.tables().promote(run, staged, &changed.metadata);
        match promoted.await {
            Ok(()) => {}
            // Somebody created the table or the namespace went: looked at anew.
            Err(Error::TableExists { .. } | Error::NoSuchNamespace { .. }) => {
                return self.missing_namespace(ident).await;
            }
            Err(error) => return Err(error),
        }
        self.tidy_up(run, ident, &changed.metadata, &[]).await;
        Ok(Some(PublishOutcome::Published(publication)))
    }

    /// Deletes what lost attempts of a published run wrote. It is published whether or not this
    /// succeeds.
    async fn tidy_up(
        &self,
        run: RunId,
        ident: &TableIdent,
        metadata: &TableMetadata,
        replaced: &[String],
    ) {
        let deleted = self.delete_leftovers(run, ident, Some(metadata), replaced);
        if let Err(error) = deleted.await {
            tracing::warn!(%run, table = %ident, %error, "files of lost attempts are left behind");
        }
    }

    /// `None` if the namespace is there, so that another attempt may come to an end.
    async fn missing_namespace(&self, ident: &TableIdent) -> Result<Option<PublishOutcome>, Error> {
        if self
            .store()
            .namespaces()
            .get(&ident.namespace)
            .await?
            .is_some()
        {
            return Ok(None);
        }
        let reason = format!("namespace {} was deleted", ident.namespace);
        Ok(Some(PublishOutcome::Conflict { reason }))
    }

    /// The commit itself. `None` if somebody outside this process was faster.
    async fn carry_out(
        &self,
        run: RunId,
        table: &LoadedTable,
        changed: Changed,
        commit: Commit,
    ) -> Result<Option<PublishOutcome>, Error> {
        let Commit {
            snapshot_id,
            rebased,
            replaced,
            was_published,
        } = commit;
        let replaced = metadata_files(self, table, &replaced).await;
        let swapped = match self.swap(table, &changed).await {
            Ok(swapped) => swapped,
            Err(error) => {
                if let (Some((producer, _)), false) =
                    (rebased, matches!(error, Error::CommitStateUnknown { .. }))
                {
                    producer.abandon().await;
                }
                return Err(error);
            }
        };
        let is_rebased = rebased.is_some();
        match (&swapped, rebased) {
            (Some(_), Some((producer, snapshot))) => producer.clean_up(&snapshot).await,
            (None, Some((producer, _))) => producer.abandon().await,
            (_, None) => {}
        }
        let Some(published) = swapped else {
            return Ok(None);
        };
        let metadata = published.metadata();
        self.tidy_up(run, &table.ident, metadata, &replaced).await;
        let Some(snapshot) = metadata.snapshot_by_id(snapshot_id) else {
            let message = format!("snapshot {snapshot_id} was published and is not there");
            return Err(Error::Damaged {
                table: table.ident.clone(),
                message,
            });
        };
        let publication = self
            .publication(metadata, &table.ident, snapshot, is_rebased)
            .await?;
        Ok(Some(match was_published {
            true => PublishOutcome::AlreadyPublished(publication),
            false => PublishOutcome::Published(publication),
        }))
    }

    async fn publication(
        &self,
        metadata: &TableMetadata,
        ident: &TableIdent,
        snapshot: &Snapshot,
        rebased: bool,
    ) -> Result<Publication, Error> {
        let totals = self.totals(metadata, ident, snapshot).await?;
        Ok(Publication {
            snapshot_id: snapshot.snapshot_id(),
            totals,
            rebased,
        })
    }

    pub(crate) async fn totals(
        &self,
        metadata: &TableMetadata,
        ident: &TableIdent,
        snapshot: &Snapshot,
    ) -> Result<Totals, Error> {
        snapshot::totals(self.file_io(), metadata, snapshot)
            .await
            .map_err(|source| Error::Snapshot {
                operation: "count the rows",
                table: ident.clone(),
                source,
            })
    }
}
