//! What every change of a table has to obey, whoever makes it.
//!
//! The `iceberg` crate applies updates faithfully and checks little: it would let a snapshot point
//! at a file of another table, or drop without a word what the table's format version cannot
//! hold. What is refused here is refused by name.

use chrono::Utc;
use iceberg::TableUpdate;
use iceberg::spec::{
    FormatVersion, MAIN_BRANCH, MetadataLog, NestedField, PrimitiveType, Schema, Snapshot,
    SnapshotReference, SnapshotRetention, TableMetadata, TableMetadataBuilder, Type,
};
use rat_iceberg::is_inside;
use rat_types::TableIdent;

use crate::Error;
use crate::request::Update;

/// How far a snapshot's clock may be ahead of ours. A snapshot from the future would make the
/// table refuse everybody else's until then.
const CLOCK_TOLERANCE_MS: i64 = 60_000;

/// Properties that make writers put files somewhere.
const LOCATION_PROPERTIES: [&str; 4] = [
    "write.data.path",
    "write.metadata.path",
    "write.object-storage.path",
    "write.folder-storage.path",
];

/// Metadata after a change.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) metadata: TableMetadata,
    /// How it came out of the metadata before.
    pub(crate) updates: Vec<TableUpdate>,
    /// Metadata files that the table's history no longer names.
    pub(crate) expired: Vec<MetadataLog>,
}

/// Applies `updates` to the metadata read from `location` (`None` for a new table). Answers
/// `None` if that changes nothing.
///
/// # Errors
/// [`Error::Invalid`] that names the update, or [`Error::CommitFailed`] if somebody else's commit
/// came in between.
pub(crate) fn apply(
    ident: &TableIdent,
    metadata: &TableMetadata,
    location: Option<&str>,
    updates: &[Update],
) -> Result<Option<Changed>, Error> {
    let mut state = State {
        ident,
        folder: metadata.location().to_owned(),
        version: metadata.format_version(),
        last_sequence_number: metadata.last_sequence_number(),
        last_column_id: metadata.last_column_id(),
        latest_ms: Utc::now().timestamp_millis() + CLOCK_TOLERANCE_MS,
    };
    let mut builder = metadata.clone().into_builder(location.map(str::to_owned));
    for (index, update) in updates.iter().enumerate() {
        let what = format!("update {} ({})", index + 1, action(&update.update));
        state.check(&what, metadata, update)?;
        let next = update.update.clone().apply(builder);
        builder = next.map_err(|error| Error::refused(ident, &what, &error))?;
    }
    let changed = build(ident, builder)?;
    if let Some(changed) = &changed {
        check_references(&changed.metadata, updates)?;
    }
    Ok(changed)
}

/// Ends a change.
///
/// # Errors
/// The result would not be valid metadata.
pub(crate) fn build(
    ident: &TableIdent,
    builder: TableMetadataBuilder,
) -> Result<Option<Changed>, Error> {
    let built = builder
        .build()
        .map_err(|error| Error::refused(ident, "the result", &error))?;
    Ok((!built.changes.is_empty()).then_some(Changed {
        metadata: built.metadata,
        updates: built.changes,
        expired: built.expired_metadata_logs,
    }))
}

/// What is known while the updates of one commit are gone through.
struct State<'a> {
    ident: &'a TableIdent,
    folder: String,
    version: FormatVersion,
    last_sequence_number: i64,
    last_column_id: i32,
    latest_ms: i64,
}

