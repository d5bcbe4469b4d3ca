//! Tables: what is in them, and what people say about them.

use std::collections::{BTreeMap, HashSet};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use http::StatusCode;
use rat_catalog::{Column, TableSummary};
use rat_store::TableMetadataRecord;
use rat_types::{Kind, Layer, NamespaceName, TableIdent, TableName};
use serde::{Deserialize, Serialize};

use crate::access::{Access, Action, Resource};
use crate::extract::{Json, Path, Query};
use crate::fault::{Chain, Fault};
use crate::limit;
use crate::ownership;
use crate::parameter::Count;
use crate::query;
use crate::state::AppState;
use crate::time::Time;

/// Rows of a preview, where nothing was asked for and at most.
const PREVIEW_ROWS: u64 = 50;
const MOST_PREVIEW_ROWS: u64 = 1000;
/// Tables that are looked at at the same time.
const LOOKUPS: usize = 8;
/// Descriptions of columns in one request.
const MOST_COLUMNS: usize = 2000;

#[derive(Serialize)]
struct Entry {
    namespace: NamespaceName,
    layer: Layer,
    name: TableName,
    #[serde(skip_serializing_if = "Option::is_none")]
    row_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    description: String,
}

#[derive(Serialize)]
struct List {
    tables: Vec<Entry>,
    total: usize,
}

#[derive(Serialize)]
struct ColumnEntry {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    nullable: bool,
    description: String,
}

#[derive(Serialize)]
struct Detail {
    namespace: NamespaceName,
    layer: Layer,
    name: TableName,
    row_count: u64,
    size_bytes: u64,
    file_count: u64,
    snapshot_id: Option<i64>,
    updated_at: Time,
    description: String,
    owner: String,
    columns: Vec<ColumnEntry>,
}

#[derive(Serialize)]
struct SchemaColumn {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
}

#[derive(Serialize)]
struct SchemaTable {
    namespace: NamespaceName,
    layer: Layer,
    name: TableName,
    columns: Vec<SchemaColumn>,
}

