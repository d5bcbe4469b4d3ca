//! Pipelines and what their sources say about them.

use axum::extract::State;
use axum::response::IntoResponse;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use rat_store::{
    NewPipeline, Only, Paging, PipelineFilter, PipelineRecord, PipelineUpdate, RunFilter,
};
use rat_types::{Layer, NamespaceName, RunId, RunStatus, TableIdent, TableName};
use serde::{Deserialize, Serialize};

use crate::access::{Access, Action, Resource};
use crate::extract::{Json, Path, Query};
use crate::fault::Fault;
use crate::handler::file;
use crate::parameter::Count;
use crate::state::AppState;
use crate::time::Time;
use crate::{limit, ownership, source_path};

/// The only type of pipeline that this version executes.
const SQL: &str = "sql";
/// Lookups that a list makes at the same time.
const LOOKUPS: usize = 8;

#[derive(Serialize)]
pub(crate) struct Pipeline {
    id: String,
    namespace: NamespaceName,
    layer: Layer,
    name: TableName,
    #[serde(rename = "type")]
    kind: String,
    s3_path: String,
    description: String,
    owner: String,
    source_hash: Option<String>,
    depends_on: Vec<String>,
    last_run: Option<LastRun>,
    created_at: Time,
    updated_at: Time,
}

#[derive(Serialize)]
struct LastRun {
    id: RunId,
    status: RunStatus,
    source_hash: Option<String>,
    finished_at: Option<Time>,
}

#[derive(Serialize)]
struct List {
    pipelines: Vec<Pipeline>,
    total: u64,
}

#[derive(Serialize)]
struct Created {
    namespace: NamespaceName,
    layer: Layer,
    name: TableName,
    s3_path: String,
    files_created: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    namespace: Option<NamespaceName>,
    layer: Option<Layer>,
    search: Option<String>,
    sort: Option<String>,
    limit: Option<Count>,
    offset: Option<Count>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    namespace: NamespaceName,
    layer: Layer,
    name: TableName,
    #[serde(rename = "type", default = "sql")]
    kind: String,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    description: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    owner: Option<String>,
}

fn sql() -> String {
    SQL.to_owned()
}

fn check_kind(kind: &str) -> Result<(), Fault> {
    match kind {
        SQL => Ok(()),
        _ => Err(Fault::invalid(
            "type: must be \"sql\", the only one that this version executes",
        )),
    }
}

pub(crate) async fn list(
    State(state): State<AppState>,
    access: Access,
    Query(filter): Query<Filter>,
) -> Result<impl IntoResponse, Fault> {
    limit::search(filter.search.as_deref())?;
    let paging = limit::page(filter.limit, filter.offset, filter.sort)?;
    let only = access
        .visible_pipelines(filter.namespace.as_ref(), filter.layer, None)
        .await?;
    let filter = PipelineFilter {
        namespace: filter.namespace,
        layer: filter.layer,
        search: filter.search,
        only,
        paging,
    };
    let page = state.store.pipelines().list(&filter).await?;
    let described = page
        .items
        .into_iter()
        .map(|record| describe(&state, record));
    let pipelines = stream::iter(described)
        .buffered(LOOKUPS)
        .try_collect()
        .await?;
    Ok(axum::Json(List {
        pipelines,
        total: page.total,
    }))
}

pub(crate) async fn create(
    State(state): State<AppState>,
    access: Access,
    Json(body): Json<Create>,
) -> Result<impl IntoResponse, Fault> {
    check_kind(&body.kind)?;
    limit::description(&body.description)?;
    let ident = TableIdent {
        namespace: body.namespace,
        layer: body.layer,
        name: body.name,
    };
    if let Some(source) = &body.source {
        file::check_content(source)?;
    }
    access.create(&Resource::pipeline(&ident)).await?;
    let new = NewPipeline {
        ident: ident.clone(),
        kind: body.kind,
        description: body.description,
        owner: access.user().to_owned(),
    };
    state.store.pipelines().create(&new).await?;
    let folder = source_path::folder(&ident);
    let mut files_created = Vec::new();
    if let Some(source) = body.source {
        let path = format!("{folder}pipeline.sql");
        state
            .store
            .files()
            .put(&path, source.as_bytes(), access.user())
            .await?;
        files_created.push(path);
    }
    let TableIdent {
        namespace,
        layer,
        name,
    } = ident;
    let created = Created {
        namespace,
        layer,
        name,
        s3_path: folder,
        files_created,
    };
    Ok((StatusCode::CREATED, axum::Json(created)))
}