impl State<'_> {
    fn check(&mut self, what: &str, before: &TableMetadata, update: &Update) -> Result<(), Error> {
        let refuse = |why: &str| Err(Error::invalid(format!("{what}: {why}")));
        match &update.update {
            TableUpdate::AssignUuid { uuid } if *uuid != before.uuid() => {
                refuse("the table has a UUID, which never changes")
            }
            TableUpdate::UpgradeFormatVersion { format_version } => {
                if *format_version > FormatVersion::V2 {
                    return refuse("format version 3 is not supported");
                }
                if *format_version > self.version {
                    self.version = *format_version;
                }
                Ok(())
            }
            TableUpdate::AddSchema { schema } => {
                self.check_schema(what, schema, update.last_column_id)
            }
            TableUpdate::AddSnapshot { snapshot } => self.check_snapshot(what, snapshot),
            TableUpdate::SetSnapshotRef {
                ref_name,
                reference,
            } => self.check_ref(what, ref_name, reference),
            TableUpdate::SetLocation { location }
                if location.trim_end_matches('/') != self.folder =>
            {
                refuse(&format!(
                    "the table lies at {} and stays there",
                    self.folder
                ))
            }
            TableUpdate::SetProperties { updates } => {
                check_properties(&self.folder, updates.iter())
                    .map_err(|why| Error::invalid(format!("{what}: {why}")))
            }
            TableUpdate::SetStatistics { statistics } => {
                self.check_inside(what, &statistics.statistics_path)
            }
            TableUpdate::SetPartitionStatistics {
                partition_statistics,
            } => self.check_inside(what, &partition_statistics.statistics_path),
            TableUpdate::AddEncryptionKey { .. } | TableUpdate::RemoveEncryptionKey { .. } => {
                refuse("encryption needs format version 3, which is not supported")
            }
            TableUpdate::AssignUuid { .. }
            | TableUpdate::SetLocation { .. }
            | TableUpdate::SetCurrentSchema { .. }
            | TableUpdate::AddSpec { .. }
            | TableUpdate::SetDefaultSpec { .. }
            | TableUpdate::AddSortOrder { .. }
            | TableUpdate::SetDefaultSortOrder { .. }
            | TableUpdate::RemoveSnapshots { .. }
            | TableUpdate::RemoveSnapshotRef { .. }
            | TableUpdate::RemoveProperties { .. }
            | TableUpdate::RemovePartitionSpecs { .. }
            | TableUpdate::RemoveStatistics { .. }
            | TableUpdate::RemovePartitionStatistics { .. }
            | TableUpdate::RemoveSchemas { .. } => Ok(()),
        }
    }

    fn check_schema(
        &mut self,
        what: &str,
        schema: &Schema,
        last_column_id: Option<i32>,
    ) -> Result<(), Error> {
        check_schema(schema).map_err(|why| Error::invalid(format!("{what}: {why}")))?;
        let highest = self.last_column_id.max(schema.highest_field_id());
        if let Some(claimed) = last_column_id.filter(|claimed| *claimed < highest) {
            return Err(Error::invalid(format!(
                "{what}: last-column-id {claimed} is lower than {highest}, which is in use"
            )));
        }
        self.last_column_id = highest;
        Ok(())
    }

    fn check_snapshot(&mut self, what: &str, snapshot: &Snapshot) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::invalid(format!("{what}: {why}")));
        let (id, number) = (snapshot.snapshot_id(), snapshot.sequence_number());
        if id <= 0 {
            return refuse(format!("snapshot id {id} is not positive"));
        }
        self.check_inside(what, snapshot.manifest_list())?;
        if snapshot.encryption_key_id().is_some() || snapshot.row_range().is_some() {
            return refuse("key-id and first-row-id need format version 3".to_owned());
        }
        if snapshot.timestamp_ms() > self.latest_ms {
            return refuse(format!(
                "timestamp {} lies in the future: check the client's clock",
                snapshot.timestamp_ms()
            ));
        }
        if self.version >= FormatVersion::V2 {
            if number <= self.last_sequence_number {
                return Err(Error::commit_failed(
                    self.ident,
                    format!(
                        "sequence number {number} is taken, the table is at {}",
                        self.last_sequence_number
                    ),
                ));
            }
            self.last_sequence_number = number;
        }
        Ok(())
    }

    fn check_ref(
        &self,
        what: &str,
        name: &str,
        reference: &SnapshotReference,
    ) -> Result<(), Error> {
        let refuse = |why: &str| Err(Error::invalid(format!("{what}: {why}")));
        if name.is_empty() {
            return refuse("the name is empty");
        }
        if name == MAIN_BRANCH && !reference.is_branch() {
            return refuse("main is a branch");
        }
        if name != MAIN_BRANCH && self.version < FormatVersion::V2 {
            return refuse("tables of format version 1 have no branches and tags");
        }
        let figures = match reference.retention {
            SnapshotRetention::Branch {
                min_snapshots_to_keep,
                max_snapshot_age_ms,
                max_ref_age_ms,
            } => [
                min_snapshots_to_keep.map(i64::from),
                max_snapshot_age_ms,
                max_ref_age_ms,
            ],
            SnapshotRetention::Tag { max_ref_age_ms } => [None, None, max_ref_age_ms],
        };
        if figures.into_iter().flatten().any(|figure| figure <= 0) {
            return refuse("retention figures are positive");
        }
        Ok(())
    }

    fn check_inside(&self, what: &str, path: &str) -> Result<(), Error> {
        if is_inside(&self.folder, path) {
            return Ok(());
        }
        let path: String = path.chars().take(300).collect();
        Err(Error::invalid(format!(
            "{what}: {path:?} is not inside the table's folder {}",
            self.folder
        )))
    }
}