#[derive(Serialize)]
struct Schema {
    tables: Vec<SchemaTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    namespace: Option<NamespaceName>,
    layer: Option<Layer>,
    limit: Option<Count>,
    offset: Option<Count>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SchemaFilter {
    namespace: Option<NamespaceName>,
    layer: Option<Layer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preview {
    limit: Option<Count>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    description: Option<String>,
    owner: Option<String>,
    column_descriptions: Option<BTreeMap<String, String>>,
}

pub(crate) async fn list(
    State(state): State<AppState>,
    access: Access,
    Query(filter): Query<Filter>,
) -> Result<impl IntoResponse, Fault> {
    let idents = state
        .catalog
        .list_tables(filter.namespace.as_ref(), filter.layer)
        .await?;
    let idents = access.visible_tables(idents).await?;
    let total = idents.len();
    let shown = limit::slice(idents, filter.limit, filter.offset)?;
    let mut said = state.store.table_metadata().list().await?;
    let mut summaries = stream::iter(shown)
        .map(|ident| async {
            let summary = state.catalog.table_summary(&ident).await;
            (ident, summary)
        })
        .buffered(LOOKUPS);
    let mut tables = Vec::new();
    while let Some((ident, summary)) = summaries.next().await {
        // Dropped since the list was made.
        if matches!(&summary, Err(error) if error.kind() == Kind::NotFound) {
            continue;
        }
        let summary = readable(&ident, summary);
        tables.push(Entry {
            description: said.remove(&ident).unwrap_or_default().description,
            namespace: ident.namespace,
            layer: ident.layer,
            name: ident.name,
            row_count: summary.as_ref().map(|summary| summary.row_count),
            size_bytes: summary.as_ref().map(|summary| summary.size_bytes),
        });
    }
    Ok(axum::Json(List { tables, total }))
}

pub(crate) async fn schema(
    State(state): State<AppState>,
    access: Access,
    Query(filter): Query<SchemaFilter>,
) -> Result<impl IntoResponse, Fault> {
    let idents = state
        .catalog
        .list_tables(filter.namespace.as_ref(), filter.layer)
        .await?;
    let seen: HashSet<TableIdent> = access.visible_tables(idents).await?.into_iter().collect();
    let mut summaries = state
        .catalog
        .table_summaries(filter.namespace.as_ref(), filter.layer)
        .await?;
    summaries.retain(|(ident, _)| seen.contains(ident));
    let column = |column: Column| SchemaColumn {
        name: column.name,
        data_type: column.data_type,
    };
    let table = |(ident, summary): (TableIdent, _)| {
        let columns = readable(&ident, summary)
            .map(|summary| summary.columns)
            .unwrap_or_default();
        SchemaTable {
            namespace: ident.namespace,
            layer: ident.layer,
            name: ident.name,
            columns: columns.into_iter().map(column).collect(),
        }
    };
    Ok(axum::Json(Schema {
        tables: summaries.into_iter().map(table).collect(),
    }))
}

/// One damaged table does not hide the others: it is listed without what cannot be read.
fn readable(
    ident: &TableIdent,
    summary: Result<TableSummary, rat_catalog::Error>,
) -> Option<TableSummary> {
    summary
        .inspect_err(|error| {
            tracing::warn!(table = %ident, error = %Chain(error), "a table cannot be read");
        })
        .ok()
}

pub(crate) async fn get(
    State(state): State<AppState>,
    access: Access,
    Path(ident): Path<TableIdent>,
) -> Result<impl IntoResponse, Fault> {
    access.check(&Resource::table(&ident), Action::Read).await?;
    let summary = state.catalog.table_summary(&ident).await?;
    let said = state
        .store
        .table_metadata()
        .get(&ident)
        .await?
        .unwrap_or_default();
    Ok(axum::Json(detail(summary, said)))
}

fn detail(summary: TableSummary, said: TableMetadataRecord) -> Detail {
    let column = |column: Column| {
        let described = said.column_descriptions.get(&column.name).cloned();
        ColumnEntry {
            description: described.or(column.comment).unwrap_or_default(),
            name: column.name,
            data_type: column.data_type,
            nullable: column.nullable,
        }
    };
    Detail {
        columns: summary.columns.into_iter().map(column).collect(),
        namespace: summary.ident.namespace,
        layer: summary.ident.layer,
        name: summary.ident.name,
        row_count: summary.row_count,
        size_bytes: summary.size_bytes,
        file_count: summary.file_count,
        snapshot_id: summary.snapshot_id,
        updated_at: summary.updated_at.into(),
        description: said.description,
        owner: said.owner,
    }
}

pub(crate) async fn preview(
    State(state): State<AppState>,
    access: Access,
    Path(ident): Path<TableIdent>,
    Query(preview): Query<Preview>,
) -> Result<Response, Fault> {
    let limit = preview
        .limit
        .map_or(PREVIEW_ROWS, |limit| limit.0)
        .min(MOST_PREVIEW_ROWS);
    if limit == 0 {
        return Err(Fault::invalid("limit: must be at least 1"));
    }
    access.check(&Resource::table(&ident), Action::Read).await?;
    if !state.catalog.exists(&ident).await? {
        return Err(Fault::not_found(format!("table {ident} does not exist")));
    }
    let sql = format!("SELECT * FROM {}", ident.to_sql());
    let query = query::Query {
        sql,
        namespace: ident.namespace,
        limit,
    };
    query::execute(&state, &access, query).await
}

pub(crate) async fn describe(
    State(state): State<AppState>,
    access: Access,
    Path(ident): Path<TableIdent>,
    Json(body): Json<Description>,
) -> Result<impl IntoResponse, Fault> {
    body.description
        .as_deref()
        .map_or(Ok(()), limit::description)?;
    body.owner.as_deref().map_or(Ok(()), limit::owner)?;
    access
        .check(&Resource::table(&ident), Action::Write)
        .await?;
    let summary = state.catalog.table_summary(&ident).await?;
    let mut said = state
        .store
        .table_metadata()
        .get(&ident)
        .await?
        .unwrap_or_default();
    if let Some(columns) = body.column_descriptions {
        check_columns(&summary, &columns)?;
        said.column_descriptions = columns;
    }
    if let Some(description) = body.description {
        said.description = description;
    }
    if let Some(owner) = body.owner {
        ownership::give(&state, &access, &Resource::table(&ident), &owner).await?;
        said.owner = owner;
    }
    state.store.table_metadata().put(&ident, &said).await?;
    Ok(axum::Json(detail(summary, said)))
}

fn check_columns(summary: &TableSummary, columns: &BTreeMap<String, String>) -> Result<(), Fault> {
    if columns.len() > MOST_COLUMNS {
        let message = format!("column_descriptions: has more than {MOST_COLUMNS} entries");
        return Err(Fault::invalid(message));
    }
    for (name, description) in columns {
        let shown: String = name.chars().take(160).collect();
        if !summary.columns.iter().any(|column| column.name == *name) {
            let table = &summary.ident;
            let message = format!("column_descriptions: table {table} has no column {shown:?}");
            return Err(Fault::invalid(message).because("COLUMN_NOT_FOUND"));
        }
        limit::description(description)
            .map_err(|_| Fault::invalid(format!("column_descriptions.{shown}: is too long")))?;
    }
    Ok(())
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    access: Access,
    Path(ident): Path<TableIdent>,
) -> Result<impl IntoResponse, Fault> {
    access
        .check(&Resource::table(&ident), Action::Delete)
        .await?;
    state.catalog.drop_table(&ident, true).await?;
    Ok(StatusCode::NO_CONTENT)
}
