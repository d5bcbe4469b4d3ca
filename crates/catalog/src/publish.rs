//! Publishing: a run's branch becomes `main` and goes, in one commit.
//!
//! Where `main` is still what the run started from, that is moving two references. Where somebody
//! else's commit came in between, an append is composed anew on top of it; anything else was
//! computed from what is no longer there, and has to be computed again ([`PublishOutcome::Conflict`]).
//!
//! Whether a run is published can be read from the table alone: a snapshot on `main` names it. So
//! the caller may die at any moment and ask again.

use std::collections::HashSet;

use iceberg::spec::{
    MAIN_BRANCH, Operation, Snapshot, SnapshotReference, SnapshotRetention, TableMetadata,
    TableMetadataBuilder,
};
use rat_iceberg::snapshot::{self, SnapshotProducer, Totals};
use rat_types::{RunId, TableIdent};

use crate::Error;
use crate::catalog::{ATTEMPTS, Catalog, LoadedTable, Pointer, pause};
use crate::history::{ancestors, is_by, only_of, refs};
use crate::rules::{self, Changed};

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

/// What a publish attempt came to before anything is written.
enum Plan {
    Commit(Box<(Changed, Commit)>),
    Done(PublishOutcome),
}

struct Commit {
    /// The run's snapshot on `main`.
    snapshot_id: i64,
    /// The new snapshot's producer, to clean up after, and what it made.
    rebased: Option<(SnapshotProducer, Snapshot)>,
    /// Snapshots that go with this commit.
    replaced: HashSet<i64>,
    was_published: bool,
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
            if let Some(staged) = self.find_at(ident, Pointer::Staged(run)).await? {
                if let Some(outcome) = self.publish_staged(run, &staged).await? {
                    return Ok(outcome);
                }
                continue;
            }
            let Some(table) = self.find_at(ident, Pointer::Published).await? else {
                return Ok(PublishOutcome::NothingToPublish);
            };
            let (changed, commit) = match self.plan(run, &table).await? {
                Plan::Done(outcome) => return Ok(outcome),
                Plan::Commit(commit) => *commit,
            };
            if let Some(outcome) = self.carry_out(&table, changed, commit).await? {
                return Ok(outcome);
            }
        }
        let reason = format!("others were faster {ATTEMPTS} times");
        Ok(PublishOutcome::Conflict { reason })
    }

    /// A table that the run created becomes visible, with its first content.
    async fn publish_staged(
        &self,
        run: RunId,
        staged: &LoadedTable,
    ) -> Result<Option<PublishOutcome>, Error> {
        let (ident, metadata) = (&staged.ident, staged.metadata());
        if self.location(ident, Pointer::Published).await?.is_some() {
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
        let location = staged.next_location(&changed.metadata);
        let location = self.write_metadata(&location, &changed.metadata).await?;
        match self
            .store()
            .tables()
            .promote_staged(run, ident, &location)
            .await
        {
            Ok(()) => {}
            // Somebody created the table or the namespace went: looked at anew.
            Err(rat_store::Error::AlreadyExists { .. } | rat_store::Error::NotFound { .. }) => {
                self.delete_file(&location).await;
                return self.missing_namespace(ident).await;
            }
            Err(error) => {
                self.confirm(ident, Pointer::Published, &location, error)
                    .await?
            }
        }
        Ok(Some(PublishOutcome::Published(publication)))
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

    async fn plan(&self, run: RunId, table: &LoadedTable) -> Result<Plan, Error> {
        let metadata = table.metadata();
        let main = metadata.current_snapshot_id();
        let published = ancestors(metadata, main).find(|snapshot| is_by(snapshot, run));
        let branch = metadata.snapshot_for_ref(&run.branch());
        let snapshot = match (published, branch) {
            (Some(published), Some(_)) => return self.plan_move(run, table, published, None, true),
            (Some(published), None) => {
                let publication = self
                    .publication(metadata, &table.ident, published, false)
                    .await?;
                return Ok(Plan::Done(PublishOutcome::AlreadyPublished(publication)));
            }
            (None, Some(branch)) => branch,
            (None, None) => return Ok(Plan::Done(PublishOutcome::NothingToPublish)),
        };
        // What the run started from.
        let base = ancestors(metadata, Some(snapshot.snapshot_id()))
            .find(|ancestor| !is_by(ancestor, run));
        let schema = match schema_move(metadata, snapshot, base) {
            SchemaMove::Keep => None,
            SchemaMove::Set(id) => Some(id),
            SchemaMove::Conflict => {
                return Ok(conflict("the table's schema was changed by somebody else"));
            }
        };
        let base = base.map(Snapshot::snapshot_id);
        if main == base {
            return self.plan_move(run, table, snapshot, schema, false);
        }
        let went_back = base.is_some_and(|base| {
            ancestors(metadata, main).all(|ancestor| ancestor.snapshot_id() != base)
        });
        if went_back {
            return Ok(conflict("the table was set back by somebody else"));
        }
        self.plan_rebase(run, table, snapshot, schema).await
    }

    /// `main` moves along the branch, or stays where it is if that is where the run's result is.
    fn plan_move(
        &self,
        run: RunId,
        table: &LoadedTable,
        snapshot: &Snapshot,
        schema: Option<i32>,
        was_published: bool,
    ) -> Result<Plan, Error> {
        let kept: HashSet<i64> = ancestors(table.metadata(), Some(snapshot.snapshot_id()))
            .map(Snapshot::snapshot_id)
            .collect();
        let mut replaced = only_of(table, run)?;
        replaced.retain(|id| !kept.contains(id));
        let builder = match was_published {
            true => table.builder().remove_ref(&run.branch()),
            false => self.move_main(run, table, snapshot, schema)?,
        };
        let builder = builder.remove_snapshots(&replaced.iter().copied().collect::<Vec<_>>());
        let snapshot_id = snapshot.snapshot_id();
        let rebased = None;
        commit_plan(
            table,
            builder,
            Commit {
                snapshot_id,
                rebased,
                replaced,
                was_published,
            },
        )
    }

    async fn plan_rebase(
        &self,
        run: RunId,
        table: &LoadedTable,
        snapshot: &Snapshot,
        schema: Option<i32>,
    ) -> Result<Plan, Error> {
        let (ident, metadata) = (&table.ident, table.metadata());
        let main = metadata.current_snapshot_id();
        let head = snapshot.snapshot_id();
        let rebase = SnapshotProducer::rebase(self.file_io().clone(), metadata, head, main).await;
        let mut producer = match rebase {
            Ok(producer) => producer,
            Err(snapshot::Error::NotAnAppend { .. }) => {
                return Ok(conflict(
                    "the table was changed by somebody else, and the run's result replaces it",
                ));
            }
            Err(source) => return Err(not_rebased(ident, source)),
        };
        let produced = producer.produce(metadata, main).await;
        let rebased = match produced {
            Ok(rebased) => rebased,
            Err(source) => {
                producer.abandon().await;
                return Err(not_rebased(ident, source));
            }
        };
        let replaced = only_of(table, run)?;
        let build = || {
            let mut builder = table.builder();
            if let Some(id) = schema {
                builder = builder.set_current_schema(id)?;
            }
            let builder = builder.set_branch_snapshot(rebased.clone(), MAIN_BRANCH)?;
            let builder = builder.remove_ref(&run.branch());
            iceberg::Result::Ok(
                builder.remove_snapshots(&replaced.iter().copied().collect::<Vec<_>>()),
            )
        };
        let builder = match build() {
            Ok(builder) => builder,
            Err(error) => {
                producer.abandon().await;
                return Err(Error::refused(ident, "the rebased snapshot", &error));
            }
        };
        let snapshot_id = rebased.snapshot_id();
        let rebased = Some((producer, rebased));
        commit_plan(
            table,
            builder,
            Commit {
                snapshot_id,
                rebased,
                replaced,
                was_published: false,
            },
        )
    }

    /// The commit itself. `None` if somebody outside this process was faster.
    async fn carry_out(
        &self,
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
        self.delete_manifests(table, &replaced).await;
        let metadata = published.metadata();
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

    /// `main` shows `snapshot`, with the schema `schema` if one is given; the branch goes.
    fn move_main(
        &self,
        run: RunId,
        table: &LoadedTable,
        snapshot: &Snapshot,
        schema: Option<i32>,
    ) -> Result<TableMetadataBuilder, Error> {
        let retention = refs(table)?
            .into_iter()
            .find(|(name, _)| name == MAIN_BRANCH)
            .map_or_else(
                || SnapshotRetention::branch(None, None, None),
                |(_, main)| main.retention,
            );
        let reference = SnapshotReference::new(snapshot.snapshot_id(), retention);
        let build = || {
            let mut builder = table.builder();
            if let Some(id) = schema {
                builder = builder.set_current_schema(id)?;
            }
            builder.set_ref(MAIN_BRANCH, reference)
        };
        let builder =
            build().map_err(|error| Error::refused(&table.ident, "publishing", &error))?;
        Ok(builder.remove_ref(&run.branch()))
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

fn commit_plan(
    table: &LoadedTable,
    builder: TableMetadataBuilder,
    commit: Commit,
) -> Result<Plan, Error> {
    Ok(match rules::build(&table.ident, builder)? {
        Some(changed) => Plan::Commit(Box::new((changed, commit))),
        None => Plan::Done(PublishOutcome::NothingToPublish),
    })
}

fn conflict(reason: &str) -> Plan {
    Plan::Done(PublishOutcome::Conflict {
        reason: reason.to_owned(),
    })
}

fn not_rebased(ident: &TableIdent, source: snapshot::Error) -> Error {
    Error::Snapshot {
        operation: "rebase the run's append",
        table: ident.clone(),
        source,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum SchemaMove {
    Keep,
    Set(i32),
    Conflict,
}

/// What publishing does to the current schema.
///
/// A result that replaces the table brings its own schema. An append leaves the schema alone
/// unless the run itself changed it, and never undoes somebody else's change.
fn schema_move(
    metadata: &TableMetadata,
    snapshot: &Snapshot,
    base: Option<&Snapshot>,
) -> SchemaMove {
    let current = metadata.current_schema_id();
    let Some(own) = snapshot.schema_id().filter(|id| *id != current) else {
        return SchemaMove::Keep;
    };
    if snapshot.summary().operation != Operation::Append {
        return SchemaMove::Set(own);
    }
    if base.and_then(Snapshot::schema_id) == Some(own) {
        return SchemaMove::Keep;
    }
    // Ids are given in order: a current schema with a higher one came after the run's.
    if current > own {
        SchemaMove::Conflict
    } else {
        SchemaMove::Set(own)
    }
}
