//! New tables.
//!
//! A table of a run is *staged*: only that run sees it until it is published. A user's table is
//! there at once, or, with `stage-create`, only computed: the client sends everything again with
//! the commit that creates it.

use std::collections::HashMap;

use bytes::Bytes;
use iceberg::TableUpdate;
use iceberg::spec::{
    FormatVersion, Schema, SortOrder, TableMetadata, TableMetadataBuilder, UnboundPartitionSpec,
};
use rat_types::{Identity, TableIdent};
use serde::Deserialize;
use serde_json::json;

use crate::catalog::{Catalog, LoadedTable, Pointer};
use crate::name::Namespace;
use crate::request::{Change, Update};
use crate::{Caller, Error, rules};

/// The body of `POST …/tables`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct CreateBody {
    name: String,
    location: Option<String>,
    schema: Schema,
    partition_spec: Option<UnboundPartitionSpec>,
    write_order: Option<SortOrder>,
    #[serde(default)]
    stage_create: Option<bool>,
    #[serde(default)]
    properties: Option<HashMap<String, String>>,
}

/// A table that was created, or only computed.
#[derive(Debug)]
pub(crate) enum Created {
    Table(LoadedTable),
    Computed(Bytes),
}

impl Catalog {
    /// # Errors
    /// [`Error::TableExists`], [`Error::NoSuchNamespace`], [`Error::Forbidden`],
    /// [`Error::Invalid`].
    pub(crate) async fn create_table(
        &self,
        caller: &Caller,
        namespace: &Namespace,
        body: CreateBody,
    ) -> Result<Created, Error> {
        let ident = namespace.table(&body.name)?;
        caller.check_write(&ident)?;
        self.require_namespace(namespace).await?;
        let only_computed = body.stage_create == Some(true);
        if only_computed && caller.run().is_some() {
            return Err(Error::invalid(
                "a run's table is staged until it is published: create it without stage-create",
            ));
        }
        let metadata = self.new_metadata(&ident, body)?;
        let run = caller.run().map(|scope| scope.run_id);
        if let Some(run) = run
            && metadata.format_version() < FormatVersion::V2
        {
            return Err(Error::invalid(format!(
                "run {run} needs a branch, which tables of format version 1 have not"
            )));
        }

        let _turn = self.locks().lock(&ident).await?;
        let is_staged = match run {
            Some(run) => self.staged_location(&ident, run).await?.is_some(),
            None => false,
        };
        if is_staged || self.exists(&ident).await? {
            return Err(Error::TableExists { table: ident });
        }
        if only_computed {
            let json = serde_json::to_vec(&metadata).map_err(|error| damaged(&ident, &error))?;
            return Ok(Created::Computed(json.into()));
        }
        let created = match run {
            Some(run) => self.stage(&ident, run, &metadata).await?,
            None => self.insert(caller, &ident, &metadata).await?,
        };
        Ok(Created::Table(created))
    }

    /// Creates a table by a commit with `assert-create`.
    pub(crate) async fn commit_creation(
        &self,
        caller: &Caller,
        ident: &TableIdent,
        change: &Change,
    ) -> Result<LoadedTable, Error> {
        if !change.creates() {
            return Err(Error::no_table(ident));
        }
        caller.check_user("create a table by a commit")?;
        let namespace = Namespace::Layered(ident.namespace.clone(), ident.layer);
        self.require_namespace(&namespace).await?;
        let folder = self.warehouse().table_location(ident);
        let first = first_metadata(ident, &folder, &change.updates)?;
        let changed = rules::apply(ident, &first, None, &change.updates)?;
        let metadata = changed.map_or(first, |changed| changed.metadata);
        self.check_manifest_lists(&metadata, change).await?;
        match self.insert(caller, ident, &metadata).await {
            Err(Error::TableExists { .. }) => Err(Error::commit_failed(
                ident,
                "the table was created by somebody else",
            )),
            result => result,
        }
    }

    /// Metadata as a create request describes it.
    fn new_metadata(&self, ident: &TableIdent, body: CreateBody) -> Result<TableMetadata, Error> {
        let folder = self.warehouse().table_location(ident);
        if let Some(location) = &body.location
            && location.trim_end_matches('/') != folder
        {
            return Err(Error::invalid(format!(
                "the location of table {ident} is {folder} and cannot be chosen"
            )));
        }
        let mut properties = body.properties.unwrap_or_default();
        let version = format_version(&mut properties)?;
        rules::check_properties(&folder, properties.iter()).map_err(Error::invalid)?;
        rules::check_schema(&body.schema).map_err(Error::invalid)?;
        let spec = body.partition_spec.unwrap_or_default();
        let order = body.write_order.unwrap_or_else(SortOrder::unsorted_order);
        TableMetadataBuilder::new(body.schema, spec, order, folder, version, properties)
            .and_then(TableMetadataBuilder::build)
            .map(|built| built.metadata)
            .map_err(|error| Error::refused(ident, "the table", &error))
    }

