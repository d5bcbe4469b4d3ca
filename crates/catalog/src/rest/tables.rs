//! `/v1/namespaces/{namespace}/tables`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalog::LoadedTable;
use crate::create::{CreateBody, Created};
use crate::name::{Namespace, existing_namespace, existing_table, levels};
use crate::request::{Change, CommitBody};
use crate::{Caller, Catalog, Deed, Error, history};

use super::answer::{self, Failure};
use super::extract::{Body, By, Ignored, InPath, Parameters};
use super::page::PageRequest;

#[derive(Debug, Deserialize)]
pub(super) struct LoadParameters {
    #[serde(default)]
    snapshots: Snapshots,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Snapshots {
    #[default]
    All,
    Refs,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DropParameters {
    purge_requested: Option<String>,
}

pub(super) async fn list(
    State(catalog): State<Catalog>,
    By(gate): By,
    InPath(name): InPath<String>,
    Parameters(page): Parameters<PageRequest>,
) -> Result<Json<Value>, Failure> {
    let namespace = existing_namespace(&name)?;
    gate.read_namespace(&namespace).await?;
    catalog.require_namespace(&namespace).await?;
    let tables = match &namespace {
        Namespace::Layered(name, layer) => {
            let tables = catalog.list_tables(Some(name), Some(*layer)).await?;
            gate.readable_tables(tables).await?
        }
        // Tables are in the layers.
        Namespace::Top(_) => Vec::new(),
    };
    let (page, token) = page.cut(tables, |table| table.name.to_string());
    let identifiers: Vec<_> = page
        .iter()
        .map(|table| json!({"namespace": levels(table), "name": table.name}))
        .collect();
    Ok(Json(
        json!({"identifiers": identifiers, "next-page-token": token}),
    ))
}

pub(super) async fn create(
    State(catalog): State<Catalog>,
    By(gate): By,
    InPath(name): InPath<String>,
    Body(body): Body<CreateBody>,
) -> Result<Response, Failure> {
    // Whoever may create nothing learns nothing about names.
    if let Caller::Query(_) = gate.caller {
        return Err(Failure(Error::forbidden("a query may not write")));
    }
    let namespace = existing_namespace(&name)?;
    gate.change_namespace(&namespace, Deed::Create).await?;
    Ok(
        match catalog.create_table(&gate.caller, &namespace, body).await? {
            Created::Table(table) => answer::loaded(&table),
            Created::Computed(metadata) => answer::table(None, &metadata, ""),
        },
    )
}

pub(super) async fn load(
    State(catalog): State<Catalog>,
    By(gate): By,
    InPath((namespace, name)): InPath<(String, String)>,
    Parameters(parameters): Parameters<LoadParameters>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let ident = existing_table(&namespace, &name)?;
    gate.read_table(&ident).await?;
    let table = catalog.load(&gate.caller, &ident).await?;
    let variant = match parameters.snapshots {
        Snapshots::All => "",
        Snapshots::Refs => "-refs",
    };
    let tag = answer::etag(&table.location, variant);
    if is_current(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(match parameters.snapshots {
        Snapshots::All => answer::loaded(&table),
        Snapshots::Refs => only_referenced(&table, variant)?,
    })
}

/// Whether the client has what `tag` stands for.
fn is_current(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|candidate| candidate.trim().trim_start_matches("W/"))
        .any(|candidate| candidate == tag || candidate == "*")
}

/// The metadata with those snapshots that are the head of a branch or tag.
fn only_referenced(table: &LoadedTable, variant: &str) -> Result<Response, Error> {
    let damaged = |error: serde_json::Error| Error::Damaged {
        table: table.ident.clone(),
        message: error.to_string(),
    };
    let mut referenced: Vec<i64> = history::refs(table)?
        .into_iter()
        .map(|(_, reference)| reference.snapshot_id)
        .collect();
    referenced.extend(table.metadata().current_snapshot_id());
    let mut metadata: Value = serde_json::from_slice(&table.file.json).map_err(damaged)?;
    if let Some(snapshots) = metadata.get_mut("snapshots").and_then(Value::as_array_mut) {
        snapshots.retain(|snapshot| {
            snapshot["snapshot-id"]
                .as_i64()
                .is_some_and(|id| referenced.contains(&id))
        });
    }
    let text = serde_json::to_vec(&metadata).map_err(damaged)?;
    Ok(answer::table(Some(&table.location), &text.into(), variant))
}

pub(super) async fn exists(
    State(catalog): State<Catalog>,
    By(gate): By,
    InPath((namespace, name)): InPath<(String, String)>,
) -> Result<StatusCode, Failure> {
    let ident = existing_table(&namespace, &name)?;
    gate.read_table(&ident).await?;
    catalog.load(&gate.caller, &ident).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn commit(
    State(catalog): State<Catalog>,
    By(gate): By,
    InPath((namespace, name)): InPath<(String, String)>,
    Body(body): Body<CommitBody>,
) -> Result<Response, Failure> {
    let ident = existing_table(&namespace, &name)?;
    gate.caller.check_write(&ident)?;
    if let Some(identifier) = &body.identifier
        && (identifier.namespace != levels(&ident) || identifier.name != ident.name.as_str())
    {
        return Err(Failure(Error::invalid(
            "the identifier is not the table of the path",
        )));
    }
    let change = Change::parse(body)?;
    if change.creates() {
        let namespace = Namespace::Layered(ident.namespace.clone(), ident.layer);
        gate.change_namespace(&namespace, Deed::Create).await?;
    } else {
        gate.change_table(&ident, Deed::Write).await?;
    }
    Ok(answer::loaded(
        &catalog.commit(&gate.caller, &ident, &change).await?,
    ))
}

pub(super) async fn drop(
    State(catalog): State<Catalog>,
    By(gate): By,
    InPath((namespace, name)): InPath<(String, String)>,
    Parameters(parameters): Parameters<DropParameters>,
) -> Result<StatusCode, Failure> {
    gate.caller.check_user("drop a table")?;
    let ident = existing_table(&namespace, &name)?;
    gate.change_table(&ident, Deed::Delete).await?;
    let purge = match parameters.purge_requested.as_deref() {
        None => false,
        // Python writes `True`.
        Some(text) => text.to_lowercase().parse().map_err(|_| {
            Error::invalid(format!(
                "purgeRequested is {text:?}, neither true nor false"
            ))
        })?,
    };
    catalog.drop_table(&ident, purge).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Clients report how a scan went; nobody here wants to know yet.
pub(super) async fn metrics(
    By(gate): By,
    InPath((namespace, name)): InPath<(String, String)>,
    _: Ignored,
) -> Result<StatusCode, Failure> {
    gate.read_table(&existing_table(&namespace, &name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
