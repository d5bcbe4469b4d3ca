//! Namespaces.

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use rat_store::NamespaceRecord;
use rat_types::NamespaceName;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Action, Resource};
use crate::extract::{Json, Path, Query};
use crate::fault::Fault;
use crate::limit;
use crate::parameter::Count;
use crate::state::AppState;
use crate::time::Time;

#[derive(Serialize)]
pub(crate) struct Namespace {
    name: NamespaceName,
    description: String,
    created_by: String,
    created_at: Time,
}

impl From<NamespaceRecord> for Namespace {
    fn from(record: NamespaceRecord) -> Self {
        Self {
            name: record.name,
            description: record.description,
            created_by: record.owner,
            created_at: record.created_at.into(),
        }
    }
}

#[derive(Serialize)]
struct List {
    namespaces: Vec<Namespace>,
    total: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    name: NamespaceName,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<Count>,
    offset: Option<Count>,
}

#[derive(Deserialize)]
pub(crate) struct Name {
    namespace: NamespaceName,
}

pub(crate) async fn list(
    State(state): State<AppState>,
    access: Access,
    Query(page): Query<Page>,
) -> Result<impl IntoResponse, Fault> {
    let mut records = state.store.namespaces().list().await?;
    let names = records.iter().map(|record| record.name.clone()).collect();
    let seen = access.visible_namespaces(names).await?;
    records.retain(|record| seen.contains(&record.name));
    let total = records.len();
    let shown = limit::slice(records, page.limit, page.offset)?;
    let namespaces = shown.into_iter().map(Namespace::from).collect();
    Ok(axum::Json(List { namespaces, total }))
}

pub(crate) async fn create(
    State(state): State<AppState>,
    access: Access,
    Json(body): Json<Create>,
) -> Result<impl IntoResponse, Fault> {
    limit::description(&body.description)?;
    access.create(&Resource::namespace(&body.name)).await?;
    let namespaces = state.store.namespaces();
    let record = namespaces
        .create(&body.name, &body.description, access.user())
        .await?;
    Ok((StatusCode::CREATED, axum::Json(Namespace::from(record))))
}

pub(crate) async fn get(
    State(state): State<AppState>,
    access: Access,
    Path(Name { namespace }): Path<Name>,
) -> Result<impl IntoResponse, Fault> {
    access.read_namespace(&namespace).await?;
    let found = state.store.namespaces().get(&namespace).await?;
    let record = found.ok_or_else(|| missing(&namespace))?;
    Ok(axum::Json(Namespace::from(record)))
}

pub(crate) async fn update(
    State(state): State<AppState>,
    access: Access,
    Path(Name { namespace }): Path<Name>,
    Json(body): Json<Update>,
) -> Result<impl IntoResponse, Fault> {
    limit::description(&body.description)?;
    access
        .check(&Resource::namespace(&namespace), Action::Write)
        .await?;
    state
        .store
        .namespaces()
        .update(&namespace, &body.description)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    access: Access,
    Path(Name { namespace }): Path<Name>,
) -> Result<impl IntoResponse, Fault> {
    access
        .check(&Resource::namespace(&namespace), Action::Delete)
        .await?;
    state.catalog.delete_namespace(&namespace).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn missing(name: &NamespaceName) -> Fault {
    Fault::not_found(format!("namespace {name} does not exist"))
}
