//! What publishing comes to, before anything is committed.

use std::collections::HashSet;

use iceberg::spec::{
    MAIN_BRANCH, Operation, Snapshot, SnapshotReference, SnapshotRetention, TableMetadata,
    TableMetadataBuilder,
};
use rat_iceberg::snapshot::{self, READ_SNAPSHOT_PROPERTY, SnapshotProducer};
use rat_types::{RunId, TableIdent};

use super::PublishOutcome;
use crate::Error;
use crate::catalog::{Catalog, LoadedTable};
use crate::history::{ancestors, is_by, only_of, refs};
use crate::rules::{self, Changed};

/// What a publish attempt came to before anything is written.
pub(super) enum Plan {
    Commit(Box<(Changed, Commit)>),
    Done(PublishOutcome),
}

pub(super) struct Commit {
    /// The run's snapshot on `main`.
    pub(super) snapshot_id: i64,
    /// The new snapshot's producer, to clean up after, and what it made.
    pub(super) rebased: Option<(SnapshotProducer, Snapshot)>,
    /// Snapshots that go with this commit.
    pub(super) replaced: HashSet<i64>,
    pub(super) was_published: bool,
}

impl Catalog {
    pub(super) async fn plan(&self, run: RunId, table: &LoadedTable) -> Result<Plan, Error> {
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
        if is_outdated(snapshot, main) {
            return Ok(conflict(
                "the table was changed by somebody else, and the run's rows were computed from it",
            ));
        }
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

    /// `main` shows `snapshot`, with the schema `schema` if one is given; the branch goes.
    pub(super) fn move_main(
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

/// Whether the run computed its rows from what its table was before somebody else changed it. On
/// top of that change they may be duplicates, or carry numbers that are taken.
fn is_outdated(snapshot: &Snapshot, main: Option<i64>) -> bool {
    let properties = &snapshot.summary().additional_properties;
    let read = properties.get(READ_SNAPSHOT_PROPERTY);
    let now = main.map_or_else(|| "none".to_owned(), |main| main.to_string());
    read.is_some_and(|read| *read != now)
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
