//! What goes to an external catalog and comes back.

use iceberg::spec::{FormatVersion, TableMetadata};
use rat_types::{Layer, NamespaceName, TableIdent};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// A table as the protocol answers it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Answer {
    pub(super) metadata_location: Option<String>,
    pub(super) metadata: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Page {
    pub(super) identifiers: Vec<Named>,
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// What a table is created in answer to, before it is there.
#[derive(Debug, Deserialize)]
pub(super) struct Planned {
    pub(super) metadata: Plan,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Plan {
    pub(super) table_uuid: Uuid,
    pub(super) location: String,
}

/// Announces a table like `metadata`.
pub(super) fn plan_body(ident: &TableIdent, metadata: &TableMetadata) -> Value {
    let version = match metadata.format_version() {
        FormatVersion::V1 => "1",
        _ => "2",
    };
    let mut properties = metadata.properties().clone();
    properties.insert("format-version".to_owned(), version.to_owned());
    let spec = metadata.default_partition_spec().as_ref().clone();
    let order = metadata.default_sort_order();
    let mut body = json!({
        "name": ident.name,
        "location": metadata.location(),
        "schema": metadata.current_schema(),
        "stage-create": true,
        "properties": properties,
    });
    if !spec.is_unpartitioned() {
        body["partition-spec"] = json!(spec.into_unbound());
    }
    if !order.is_unsorted() {
        body["write-order"] = json!(order);
    }
    body
}

/// Layers and names are letters, digits, `-` and `_`, so nothing has to be escaped.
pub(super) fn tables_path(namespace: &NamespaceName, layer: Layer) -> String {
    format!("namespaces/{namespace}%1F{layer}/tables")
}

pub(super) fn table_path(ident: &TableIdent) -> String {
    format!(
        "{}/{}",
        tables_path(&ident.namespace, ident.layer),
        ident.name
    )
}

pub(super) fn page_query(token: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("pageToken", token).finish()
}
