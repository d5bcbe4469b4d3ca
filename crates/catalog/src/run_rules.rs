//! What a run may do to its table, beyond what everybody has to obey.
//!
//! A run adds schemas and exactly one snapshot, and makes that the head of its own branch. It never
//! touches `main`, the current schema, properties or anything else that somebody outside the run
//! could see. Its snapshot may add files that lie in the run's own folders of the table, one for
//! data and one for manifests, and carry over what its parent had; so discarding the run is
//! deleting these folders, and no run can make the table show another table's data.

use std::collections::HashSet;

use iceberg::TableUpdate;
use iceberg::spec::{
    MAIN_BRANCH, Schema, Snapshot, SnapshotReference, SnapshotRetention, TableMetadata,
};
use rat_iceberg::snapshot::{RUN_ID_PROPERTY, added_paths, live_files};
use rat_iceberg::{is_inside, run_data_folder, run_metadata_folder};

use crate::catalog::{Catalog, LoadedTable};
use crate::history::{ancestors, head, is_by};
use crate::request::{Change, Update};
use crate::rules::action;
use crate::{Error, RunScope};

/// Checks which updates there are; the state of the table does not matter for that.
///
/// # Errors
/// [`Error::Forbidden`] that names the update.
pub(crate) fn check_updates(scope: &RunScope, change: &Change) -> Result<(), Error> {
    let mut added = None;
    for Update { update, .. } in &change.updates {
        match update {
            TableUpdate::AddSchema { .. } => {}
            TableUpdate::AddSnapshot { snapshot } => {
                if added.replace(snapshot).is_some() {
                    return Err(forbidden(scope, "add more than one snapshot at once"));
                }
            }
            TableUpdate::SetSnapshotRef {
                ref_name,
                reference,
            } => {
                check_ref(scope, ref_name, reference)?;
            }
            TableUpdate::UpgradeFormatVersion { .. }
            | TableUpdate::AssignUuid { .. }
            | TableUpdate::SetCurrentSchema { .. }
            | TableUpdate::AddSpec { .. }
            | TableUpdate::SetDefaultSpec { .. }
            | TableUpdate::AddSortOrder { .. }
            | TableUpdate::SetDefaultSortOrder { .. }
            | TableUpdate::RemoveSnapshots { .. }
            | TableUpdate::RemoveSnapshotRef { .. }
            | TableUpdate::SetLocation { .. }
            | TableUpdate::SetProperties { .. }
            | TableUpdate::RemoveProperties { .. }
            | TableUpdate::RemovePartitionSpecs { .. }
            | TableUpdate::SetStatistics { .. }
            | TableUpdate::RemoveStatistics { .. }
            | TableUpdate::SetPartitionStatistics { .. }
            | TableUpdate::RemovePartitionStatistics { .. }
            | TableUpdate::RemoveSchemas { .. }
            | TableUpdate::AddEncryptionKey { .. }
            | TableUpdate::RemoveEncryptionKey { .. } => {
                return Err(forbidden(
                    scope,
                    &format!("make the update {}", action(update)),
                ));
            }
        }
    }
    let becomes_head = |snapshot: &Snapshot| {
        change.updates.iter().any(|update| {
            matches!(&update.update, TableUpdate::SetSnapshotRef { reference, .. }
                if reference.snapshot_id == snapshot.snapshot_id())
        })
    };
    match added {
        Some(snapshot) if !becomes_head(snapshot) => Err(forbidden(
            scope,
            "add a snapshot that does not become the head of its branch",
        )),
        _ => Ok(()),
    }
}

fn check_ref(scope: &RunScope, name: &str, reference: &SnapshotReference) -> Result<(), Error> {
    let branch = scope.run_id.branch();
    if name != branch {
        return Err(forbidden(
            scope,
            &format!("set the ref {name:?}, only {branch:?}"),
        ));
    }
    let plain = SnapshotRetention::branch(None, None, None);
    if reference.retention != plain {
        return Err(forbidden(
            scope,
            "make a tag or choose how long its branch is kept",
        ));
    }
    Ok(())
}

