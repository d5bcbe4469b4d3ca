//! Committing a snapshot, as often as it takes.
//!
//! A commit says what it expects of the table. When somebody else was faster, the table is loaded
//! again and the snapshot composed anew; its data files stay as they are. Every attempt has the
//! same snapshot id, so when an answer is lost, or the answer is a conflict with our own earlier
//! attempt, the reloaded table tells whether it was applied. Nothing is added twice.

use std::time::{Duration, Instant};

use iceberg::spec::{Snapshot, SnapshotReference, SnapshotRetention, TableMetadata};
use iceberg::table::Table;
use iceberg::{TableRequirement, TableUpdate};
use rat_iceberg::snapshot::SnapshotProducer;
use rat_types::TableIdent;

use crate::schema::Evolution;
use crate::{CatalogClient, Error};

/// When a commit that keeps losing is given up.
const MAX_ATTEMPTS: u32 = 100;
const MAX_TIME: Duration = Duration::from_secs(120);

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(1000);

/// On what a new snapshot builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// On whatever the branch, or else `main`, points to at that time.
    Head,
    /// On the state that the writer has seen, so that whoever publishes notices a change.
    Pinned(Option<i64>),
}

/// A snapshot to be committed to a branch.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    pub(crate) client: &'a CatalogClient,
    pub(crate) ident: &'a TableIdent,
    pub(crate) branch: &'a str,
    pub(crate) base: Base,
    pub(crate) evolution: &'a Evolution,
    /// Makes an added schema the current one. A run never does this; publishing does.
    pub(crate) set_current_schema: bool,
}

/// One attempt.
struct Proposal {
    snapshot: Snapshot,
    requirements: Vec<TableRequirement>,
    updates: Vec<TableUpdate>,
}