/// Whether everything that the new metadata refers to is there.
fn check_references(metadata: &TableMetadata, updates: &[Update]) -> Result<(), Error> {
    let missing = |snapshot: &Snapshot| {
        snapshot
            .schema_id()
            .filter(|id| metadata.schema_by_id(*id).is_none())
    };
    for update in updates {
        match &update.update {
            TableUpdate::AddSnapshot { snapshot } => {
                if let Some(id) = missing(snapshot) {
                    let snapshot = snapshot.snapshot_id();
                    let message =
                        format!("snapshot {snapshot} names schema {id}, which is missing");
                    return Err(Error::invalid(message));
                }
            }
            TableUpdate::RemoveSchemas { schema_ids } => {
                let used = metadata
                    .snapshots()
                    .find_map(|snapshot| missing(snapshot).filter(|id| schema_ids.contains(id)));
                if let Some(id) = used {
                    return Err(Error::invalid(format!("schema {id} is used by a snapshot")));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether tables of format version 2 can have these properties.
pub(crate) fn check_properties<'a>(
    folder: &str,
    properties: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<(), String> {
    for (key, value) in properties {
        let is_folder = value.trim_end_matches('/') == folder;
        if LOCATION_PROPERTIES.contains(&key.as_str()) && !is_folder && !is_inside(folder, value) {
            return Err(format!("{key} leads out of the table's folder {folder}"));
        }
        let plain = ["none", "gzip", ""].contains(&value.to_lowercase().as_str());
        if key == "write.metadata.compression-codec" && !plain {
            return Err(format!("{key} is {value:?}, neither none nor gzip"));
        }
    }
    Ok(())
}

/// Levels of nesting that a column may have. JSON readers give up at some depth, and metadata that
/// was written has to be readable.
const MAX_DEPTH: u8 = 32;

/// Whether tables of format version 2 can have this schema.
pub(crate) fn check_schema(schema: &Schema) -> Result<(), String> {
    schema
        .as_struct()
        .fields()
        .iter()
        .try_for_each(|field| check_field(field, MAX_DEPTH))
}

fn check_field(field: &NestedField, deeper: u8) -> Result<(), String> {
    let Some(deeper) = deeper.checked_sub(1) else {
        let name = &field.name;
        return Err(format!(
            "column {name:?} is nested more than {MAX_DEPTH} levels deep"
        ));
    };
    if field.initial_default.is_some() || field.write_default.is_some() {
        return Err(format!(
            "column {:?} has a default, as only format version 3 has",
            field.name
        ));
    }
    match &*field.field_type {
        Type::Primitive(PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs) => {
            let name = &field.name;
            Err(format!(
                "column {name:?} has nanoseconds, as only format version 3 has"
            ))
        }
        Type::Primitive(_) => Ok(()),
        Type::Struct(fields) => fields
            .fields()
            .iter()
            .try_for_each(|field| check_field(field, deeper)),
        Type::List(list) => check_field(&list.element_field, deeper),
        Type::Map(map) => {
            check_field(&map.key_field, deeper).and_then(|()| check_field(&map.value_field, deeper))
        }
    }
}

/// The name of an update in the specification.
pub(crate) fn action(update: &TableUpdate) -> &'static str {
    match update {
        TableUpdate::UpgradeFormatVersion { .. } => "upgrade-format-version",
        TableUpdate::AssignUuid { .. } => "assign-uuid",
        TableUpdate::AddSchema { .. } => "add-schema",
        TableUpdate::SetCurrentSchema { .. } => "set-current-schema",
        TableUpdate::AddSpec { .. } => "add-spec",
        TableUpdate::SetDefaultSpec { .. } => "set-default-spec",
        TableUpdate::AddSortOrder { .. } => "add-sort-order",
        TableUpdate::SetDefaultSortOrder { .. } => "set-default-sort-order",
        TableUpdate::AddSnapshot { .. } => "add-snapshot",
        TableUpdate::SetSnapshotRef { .. } => "set-snapshot-ref",
        TableUpdate::RemoveSnapshots { .. } => "remove-snapshots",
        TableUpdate::RemoveSnapshotRef { .. } => "remove-snapshot-ref",
        TableUpdate::SetLocation { .. } => "set-location",
        TableUpdate::SetProperties { .. } => "set-properties",
        TableUpdate::RemoveProperties { .. } => "remove-properties",
        TableUpdate::RemovePartitionSpecs { .. } => "remove-partition-specs",
        TableUpdate::SetStatistics { .. } => "set-statistics",
        TableUpdate::RemoveStatistics { .. } => "remove-statistics",
        TableUpdate::SetPartitionStatistics { .. } => "set-partition-statistics",
        TableUpdate::RemovePartitionStatistics { .. } => "remove-partition-statistics",
        TableUpdate::RemoveSchemas { .. } => "remove-schemas",
        TableUpdate::AddEncryptionKey { .. } => "add-encryption-key",
        TableUpdate::RemoveEncryptionKey { .. } => "remove-encryption-key",
    }
}