    async fn insert(
        &self,
        caller: &Caller,
        ident: &TableIdent,
        metadata: &TableMetadata,
    ) -> Result<LoadedTable, Error> {
        let created = self.tables().create(ident, metadata).await?;
        if let Caller::User(identity) = caller {
            self.remember_owner(ident, identity).await;
        }
        Ok(LoadedTable::new(ident, Pointer::Published, created))
    }

    /// The table exists already, so a failure here must not undo it.
    async fn remember_owner(&self, ident: &TableIdent, identity: &Identity) {
        let described = self.store().table_metadata();
        if let Err(error) = described.claim(ident, &identity.user_id).await {
            tracing::warn!(table = %ident, %error, "failed to store the owner of a new table");
        }
    }
}

/// Takes the format version out of the properties: it is one in a request only.
fn format_version(properties: &mut HashMap<String, String>) -> Result<FormatVersion, Error> {
    match properties.remove("format-version").as_deref() {
        None | Some("2") => Ok(FormatVersion::V2),
        Some("1") => Ok(FormatVersion::V1),
        Some(other) => Err(Error::invalid(format!(
            "format version {other:?} is not supported, only 1 and 2"
        ))),
    }
}

/// What a create transaction starts from: the first schema, partition spec and sort order that it
/// adds, under the very ids that the client got when it began and has written files with. The
/// builder of the `iceberg` crate would give new ids.
fn first_metadata(
    ident: &TableIdent,
    folder: &str,
    updates: &[Update],
) -> Result<TableMetadata, Error> {
    let mut version = FormatVersion::V2;
    let (mut uuid, mut schema, mut spec, mut order) = (None, None, None, None);
    for Update { update, .. } in updates {
        match update {
            TableUpdate::AssignUuid { uuid: assigned } => uuid = uuid.or(Some(*assigned)),
            TableUpdate::UpgradeFormatVersion { format_version } => version = *format_version,
            TableUpdate::AddSchema { schema: added } => schema = schema.or(Some(added)),
            TableUpdate::AddSpec { spec: added } => spec = spec.or(Some(added)),
            TableUpdate::AddSortOrder { sort_order } => order = order.or(Some(sort_order)),
            _ => {}
        }
    }
    let schema =
        schema.ok_or_else(|| Error::invalid("a commit that creates a table adds a schema"))?;
    if version > FormatVersion::V2 {
        return Err(Error::invalid("format version 3 is not supported"));
    }
    let mut fields = Vec::new();
    let mut last_partition_id = 999;
    for field in spec.map(UnboundPartitionSpec::fields).unwrap_or_default() {
        let id = field.field_id.unwrap_or(last_partition_id + 1);
        last_partition_id = last_partition_id.max(id);
        fields.push(json!({
            "source-id": field.source_id,
            "field-id": id,
            "name": field.name,
            "transform": field.transform,
        }));
    }
    let unsorted = SortOrder::unsorted_order();
    let order = order.unwrap_or(&unsorted);
    let text = json!({
        "format-version": version as u8,
        "table-uuid": uuid.unwrap_or_else(uuid::Uuid::now_v7),
        "location": folder,
        "last-sequence-number": 0,
        "last-updated-ms": chrono::Utc::now().timestamp_millis(),
        "last-column-id": schema.highest_field_id(),
        "schemas": [schema],
        "current-schema-id": schema.schema_id(),
        "partition-specs": [{"spec-id": 0, "fields": fields}],
        "default-spec-id": 0,
        "last-partition-id": last_partition_id,
        "sort-orders": [order],
        "default-sort-order-id": order.order_id,
        "properties": {},
    });
    serde_json::from_value(text).map_err(|error| {
        Error::invalid(format!(
            "table {ident} cannot be created from this commit: {error}"
        ))
    })
}

fn damaged(ident: &TableIdent, error: &serde_json::Error) -> Error {
    Error::Damaged {
        table: ident.clone(),
        message: error.to_string(),
    }
}