impl Change<'_> {
    /// Commits the producer's snapshot. `table` is the table as the writer has seen it.
    pub(crate) async fn commit(
        &self,
        table: Table,
        mut producer: SnapshotProducer,
    ) -> Result<Table, Error> {
        let result = self.attempts(table, &mut producer).await;
        match result {
            Ok((table, snapshot)) => {
                producer.clean_up(&snapshot).await;
                Ok(table)
            }
            // It may refer to what the producer wrote.
            Err(error @ Error::CommitStateUnknown { .. }) => Err(error),
            Err(error) => {
                producer.abandon().await;
                Err(error)
            }
        }
    }

    async fn attempts(
        &self,
        table: Table,
        producer: &mut SnapshotProducer,
    ) -> Result<(Table, Snapshot), Error> {
        let (seen, started) = (table.metadata_ref(), Instant::now());
        let mut current = table;
        let mut perhaps_applied = false;
        let mut attempt = 0;
        loop {
            let proposal = self.propose(&seen, current.metadata(), producer).await;
            let Proposal {
                snapshot,
                requirements,
                updates,
            } = proposal.map_err(|error| self.settled(error, perhaps_applied))?;
            let error = match self.client.commit(self.ident, requirements, updates).await {
                Ok(table) => return self.check_schema(table, snapshot),
                Err(error) => error,
            };
            // A refusal can mean that the snapshot, of which nobody heard, is there already.
            let refused = perhaps_applied && matches!(error, Error::Refused { .. });
            let raced = matches!(error, Error::Conflict { .. });
            let unknown = matches!(error, Error::CommitStateUnknown { .. });
            perhaps_applied |= unknown;
            if !(raced || unknown || refused || error.is_transient()) {
                return Err(self.settled(error, perhaps_applied));
            }

            tokio::time::sleep(pause(attempt)).await;
            attempt += 1;
            current = match self.client.load_table(self.ident).await {
                Ok(Some(table)) => table,
                Ok(None) => {
                    let error = Error::TableNotFound {
                        table: self.ident.clone(),
                    };
                    return Err(self.settled(error, perhaps_applied));
                }
                Err(error) => return Err(self.settled(error, perhaps_applied)),
            };
            let applied = current
                .metadata()
                .snapshot_by_id(snapshot.snapshot_id())
                .cloned();
            if let Some(snapshot) = applied {
                return self.check_schema(current, snapshot.as_ref().clone());
            }
            if refused || attempt >= MAX_ATTEMPTS || started.elapsed() > MAX_TIME {
                return Err(self.settled(error, perhaps_applied));
            }
            tracing::debug!(table = %self.ident, attempt, "commit is repeated");
        }
    }

    async fn propose(
        &self,
        seen: &TableMetadata,
        current: &TableMetadata,
        producer: &mut SnapshotProducer,
    ) -> Result<Proposal, Error> {
        self.check_columns(seen, current)?;
        let head = current
            .snapshot_for_ref(self.branch)
            .map(|head| head.snapshot_id());
        let main = current.current_snapshot_id();
        let base = match self.base {
            Base::Head => head.or(main),
            Base::Pinned(base) if base == main || base == head => base,
            Base::Pinned(_) => return Err(self.conflict("what the rows replace has changed")),
        };
        let snapshot = producer.produce(current, base).await;
        let snapshot = snapshot.map_err(|error| Error::composed(self.ident, error))?;

        let r#ref = self.branch.to_owned();
        let mut requirements = vec![
            TableRequirement::UuidMatch { uuid: seen.uuid() },
            TableRequirement::RefSnapshotIdMatch {
                r#ref,
                snapshot_id: head,
            },
        ];
        let mut updates = Vec::new();
        if self.evolution.is_new {
            requirements.push(TableRequirement::CurrentSchemaIdMatch {
                current_schema_id: seen.current_schema_id(),
            });
            requirements.push(TableRequirement::LastAssignedFieldIdMatch {
                last_assigned_field_id: seen.last_column_id(),
            });
            let schema = self.evolution.schema.as_ref().clone();
            updates.push(TableUpdate::AddSchema { schema });
            if self.set_current_schema {
                updates.push(TableUpdate::SetCurrentSchema { schema_id: -1 });
            }
        }
        updates.push(TableUpdate::AddSnapshot {
            snapshot: snapshot.clone(),
        });
        let retention = SnapshotRetention::branch(None, None, None);
        updates.push(TableUpdate::SetSnapshotRef {
            ref_name: self.branch.to_owned(),
            reference: SnapshotReference::new(snapshot.snapshot_id(), retention),
        });
        Ok(Proposal {
            snapshot,
            requirements,
            updates,
        })
    }

    /// The data files have field ids in them: when the table's columns were changed meanwhile in
    /// a way that touches these ids, the rows have to be written again.
    fn check_columns(&self, seen: &TableMetadata, current: &TableMetadata) -> Result<(), Error> {
        let id = self.evolution.schema.schema_id();
        let known = current.schema_by_id(id);
        let fits = match self.evolution.is_new {
            true => {
                known.is_none()
                    && current.last_column_id() == seen.last_column_id()
                    && current.current_schema_id() == seen.current_schema_id()
            }
            false => known.is_some_and(|known| self.is_ours(known)),
        };
        if fits && current.uuid() == seen.uuid() {
            return Ok(());
        }
        Err(self.conflict("its columns are not those that the rows were written for"))
    }

    /// No requirement of the protocol says which id an added schema gets.
    fn check_schema(&self, table: Table, snapshot: Snapshot) -> Result<(Table, Snapshot), Error> {
        let schema = snapshot
            .schema_id()
            .and_then(|id| table.metadata().schema_by_id(id));
        if schema.is_some_and(|schema| self.is_ours(schema)) {
            return Ok((table, snapshot));
        }
        Err(self.settled(self.conflict("the snapshot was given another schema"), true))
    }

    fn is_ours(&self, schema: &iceberg::spec::Schema) -> bool {
        schema.as_struct() == self.evolution.schema.as_struct()
    }

    fn conflict(&self, message: &str) -> Error {
        Error::Conflict {
            table: self.ident.clone(),
            message: message.to_owned(),
        }
    }

    /// The error to end with: while one attempt may still be applied, none other is certain.
    fn settled(&self, error: Error, perhaps_applied: bool) -> Error {
        if !perhaps_applied || matches!(error, Error::CommitStateUnknown { .. }) {
            return error;
        }
        Error::CommitStateUnknown {
            table: self.ident.clone(),
            source: Box::new(error),
        }
    }
}

/// Up to twice as long as before, at random, so that writers which collided once do not collide
/// again.
fn pause(attempt: u32) -> Duration {
    let longest = FIRST_PAUSE
        .saturating_mul(1 << attempt.min(10))
        .min(LONGEST_PAUSE);
    longest.mul_f64(rand::random_range(0.1..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for attempt in 0..100 {
            let pause = pause(attempt);
            assert!(pause <= LONGEST_PAUSE);
            assert!(pause <= FIRST_PAUSE * 2_u32.pow(attempt.min(10)));
            assert!(pause >= FIRST_PAUSE / 10);
        }
    }
}