impl Catalog {
    /// Checks a change that passed [`check_updates`] against the table as it is.
    ///
    /// # Errors
    /// [`Error::Forbidden`] that names what the run may not do, or [`Error::CommitFailed`].
    pub(crate) async fn check_run(
        &self,
        scope: &RunScope,
        table: &LoadedTable,
        change: &Change,
    ) -> Result<(), Error> {
        let metadata = table.metadata();
        let mut last_column_id = metadata.last_column_id();
        let mut added = None;
        for Update { update, .. } in &change.updates {
            match update {
                TableUpdate::AddSchema { schema } => {
                    check_column_ids(scope, schema, &mut last_column_id)?;
                }
                TableUpdate::AddSnapshot { snapshot } => {
                    check_snapshot(scope, table, snapshot)?;
                    self.check_paths(scope, table, snapshot).await?;
                    added = Some(snapshot.snapshot_id());
                }
                TableUpdate::SetSnapshotRef { reference, .. } => {
                    let target = reference.snapshot_id;
                    if added != Some(target) && !is_own(scope, metadata, target) {
                        return Err(forbidden(
                            scope,
                            &format!("move its branch to snapshot {target}, which it did not make"),
                        ));
                    }
                }
                // Refused before.
                _ => {}
            }
        }
        Ok(())
    }

    /// Every file that the snapshot adds lies in the run's folders, everything else is carried
    /// over from its parent.
    async fn check_paths(
        &self,
        scope: &RunScope,
        table: &LoadedTable,
        snapshot: &Snapshot,
    ) -> Result<(), Error> {
        let (io, metadata) = (self.file_io(), table.metadata());
        let folder = run_metadata_folder(metadata.location(), scope.run_id);
        let paths = added_paths(io, metadata, snapshot, &folder)
            .await
            .map_err(|error| unreadable(scope, &error))?;
        let own = run_data_folder(metadata.location(), scope.run_id);
        if let Some(path) = paths.added_files.iter().find(|path| !is_inside(&own, path)) {
            return Err(forbidden(
                scope,
                &format!("add the file {path:?}, which is not in {own}"),
            ));
        }
        if paths.existing_files.is_empty() {
            return Ok(());
        }
        let parent = snapshot
            .parent_snapshot_id()
            .and_then(|id| metadata.snapshot_by_id(id));
        let live: HashSet<String> = match parent {
            Some(parent) => live_files(io, metadata, parent)
                .await
                .map_err(|source| Error::Snapshot {
                    operation: "read the parent snapshot",
                    table: table.ident.clone(),
                    source,
                })?
                .into_iter()
                .map(|file| file.data_file.file_path().to_owned())
                .collect(),
            None => HashSet::new(),
        };
        match paths
            .existing_files
            .iter()
            .find(|path| !live.contains(*path))
        {
            Some(path) => Err(forbidden(
                scope,
                &format!("carry over {path:?}, which its parent has not"),
            )),
            None => Ok(()),
        }
    }
}

