//! Walking the snapshots of a table.

use std::collections::HashSet;

use iceberg::spec::{Snapshot, SnapshotReference, TableMetadata};
use rat_iceberg::snapshot::RUN_ID_PROPERTY;
use rat_types::RunId;

use crate::Error;
use crate::catalog::LoadedTable;

/// `head` and the snapshots it comes from, newest first, as far as the table still has them.
pub(crate) fn ancestors(
    metadata: &TableMetadata,
    head: Option<i64>,
) -> impl Iterator<Item = &Snapshot> {
    let find = |id| metadata.snapshot_by_id(id).map(AsRef::as_ref);
    let parent = move |snapshot: &&Snapshot| snapshot.parent_snapshot_id().and_then(find);
    // A circle would have to be made by hand; it must not hang the catalog all the same.
    std::iter::successors(head.and_then(find), parent).take(metadata.snapshots().len())
}

/// Whether `run` made the snapshot, as its summary says.
pub(crate) fn is_by(snapshot: &Snapshot, run: RunId) -> bool {
    snapshot
        .summary()
        .additional_properties
        .get(RUN_ID_PROPERTY)
        == Some(&run.to_string())
}

/// Head of a branch.
pub(crate) fn head(metadata: &TableMetadata, branch: &str) -> Option<i64> {
    metadata
        .snapshot_for_ref(branch)
        .map(|snapshot| snapshot.snapshot_id())
}

/// The snapshots that belong to `run` alone: it made them, or they are on its branch, and no
/// other branch or tag comes from them.
pub(crate) fn only_of(table: &LoadedTable, run: RunId) -> Result<HashSet<i64>, Error> {
    let metadata = table.metadata();
    let branch = run.branch();
    let others = refs(table)?.into_iter().filter(|(name, _)| *name != branch);
    let kept: HashSet<i64> = others
        .flat_map(|(_, reference)| ancestors(metadata, Some(reference.snapshot_id)))
        .chain(ancestors(metadata, metadata.current_snapshot_id()))
        .map(Snapshot::snapshot_id)
        .collect();
    let on_branch = ancestors(metadata, head(metadata, &branch)).map(Snapshot::snapshot_id);
    let made = metadata.snapshots().filter(|snapshot| is_by(snapshot, run));
    let own = on_branch.chain(made.map(|snapshot| snapshot.snapshot_id()));
    Ok(own.filter(|id| !kept.contains(id)).collect())
}

/// Branches and tags by name.
pub(crate) fn refs(table: &LoadedTable) -> Result<Vec<(String, SnapshotReference)>, Error> {
    let refs = table.file.refs().map_err(|error| Error::Damaged {
        table: table.ident.clone(),
        message: error.to_string(),
    })?;
    Ok(refs
        .iter()
        .map(|(name, reference)| (name.clone(), reference.clone()))
        .collect())
}
