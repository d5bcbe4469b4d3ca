//! `/v1/namespaces`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::name::{Namespace, existing_namespace};
use crate::{Catalog, Deed};

use super::answer::Failure;
use super::extract::{Body, By, InPath, Parameters};
use super::page::PageRequest;

#[derive(Debug, Deserialize)]
pub(super) struct ListParameters {
    parent: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateBody {
    namespace: Vec<String>,
    #[serde(default)]
    properties: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateBody {
    #[serde(default)]
    removals: Option<Vec<String>>,
    #[serde(default)]
    updates: Option<BTreeMap<String, String>>,
}

pub(super) async fn list(
    State(catalog): State<Catalog>,
    By(gate): By,
    Parameters(ListParameters { parent }): Parameters<ListParameters>,
    Parameters(page): Parameters<PageRequest>,
) -> Result<Json<Value>, Failure> {
    gate.caller.check_list()?;
    let parent = parent.filter(|parent| !parent.is_empty());
    let parent = parent.as_deref().map(existing_namespace).transpose()?;
    if let Some(parent) = &parent {
        gate.read_namespace(parent).await?;
    }
    let mut namespaces = catalog.list_namespaces(parent.as_ref()).await?;
    if parent.is_none() {
        let names = namespaces.iter().map(|found| found.name().clone());
        let readable = gate.readable_namespaces(names.collect()).await?;
        namespaces = readable.into_iter().map(Namespace::Top).collect();
    }
    let (page, token) = page.cut(namespaces, Namespace::to_string);
    let levels: Vec<_> = page.iter().map(Namespace::levels).collect();
    Ok(Json(
        json!({"namespaces": levels, "next-page-token": token}),
    ))
}

pub(super) async fn create(
    State(catalog): State<Catalog>,
    By(gate): By,
    Body(body): Body<CreateBody>,
) -> Result<Json<Value>, Failure> {
    let owner = gate.caller.check_user("create a namespace")?;
    gate.new_namespace().await?;
    let namespace = Namespace::parse(&body.namespace)?;
    let properties = body.properties.unwrap_or_default();
    let properties = catalog
        .create_namespace(owner, &namespace, properties)
        .await?;
    Ok(Json(
        json!({"namespace": namespace.levels(), "properties": properties}),
    ))
}

pub(super) async fn load(
    State(catalog): State<Catalog>,
    By(gate): By,
    InPath(name): InPath<String>,
) -> Result<Json<Value>, Failure> {
    let namespace = existing_namespace(&name)?;
    gate.read_namespace(&namespace).await?;
    let properties = catalog.namespace_properties(&namespace).await?;
    Ok(Json(
        json!({"namespace": namespace.levels(), "properties": properties}),
    ))
}

pub(super) async fn exists(
    State(catalog): State<Catalog>,
    By(gate): By,
    InPath(name): InPath<String>,
) -> Result<StatusCode, Failure> {
    let namespace = existing_namespace(&name)?;
    gate.read_namespace(&namespace).await?;
    catalog.require_namespace(&namespace).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn drop(
    State(catalog): State<Catalog>,
    By(gate): By,
    InPath(name): InPath<String>,
) -> Result<StatusCode, Failure> {
    gate.caller.check_user("drop a namespace")?;
    let namespace = existing_namespace(&name)?;
    gate.change_namespace(&namespace, Deed::Delete).await?;
    catalog.drop_namespace(&namespace).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn update_properties(
    State(catalog): State<Catalog>,
    By(gate): By,
    InPath(name): InPath<String>,
    Body(body): Body<UpdateBody>,
) -> Result<Json<Value>, Failure> {
    gate.caller.check_user("change a namespace")?;
    let namespace = existing_namespace(&name)?;
    gate.change_namespace(&namespace, Deed::Write).await?;
    let (removals, updates) = (
        body.removals.unwrap_or_default(),
        body.updates.unwrap_or_default(),
    );
    let changes = catalog
        .update_properties(&namespace, &removals, updates)
        .await?;
    Ok(Json(json!({
        "updated": changes.updated,
        "removed": changes.removed,
        "missing": changes.missing,
    })))
}
