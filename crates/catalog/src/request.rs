//! The body of a commit: parsed by name, nothing skipped.
//!
//! The specification wants an unknown requirement or update answered with 400. Fields are treated
//! the same way: one that is not understood could be the one that matters.

use iceberg::spec::{SnapshotRetention, TableMetadata};
use iceberg::{TableRequirement, TableUpdate};
use rat_types::TableIdent;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Error;

/// A table's name as it stands in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Identifier {
    pub(crate) namespace: Vec<String>,
    pub(crate) name: String,
}

/// The body of `POST …/tables/{table}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommitBody {
    pub(crate) identifier: Option<Identifier>,
    requirements: Vec<Map<String, Value>>,
    updates: Vec<Map<String, Value>>,
}

/// What a commit demands and what it does.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) requirements: Vec<TableRequirement>,
    pub(crate) updates: Vec<Update>,
}

/// One update.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Update {
    pub(crate) update: TableUpdate,
    /// Of `add-schema`: the highest column id as the client sees it.
    pub(crate) last_column_id: Option<i32>,
}

/// The requirements of the specification and their fields.
const REQUIREMENTS: &[(&str, &[&str])] = &[
    ("assert-create", &[]),
    ("assert-table-uuid", &["uuid"]),
    ("assert-ref-snapshot-id", &["ref", "snapshot-id"]),
    ("assert-last-assigned-field-id", &["last-assigned-field-id"]),
    ("assert-current-schema-id", &["current-schema-id"]),
    (
        "assert-last-assigned-partition-id",
        &["last-assigned-partition-id"],
    ),
    ("assert-default-spec-id", &["default-spec-id"]),
    ("assert-default-sort-order-id", &["default-sort-order-id"]),
];

/// The updates of the specification and their fields.
const UPDATES: &[(&str, &[&str])] = &[
    ("assign-uuid", &["uuid"]),
    ("upgrade-format-version", &["format-version"]),
    ("add-schema", &["schema", "last-column-id"]),
    ("set-current-schema", &["schema-id"]),
    ("add-spec", &["spec"]),
    ("set-default-spec", &["spec-id"]),
    ("add-sort-order", &["sort-order"]),
    ("set-default-sort-order", &["sort-order-id"]),
    ("add-snapshot", &["snapshot"]),
    (
        "set-snapshot-ref",
        &[
            "ref-name",
            "type",
            "snapshot-id",
            "max-ref-age-ms",
            "max-snapshot-age-ms",
            "min-snapshots-to-keep",
        ],
    ),
    ("remove-snapshots", &["snapshot-ids"]),
    ("remove-snapshot-ref", &["ref-name"]),
    ("set-location", &["location"]),
    ("set-properties", &["updates"]),
    ("remove-properties", &["removals"]),
    ("set-statistics", &["statistics", "snapshot-id"]),
    ("remove-statistics", &["snapshot-id"]),
    ("set-partition-statistics", &["partition-statistics"]),
    ("remove-partition-statistics", &["snapshot-id"]),
    ("remove-partition-specs", &["spec-ids"]),
    ("remove-schemas", &["schema-ids"]),
    ("add-encryption-key", &["encryption-key"]),
    ("remove-encryption-key", &["key-id"]),
];

/// Updates of the specification that only views have.
const VIEW_UPDATES: &[&str] = &["add-view-version", "set-current-view-version"];

impl Change {
    /// # Errors
    /// [`Error::Invalid`] that names the requirement, update or field which is not understood.
    pub(crate) fn parse(body: CommitBody) -> Result<Self, Error> {
        let requirements = body.requirements.into_iter().enumerate();
        let updates = body.updates.into_iter().enumerate();
        Ok(Self {
            requirements: requirements
                .map(|(i, fields)| requirement(i, fields))
                .collect::<Result<_, _>>()?,
            updates: updates
                .map(|(i, fields)| update(i, fields))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether this commit is to create the table.
    pub(crate) fn creates(&self) -> bool {
        self.requirements.contains(&TableRequirement::NotExist)
    }

    /// # Errors
    /// [`Error::CommitFailed`] if the table is not as required, [`Error::NoSuchTable`] if it does
    /// not exist but should.
    pub(crate) fn check(
        &self,
        ident: &TableIdent,
        metadata: Option<&TableMetadata>,
    ) -> Result<(), Error> {
        for requirement in &self.requirements {
            requirement
                .check(metadata)
                .map_err(|error| match error.kind() {
                    iceberg::ErrorKind::TableNotFound => Error::no_table(ident),
                    _ => Error::commit_failed(ident, error.message()),
                })?;
        }
        Ok(())
    }
}

fn requirement(index: usize, fields: Map<String, Value>) -> Result<TableRequirement, Error> {
    let place = Place::find("requirement", index, "type", &fields, REQUIREMENTS)?;
    // `null` means that the ref must not exist; to leave the field out means nothing.
    if place.name == "assert-ref-snapshot-id" && !fields.contains_key("snapshot-id") {
        return Err(place.error("missing field `snapshot-id`"));
    }
    place.read(fields)
}

fn update(index: usize, mut fields: Map<String, Value>) -> Result<Update, Error> {
    let place = Place::find("update", index, "action", &fields, UPDATES)?;
    let last_column_id = match fields.remove("last-column-id") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            serde_json::from_value(value)
                .map_err(|error| place.error(format!("last-column-id: {error}")))?,
        ),
    };
    let branch_only = ["max-snapshot-age-ms", "min-snapshots-to-keep"]
        .into_iter()
        .find(|field| fields.get(*field).is_some_and(|value| !value.is_null()));
    let update = place.read(fields)?;
    if let TableUpdate::SetSnapshotRef { reference, .. } = &update
        && let SnapshotRetention::Tag { .. } = reference.retention
        && let Some(field) = branch_only
    {
        return Err(place.error(format!("a tag has no {field}")));
    }
    Ok(Update {
        update,
        last_column_id,
    })
}

/// Where in the body something stands, for messages.
struct Place {
    what: &'static str,
    number: usize,
    name: String,
}

impl Place {
    /// Finds out what `fields` is, by the name in the field `tag`.
    fn find(
        what: &'static str,
        index: usize,
        tag: &str,
        fields: &Map<String, Value>,
        known: &[(&str, &[&str])],
    ) -> Result<Self, Error> {
        let number = index + 1;
        let Some(name) = fields.get(tag).and_then(Value::as_str) else {
            return Err(Error::invalid(format!("{what} {number} has no {tag:?}")));
        };
        let place = Self {
            what,
            number,
            name: name.chars().take(100).collect(),
        };
        if VIEW_UPDATES.contains(&name) {
            return Err(place.error("only views have it"));
        }
        let Some((_, allowed)) = known.iter().find(|(known, _)| *known == name) else {
            return Err(place.error("it is not known"));
        };
        match fields
            .keys()
            .find(|key| *key != tag && !allowed.contains(&key.as_str()))
        {
            Some(key) => Err(place.error(format!("unknown field {key:?}"))),
            None => Ok(place),
        }
    }

    fn read<T: serde::de::DeserializeOwned>(&self, fields: Map<String, Value>) -> Result<T, Error> {
        serde_json::from_value(Value::Object(fields)).map_err(|error| self.error(error.to_string()))
    }

    fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::invalid(format!(
            "{} {} ({}): {message}",
            self.what, self.number, self.name
        ))
    }
}

#[cfg(test)]
mod tests;
