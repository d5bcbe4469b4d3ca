//! Landing zones.

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use rat_store::{NewZone, ZoneRecord, ZoneUpdate};
use rat_types::{NamespaceName, ZoneIdent, ZoneName};
use serde::{Deserialize, Serialize};

use crate::access::{Access, Action, Resource};
use crate::extract::{Json, Path, Query};
use crate::fault::Fault;
use crate::limit;
use crate::ownership;
use crate::parameter::Count;
use crate::state::AppState;
use crate::time::Time;

/// Characters of a zone's expected schema, which is text for people.
const LONGEST_SCHEMA: usize = 20_000;

#[derive(Serialize)]
struct Zone {
    id: String,
    namespace: NamespaceName,
    name: ZoneName,
    description: String,
    owner: String,
    expected_schema: String,
    processed_max_age_days: Option<u32>,
    auto_purge: bool,
    created_at: Time,
    updated_at: Time,
    file_count: u64,
    total_bytes: u64,
}

#[derive(Serialize)]
struct List {
    zones: Vec<Zone>,
    total: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    namespace: Option<NamespaceName>,
    limit: Option<Count>,
    offset: Option<Count>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    namespace: NamespaceName,
    name: ZoneName,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    description: Option<String>,
    owner: Option<String>,
    expected_schema: Option<String>,
}

impl From<ZoneRecord> for Zone {
    fn from(record: ZoneRecord) -> Self {
        Self {
            id: record.id,
            namespace: record.ident.namespace,
            name: record.ident.name,
            description: record.description,
            owner: record.owner,
            expected_schema: record.expected_schema,
            processed_max_age_days: record.processed_max_age_days,
            auto_purge: record.auto_purge,
            created_at: record.created_at.into(),
            updated_at: record.updated_at.into(),
            file_count: record.file_count,
            total_bytes: record.total_bytes,
        }
    }
}

pub(crate) async fn list(
    State(state): State<AppState>,
    access: Access,
    Query(filter): Query<Filter>,
) -> Result<impl IntoResponse, Fault> {
    let records = state.store.zones().list(filter.namespace.as_ref()).await?;
    let resource = |zone: &ZoneRecord| Resource::zone(&zone.ident).owned_by(zone.owner.clone());
    let records = access.visible(records, resource).await?;
    let total = records.len();
    let shown = limit::slice(records, filter.limit, filter.offset)?;
    Ok(axum::Json(List {
        zones: shown.into_iter().map(Zone::from).collect(),
        total,
    }))
}

pub(crate) async fn create(
    State(state): State<AppState>,
    access: Access,
    Json(body): Json<Create>,
) -> Result<impl IntoResponse, Fault> {
    limit::description(&body.description)?;
    let ident = ZoneIdent {
        namespace: body.namespace,
        name: body.name,
    };
    access.create(&Resource::zone(&ident)).await?;
    let owner = access.user().to_owned();
    let new = NewZone {
        ident,
        description: body.description,
        owner,
    };
    let record = state.store.zones().create(&new).await?;
    Ok((StatusCode::CREATED, axum::Json(Zone::from(record))))
}

pub(crate) async fn get(
    State(state): State<AppState>,
    access: Access,
    Path(ident): Path<ZoneIdent>,
) -> Result<impl IntoResponse, Fault> {
    access.check(&Resource::zone(&ident), Action::Read).await?;
    Ok(axum::Json(Zone::from(require(&state, &ident).await?)))
}

pub(crate) async fn update(
    State(state): State<AppState>,
    access: Access,
    Path(ident): Path<ZoneIdent>,
    Json(body): Json<Update>,
) -> Result<impl IntoResponse, Fault> {
    body.description
        .as_deref()
        .map_or(Ok(()), limit::description)?;
    body.owner.as_deref().map_or(Ok(()), limit::owner)?;
    if let Some(schema) = &body.expected_schema {
        limit::text("expected_schema", schema, LONGEST_SCHEMA)?;
    }
    access.check(&Resource::zone(&ident), Action::Write).await?;
    if let Some(owner) = &body.owner {
        ownership::give(&state, &access, &Resource::zone(&ident), owner).await?;
    }
    let update = ZoneUpdate {
        description: body.description,
        expected_schema: body.expected_schema,
        ..ZoneUpdate::default()
    };
    let record = state.store.zones().update(&ident, &update).await?;
    Ok(axum::Json(Zone::from(record)))
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    access: Access,
    Path(ident): Path<ZoneIdent>,
) -> Result<impl IntoResponse, Fault> {
    access
        .check(&Resource::zone(&ident), Action::Delete)
        .await?;
    state.store.zones().delete(&ident).await?;
    // The records are gone, so nobody can name the files any more; a folder that cannot be
    // removed costs space and is used again by the next zone of this name.
    let folder = state.catalog.warehouse().zone_location(&ident);
    if let Err(error) = state.catalog.file_io().delete_prefix(&folder).await {
        tracing::warn!(zone = %ident, error = %error, "failed to delete the files of a zone");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The zone called `ident`, or a 404.
pub(crate) async fn require(state: &AppState, ident: &ZoneIdent) -> Result<ZoneRecord, Fault> {
    let found = state.store.zones().get(ident).await?;
    found.ok_or_else(|| Fault::not_found(format!("landing zone {ident} does not exist")))
}
