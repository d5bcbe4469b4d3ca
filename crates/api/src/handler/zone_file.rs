//! Files in landing zones.

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use rat_store::ZoneFileRecord;
use rat_types::{NamespaceName, ZoneIdent, ZoneName};
use serde::{Deserialize, Serialize};

use super::zone;
use crate::access::{Access, Action, Resource};
use crate::extract::{Path, Query};
use crate::fault::Fault;
use crate::limit;
use crate::parameter::{Count, Flag};
use crate::state::AppState;
use crate::time::Time;
use crate::upload::{self, Target};

#[derive(Serialize)]
struct File {
    id: String,
    zone_id: String,
    filename: String,
    s3_path: String,
    size_bytes: u64,
    hash: Option<String>,
    content_type: String,
    uploaded_by: String,
    uploaded_at: Time,
}

#[derive(Serialize)]
struct List {
    files: Vec<File>,
    total: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<Count>,
    offset: Option<Count>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadQuery {
    path: Option<String>,
    overwrite: Option<Flag>,
}

#[derive(Deserialize)]
pub(crate) struct FileId {
    namespace: NamespaceName,
    name: ZoneName,
    file_id: String,
}

impl FileId {
    fn into_parts(self) -> (ZoneIdent, String) {
        (
            ZoneIdent {
                namespace: self.namespace,
                name: self.name,
            },
            self.file_id,
        )
    }
}

fn describe(zone: &ZoneIdent, record: ZoneFileRecord) -> File {
    File {
        s3_path: format!("{}/landing/{}/{}", zone.namespace, zone.name, record.path),
        id: record.id,
        zone_id: record.zone_id,
        filename: record.path,
        size_bytes: record.size_bytes,
        hash: record.hash,
        content_type: record.content_type,
        uploaded_by: record.uploaded_by,
        uploaded_at: record.uploaded_at.into(),
    }
}

pub(crate) async fn list(
    State(state): State<AppState>,
    access: Access,
    Path(zone): Path<ZoneIdent>,
    Query(page): Query<Page>,
) -> Result<impl IntoResponse, Fault> {
    access.check(&Resource::zone(&zone), Action::Read).await?;
    zone::require(&state, &zone).await?;
    let records = state.store.zones().list_files(&zone).await?;
    let total = records.len();
    let shown = limit::slice(records, page.limit, page.offset)?;
    let files = shown
        .into_iter()
        .map(|record| describe(&zone, record))
        .collect();
    Ok(axum::Json(List { files, total }))
}

pub(crate) async fn upload(
    State(state): State<AppState>,
    access: Access,
    Path(zone): Path<ZoneIdent>,
    Query(query): Query<UploadQuery>,
    form: upload::Form,
) -> Result<impl IntoResponse, Fault> {
    access.check(&Resource::zone(&zone), Action::Write).await?;
    zone::require(&state, &zone).await?;
    let target = Target {
        zone: zone.clone(),
        path: query.path,
        overwrite: query.overwrite.is_some_and(|flag| flag.0),
        user: access.user().to_owned(),
    };
    let record = upload::receive(&state, target, form).await?;
    Ok((StatusCode::CREATED, axum::Json(describe(&zone, record))))
}

pub(crate) async fn get(
    State(state): State<AppState>,
    access: Access,
    Path(file): Path<FileId>,
) -> Result<impl IntoResponse, Fault> {
    let (zone, id) = file.into_parts();
    access.check(&Resource::zone(&zone), Action::Read).await?;
    let record = require(&state, &zone, &id).await?;
    Ok(axum::Json(describe(&zone, record)))
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    access: Access,
    Path(file): Path<FileId>,
) -> Result<impl IntoResponse, Fault> {
    let (zone, id) = file.into_parts();
    access.check(&Resource::zone(&zone), Action::Write).await?;
    let record = require(&state, &zone, &id).await?;
    upload::remove(&state, &zone, &record).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn require(state: &AppState, zone: &ZoneIdent, id: &str) -> Result<ZoneFileRecord, Fault> {
    let found = match id.len() <= 64 {
        true => state.store.zones().get_file(zone, id).await?,
        false => None,
    };
    let shown: String = id.chars().take(64).collect();
    found.ok_or_else(|| Fault::not_found(format!("landing zone {zone} has no file {shown:?}")))
}