pub(crate) async fn get(
    State(state): State<AppState>,
    access: Access,
    Path(ident): Path<TableIdent>,
) -> Result<impl IntoResponse, Fault> {
    access
        .check(&Resource::pipeline(&ident), Action::Read)
        .await?;
    let record = require(&state, &ident).await?;
    Ok(axum::Json(describe(&state, record).await?))
}

pub(crate) async fn update(
    State(state): State<AppState>,
    access: Access,
    Path(ident): Path<TableIdent>,
    Json(body): Json<Update>,
) -> Result<impl IntoResponse, Fault> {
    body.kind.as_deref().map_or(Ok(()), check_kind)?;
    body.description
        .as_deref()
        .map_or(Ok(()), limit::description)?;
    body.owner.as_deref().map_or(Ok(()), limit::owner)?;
    access
        .check(&Resource::pipeline(&ident), Action::Write)
        .await?;
    if let Some(owner) = &body.owner {
        ownership::give(&state, &access, &Resource::pipeline(&ident), owner).await?;
    }
    let update = PipelineUpdate {
        kind: body.kind,
        description: body.description,
    };
    let record = state.store.pipelines().update(&ident, &update).await?;
    Ok(axum::Json(describe(&state, record).await?))
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    access: Access,
    Path(ident): Path<TableIdent>,
) -> Result<impl IntoResponse, Fault> {
    access
        .check(&Resource::pipeline(&ident), Action::Delete)
        .await?;
    state.store.pipelines().delete(&ident).await?;
    // Its runs are cancelled with it; the scheduler tells the executors.
    state.scheduler.notify();
    Ok(StatusCode::NO_CONTENT)
}

/// The pipeline called `ident`, or a 404.
pub(crate) async fn require(state: &AppState, ident: &TableIdent) -> Result<PipelineRecord, Fault> {
    let found = state.store.pipelines().get(ident).await?;
    found.ok_or_else(|| Fault::not_found(format!("pipeline {ident} does not exist")))
}

async fn describe(state: &AppState, record: PipelineRecord) -> Result<Pipeline, Fault> {
    let last_run = last_run(state, &record).await?;
    let depends_on = match &record.source_hash {
        Some(hash) => {
            state
                .memory
                .references
                .of(&state.store, &record.ident, hash)
                .await?
        }
        None => Vec::new(),
    };
    let TableIdent {
        namespace,
        layer,
        name,
    } = record.ident.clone();
    Ok(Pipeline {
        id: record.id,
        namespace,
        layer,
        name,
        kind: record.kind,
        s3_path: source_path::folder(&record.ident),
        description: record.description,
        owner: record.owner,
        source_hash: record.source_hash,
        depends_on: depends_on.iter().map(ToString::to_string).collect(),
        last_run,
        created_at: record.created_at.into(),
        updated_at: record.updated_at.into(),
    })
}

async fn last_run(state: &AppState, record: &PipelineRecord) -> Result<Option<LastRun>, Fault> {
    let ident = &record.ident;
    let filter = RunFilter {
        namespace: Some(ident.namespace.clone()),
        layer: Some(ident.layer),
        pipeline: Some(ident.name.clone()),
        // Not those of a deleted one of the same name.
        only: Some(Only::These(vec![record.id.clone()])),
        paging: Paging {
            limit: Some(1),
            ..Paging::default()
        },
        ..RunFilter::default()
    };
    let run = state.store.runs().list(&filter).await?.items.pop();
    Ok(run.map(|run| LastRun {
        id: run.id,
        status: run.status,
        source_hash: run.source_hash,
        finished_at: run.finished_at.map(Time),
    }))
}
