//! A change as the protocol wants it: updates, and the requirements under which they are made.

use std::collections::{BTreeSet, HashMap};

use iceberg::spec::{Snapshot, SnapshotReference, TableMetadata};
use iceberg::{TableRequirement, TableUpdate};
use uuid::Uuid;

use crate::cache::MetadataFile;
use crate::history::ancestors;

/// Everything that the updates touch has to be as it was when they were computed.
pub(super) fn requirements(base: &TableMetadata, updates: &[TableUpdate]) -> Vec<TableRequirement> {
    let mut found = vec![TableRequirement::UuidMatch { uuid: base.uuid() }];
    let mut refs = BTreeSet::new();
    for update in updates {
        let requirement = match update {
            TableUpdate::SetSnapshotRef { ref_name, .. }
            | TableUpdate::RemoveSnapshotRef { ref_name } => {
                refs.insert(ref_name);
                continue;
            }
            TableUpdate::AddSchema { .. } => TableRequirement::LastAssignedFieldIdMatch {
                last_assigned_field_id: base.last_column_id(),
            },
            TableUpdate::SetCurrentSchema { .. } => TableRequirement::CurrentSchemaIdMatch {
                current_schema_id: base.current_schema_id(),
            },
            TableUpdate::AddSpec { .. } => TableRequirement::LastAssignedPartitionIdMatch {
                last_assigned_partition_id: base.last_partition_id(),
            },
            TableUpdate::SetDefaultSpec { .. } | TableUpdate::RemovePartitionSpecs { .. } => {
                TableRequirement::DefaultSpecIdMatch {
                    default_spec_id: base.default_partition_spec_id(),
                }
            }
            TableUpdate::SetDefaultSortOrder { .. } => TableRequirement::DefaultSortOrderIdMatch {
                default_sort_order_id: base.default_sort_order_id(),
            },
            TableUpdate::RemoveSchemas { .. } => TableRequirement::CurrentSchemaIdMatch {
                current_schema_id: base.current_schema_id(),
            },
            // Snapshots have unique ids, properties overwrite each other, and the rest only adds.
            _ => continue,
        };
        if !found.contains(&requirement) {
            found.push(requirement);
        }
    }
    found.extend(refs.into_iter().map(|name| {
        let head = base.snapshot_for_ref(name);
        TableRequirement::RefSnapshotIdMatch {
            r#ref: name.clone(),
            snapshot_id: head.map(|snapshot| snapshot.snapshot_id()),
        }
    }));
    found
}

/// Whether a table shows the effect of all these updates, so that they were made. An update whose
/// effect cannot be told from somebody else's counts as not made.
pub(super) fn is_made(updates: &[TableUpdate], after: &MetadataFile) -> bool {
    let Ok(refs) = after.refs() else {
        return false;
    };
    let metadata = &after.metadata;
    let adds = updates
        .iter()
        .any(|update| matches!(update, TableUpdate::AddSnapshot { .. }));
    updates.iter().all(|update| match update {
        TableUpdate::AddSnapshot { snapshot } => {
            metadata.snapshot_by_id(snapshot.snapshot_id()).is_some()
        }
        // All are made or none, and nobody else has a snapshot of this id.
        _ if adds => true,
        TableUpdate::SetSnapshotRef {
            ref_name,
            reference,
        } => {
            let head = refs.get(ref_name).map(|head| head.snapshot_id);
            ancestors(metadata, head).any(|known| known.snapshot_id() == reference.snapshot_id)
        }
        TableUpdate::RemoveSnapshotRef { ref_name } => !refs.contains_key(ref_name),
        TableUpdate::RemoveSnapshots { snapshot_ids } => snapshot_ids
            .iter()
            .all(|id| metadata.snapshot_by_id(*id).is_none()),
        TableUpdate::AddSchema { schema } => metadata
            .schemas_iter()
            .any(|known| known.as_struct() == schema.as_struct()),
        TableUpdate::SetCurrentSchema { schema_id } => {
            let added = updates.iter().find_map(|update| match update {
                TableUpdate::AddSchema { schema } => Some(schema),
                _ => None,
            });
            match added {
                Some(schema) => metadata.current_schema().as_struct() == schema.as_struct(),
                None => metadata.current_schema_id() == *schema_id,
            }
        }
        TableUpdate::SetProperties { updates } => updates
            .iter()
            .all(|(key, value)| metadata.properties().get(key) == Some(value)),
        TableUpdate::RemoveProperties { removals } => removals
            .iter()
            .all(|key| !metadata.properties().contains_key(key)),
        _ => false,
    })
}

/// The updates that make a table like `metadata` out of nothing, in the order in which the
/// specification's own clients send them.
///
/// # Errors
/// The metadata has references that cannot be read.
pub(super) fn creation(
    uuid: Uuid,
    metadata: &TableMetadata,
) -> serde_json::Result<Vec<TableUpdate>> {
    let mut updates = vec![
        TableUpdate::AssignUuid { uuid },
        TableUpdate::UpgradeFormatVersion {
            format_version: metadata.format_version(),
        },
    ];
    let mut schemas: Vec<_> = metadata.schemas_iter().collect();
    schemas.sort_by_key(|schema| schema.schema_id());
    // The current one last: `-1` means the one that was added last.
    schemas.sort_by_key(|schema| schema.schema_id() == metadata.current_schema_id());
    updates.extend(schemas.into_iter().map(|schema| TableUpdate::AddSchema {
        schema: schema.as_ref().clone(),
    }));
    updates.push(TableUpdate::SetCurrentSchema { schema_id: -1 });
    updates.push(TableUpdate::AddSpec {
        spec: metadata
            .default_partition_spec()
            .as_ref()
            .clone()
            .into_unbound(),
    });
    updates.push(TableUpdate::SetDefaultSpec { spec_id: -1 });
    updates.push(TableUpdate::AddSortOrder {
        sort_order: metadata.default_sort_order().as_ref().clone(),
    });
    updates.push(TableUpdate::SetDefaultSortOrder { sort_order_id: -1 });
    updates.push(TableUpdate::SetLocation {
        location: metadata.location().to_owned(),
    });
    if !metadata.properties().is_empty() {
        let properties = metadata.properties().clone();
        updates.push(TableUpdate::SetProperties {
            updates: properties,
        });
    }
    let mut snapshots: Vec<&Snapshot> = metadata.snapshots().map(AsRef::as_ref).collect();
    snapshots.sort_by_key(|snapshot| snapshot.sequence_number());
    updates.extend(snapshots.into_iter().map(|snapshot| {
        let snapshot = snapshot.clone();
        TableUpdate::AddSnapshot { snapshot }
    }));
    let mut refs: Vec<_> = references(metadata)?.into_iter().collect();
    refs.sort_by(|(one, _), (other, _)| one.cmp(other));
    updates.extend(
        refs.into_iter()
            .map(|(ref_name, reference)| TableUpdate::SetSnapshotRef {
                ref_name,
                reference,
            }),
    );
    Ok(updates)
}

/// Branches and tags, which the parsed form keeps to itself.
fn references(metadata: &TableMetadata) -> serde_json::Result<HashMap<String, SnapshotReference>> {
    match serde_json::to_value(metadata)?.get_mut("refs") {
        Some(refs) => serde_json::from_value(refs.take()),
        None => Ok(HashMap::new()),
    }
}
