//! What a table's metadata says about writing it.

use iceberg::spec::{FormatVersion, Operation, Snapshot, TableMetadata};

use super::Error;

/// Checks, before rows are computed, that files which are not partitioned can be added to a table.
///
/// # Errors
/// [`Error::FormatVersion`] or [`Error::Partitioned`].
pub fn check_writable(metadata: &TableMetadata) -> Result<(), Error> {
    check_version(metadata)?;
    unpartitioned_spec(metadata).map(|_| ())
}

pub(super) fn check_version(metadata: &TableMetadata) -> Result<(), Error> {
    match metadata.format_version() {
        FormatVersion::V2 => Ok(()),
        version => Err(Error::FormatVersion { version }),
    }
}

pub(super) fn unpartitioned_spec(metadata: &TableMetadata) -> Result<i32, Error> {
    let spec = metadata.default_partition_spec();
    if spec.is_unpartitioned() {
        return Ok(spec.spec_id());
    }
    Err(Error::Partitioned {
        spec_id: spec.spec_id(),
    })
}

pub(super) fn find(metadata: &TableMetadata, snapshot_id: i64) -> Result<&Snapshot, Error> {
    let snapshot = metadata.snapshot_by_id(snapshot_id);
    snapshot
        .map(AsRef::as_ref)
        .ok_or(Error::UnknownSnapshot { snapshot_id })
}

/// `head` and its ancestors, as far back as the metadata knows them.
pub(super) fn ancestors(
    metadata: &TableMetadata,
    head: Option<i64>,
) -> impl Iterator<Item = &Snapshot> {
    let find = |id| metadata.snapshot_by_id(id).map(AsRef::as_ref);
    let parent = move |snapshot: &&Snapshot| snapshot.parent_snapshot_id().and_then(find);
    // A damaged chain could be a circle; a snapshot cannot have more ancestors than there are.
    std::iter::successors(head.and_then(find), parent).take(metadata.snapshots().len())
}

pub(super) fn metadata_folder(metadata: &TableMetadata) -> String {
    format!("{}/metadata", metadata.location().trim_end_matches('/'))
}

pub(super) fn operation_name(operation: &Operation) -> &'static str {
    match operation {
        Operation::Append => "append",
        Operation::Replace => "replace",
        Operation::Overwrite => "overwrite",
        Operation::Delete => "delete",
    }
}