fn check_snapshot(scope: &RunScope, table: &LoadedTable, snapshot: &Snapshot) -> Result<(), Error> {
    let metadata = table.metadata();
    if !is_by(snapshot, scope.run_id) {
        let rule = format!("add a snapshot whose summary has not {RUN_ID_PROPERTY} = its own id");
        return Err(forbidden(scope, &rule));
    }
    // A second one would add the rows of a lost attempt once more. The same one, sent again after a
    // lost answer, loses the race against itself further on: its client looks, and finds it.
    let another = metadata
        .snapshots()
        .find(|known| is_by(known, scope.run_id) && known.snapshot_id() != snapshot.snapshot_id());
    if let Some(another) = another {
        let id = another.snapshot_id();
        let what = format!("add a second snapshot: {id} has to be discarded first");
        return Err(forbidden(scope, &what));
    }
    // A run may build on what `main` was when it began: publishing decides what that means. Where
    // `main` does not come from there any more, the run lost a race and may try again.
    let main = ancestors(metadata, head(metadata, MAIN_BRANCH)).map(Snapshot::snapshot_id);
    let branch = head(metadata, &scope.run_id.branch());
    let mut bases = main.chain(branch);
    if let Some(parent) = snapshot.parent_snapshot_id()
        && bases.all(|base| base != parent)
    {
        if metadata
            .history()
            .iter()
            .any(|was| was.snapshot_id == parent)
        {
            let message = format!("main was set back from snapshot {parent}");
            return Err(Error::commit_failed(&table.ident, message));
        }
        let what = format!("build on snapshot {parent}, which is on neither main nor its branch");
        return Err(forbidden(scope, &what));
    }
    let next = metadata.next_sequence_number();
    if snapshot.sequence_number() > next {
        let number = snapshot.sequence_number();
        return Err(forbidden(
            scope,
            &format!("skip from sequence number {next} to {number}"),
        ));
    }
    Ok(())
}

/// New columns get the next ids. A run that took the highest possible id would leave none for
/// anybody after it.
fn check_column_ids(
    scope: &RunScope,
    schema: &Schema,
    last_column_id: &mut i32,
) -> Result<(), Error> {
    let ids = schema.field_id_to_name_map().keys();
    let new = ids.filter(|id| **id > *last_column_id).count();
    let highest = i32::try_from(new)
        .ok()
        .and_then(|new| last_column_id.checked_add(new));
    if highest.is_none_or(|highest| schema.highest_field_id() > highest) {
        return Err(forbidden(scope, "skip column ids"));
    }
    *last_column_id = (*last_column_id).max(schema.highest_field_id());
    Ok(())
}

/// Whether `snapshot` is on the run's branch and the run made it.
fn is_own(scope: &RunScope, metadata: &TableMetadata, snapshot: i64) -> bool {
    ancestors(metadata, head(metadata, &scope.run_id.branch()))
        .any(|ancestor| ancestor.snapshot_id() == snapshot && is_by(ancestor, scope.run_id))
}

/// A run's snapshot names the schema that the same commit adds, by the id that the table gives it.
/// If another schema took that id meanwhile, the snapshot has to be made anew.
///
/// # Errors
/// [`Error::CommitFailed`], or [`Error::Forbidden`] for a snapshot without schema.
pub(crate) fn check_schema_id(
    scope: &RunScope,
    after: &TableMetadata,
    change: &Change,
) -> Result<(), Error> {
    let mut last: Option<&Schema> = None;
    for Update { update, .. } in &change.updates {
        match update {
            TableUpdate::AddSchema { schema } => last = Some(schema),
            TableUpdate::AddSnapshot { snapshot } => {
                let Some(id) = snapshot.schema_id() else {
                    return Err(forbidden(scope, "add a snapshot that names no schema"));
                };
                let named = after.schema_by_id(id).map(|schema| schema.as_struct());
                if last.is_some_and(|schema| named != Some(schema.as_struct())) {
                    let message = format!("schema id {id} belongs to another schema");
                    return Err(Error::commit_failed(&scope.ident, message));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a run's own files say about themselves is the run's fault, not the catalog's.
fn unreadable(scope: &RunScope, error: &rat_iceberg::snapshot::Error) -> Error {
    use rat_iceberg::snapshot::Error as Cause;
    match error {
        Cause::OutsideFolder { path, folder } => {
            forbidden(scope, &format!("add {path:?}, which is not in {folder}"))
        }
        _ => Error::invalid(format!("the snapshot cannot be read: {error}")),
    }
}

fn forbidden(scope: &RunScope, what: &str) -> Error {
    Error::forbidden(format!("run {} may not {what}", scope.run_id))
}
