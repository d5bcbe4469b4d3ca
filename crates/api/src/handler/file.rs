//! Source files of pipelines.
//!
//! What is written is stored as it is, drafts that do not parse included: a pipeline is judged
//! when it is validated or run.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use rat_store::{FileRecord, PipelineKey};
use rat_types::TableIdent;
use serde::{Deserialize, Serialize};

use super::pipeline;
use crate::access::{Access, Action, Resource};
use crate::extract::{Json, Path, Query};
use crate::fault::Fault;
use crate::limit;
use crate::parameter::Count;
use crate::source_path::{self, SourcePath};
use crate::state::AppState;
use crate::time::Time;

/// Files that one pipeline may have.
const MOST_FILES: usize = 500;
/// Bytes that one pipeline's files may have together: they travel in one message to the runner.
const MOST_BYTES: u64 = 3 * 1024 * 1024;
/// Bytes of one file: what fits into a JSON body.
const LARGEST_FILE: usize = 1024 * 1024;

#[derive(Serialize)]
struct Entry {
    path: String,
    size: u64,
    modified: Time,
    #[serde(rename = "type")]
    kind: &'static str,
    version_id: String,
}

#[derive(Serialize)]
struct List {
    files: Vec<Entry>,
    total: usize,
}

#[derive(Serialize)]
struct Content {
    path: String,
    content: String,
    size: u64,
    modified: Time,
    #[serde(rename = "type")]
    kind: &'static str,
    version_id: String,
}

#[derive(Serialize)]
struct Written {
    path: String,
    status: &'static str,
    version_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    prefix: Option<String>,
    exclude: Option<String>,
    limit: Option<Count>,
    offset: Option<Count>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    content: String,
}

#[derive(Deserialize)]
pub(crate) struct Params {
    path: String,
}

impl From<FileRecord> for Entry {
    fn from(record: FileRecord) -> Self {
        Self {
            kind: kind_of(&record.path),
            path: record.path,
            size: record.size,
            modified: record.modified.into(),
            version_id: record.hash,
        }
    }
}

pub(crate) async fn list(
    State(state): State<AppState>,
    access: Access,
    Query(filter): Query<Filter>,
) -> Result<impl IntoResponse, Fault> {
    let prefix = filter
        .prefix
        .ok_or_else(|| Fault::invalid("prefix: is needed"))?;
    source_path::check_prefix(&prefix)?;
    let excluded: Vec<&str> = filter
        .exclude
        .iter()
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .collect();
    let shown = |record: &FileRecord| {
        !record
            .path
            .split('/')
            .any(|segment| excluded.contains(&segment))
    };
    let records = state.store.files().list(&prefix).await?;
    let records = visible(&state, &access, records).await?;
    let files: Vec<Entry> = records.into_iter().filter(shown).map(Entry::from).collect();
    let total = files.len();
    let files = limit::slice(files, filter.limit, filter.offset)?;
    Ok(axum::Json(List { files, total }))
}

/// Those of pipelines that the caller may read.
async fn visible(
    state: &AppState,
    access: &Access,
    records: Vec<FileRecord>,
) -> Result<Vec<FileRecord>, Fault> {
    if !state.enforcement.is_active() {
        return Ok(records);
    }
    let pipeline_of = |record: &FileRecord| {
        let path = source_path::parse(&record.path).ok()?;
        Some(path.pipeline)
    };
    let named: BTreeSet<TableIdent> = records.iter().filter_map(pipeline_of).collect();
    let mut pipelines = state.store.pipelines().keys(None, None, None).await?;
    pipelines.retain(|key| !key.is_deleted && named.contains(&key.ident));
    let resource = |key: &PipelineKey| Resource::pipeline(&key.ident).owned_by(key.owner.clone());
    let seen = access.visible(pipelines, resource).await?;
    let seen: BTreeSet<TableIdent> = seen.into_iter().map(|key| key.ident).collect();
    let is_seen =
        |record: &FileRecord| pipeline_of(record).is_some_and(|found| seen.contains(&found));
    Ok(records.into_iter().filter(is_seen).collect())
}

pub(crate) async fn get(
    State(state): State<AppState>,
    access: Access,
    Path(Params { path }): Path<Params>,
) -> Result<impl IntoResponse, Fault> {
    let path = source_path::parse(&path)?;
    access
        .check(&Resource::pipeline(&path.pipeline), Action::Read)
        .await?;
    let found = state.store.files().get(&path.full).await?;
    let file = found.ok_or_else(|| missing(&path))?;
    let content = String::from_utf8(file.content)
        .map_err(|error| Fault::internal("a source file is not text", &error))?;
    Ok(axum::Json(Content {
        kind: kind_of(&path.full),
        path: path.full,
        content,
        size: file.record.size,
        modified: file.record.modified.into(),
        version_id: file.record.hash,
    }))
}

pub(crate) async fn put(
    State(state): State<AppState>,
    access: Access,
    Path(Params { path }): Path<Params>,
    Json(body): Json<Body>,
) -> Result<impl IntoResponse, Fault> {
    let path = source_path::parse(&path)?;
    check_content(&body.content)?;
    access
        .check(&Resource::pipeline(&path.pipeline), Action::Write)
        .await?;
    pipeline::require(&state, &path.pipeline).await?;
    check_room(&state, &path, body.content.len()).await?;
    let files = state.store.files();
    let record = files
        .put(&path.full, body.content.as_bytes(), access.user())
        .await?;
    Ok(axum::Json(Written {
        path: record.path,
        status: "written",
        version_id: record.hash,
    }))
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    access: Access,
    Path(Params { path }): Path<Params>,
) -> Result<impl IntoResponse, Fault> {
    let path = source_path::parse(&path)?;
    access
        .check(&Resource::pipeline(&path.pipeline), Action::Write)
        .await?;
    state.store.files().delete(&path.full).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses content that no source file can have.
pub(crate) fn check_content(content: &str) -> Result<(), Fault> {
    if content.len() > LARGEST_FILE {
        return Err(Fault::too_large(LARGEST_FILE as u64));
    }
    if content.contains('\0') {
        return Err(Fault::invalid(
            "content: must be text, without NUL characters",
        ));
    }
    Ok(())
}

/// Refuses a file that makes the pipeline too large to be handed to a runner.
async fn check_room(state: &AppState, path: &SourcePath, size: usize) -> Result<(), Fault> {
    let folder = source_path::folder(&path.pipeline);
    let mut others = state.store.files().list(&folder).await?;
    others.retain(|file| file.path != path.full);
    let bytes: u64 = others.iter().map(|file| file.size).sum();
    if others.len() >= MOST_FILES {
        let message = format!("a pipeline may have at most {MOST_FILES} files");
        return Err(Fault::invalid(message).because("TOO_MANY_FILES"));
    }
    if bytes + size as u64 > MOST_BYTES {
        let message =
            format!("the files of a pipeline may have at most {MOST_BYTES} bytes together");
        return Err(Fault::new(rat_types::Kind::PayloadTooLarge, message));
    }
    Ok(())
}

fn missing(path: &SourcePath) -> Fault {
    Fault::not_found(format!("file {} does not exist", path.full))
}

/// What a file is, by its place in the pipeline's folder.
fn kind_of(path: &str) -> &'static str {
    let rest = path.splitn(5, '/').nth(4).unwrap_or_default();
    match rest {
        "pipeline.sql" => "pipeline-sql",
        "pipeline.py" => "pipeline-py",
        "config.yaml" => "config",
        _ if rest.ends_with(".meta.yaml") => "meta",
        _ if rest.starts_with("tests/") && rest.ends_with(".sql") => "test",
        _ if rest.starts_with("hooks/") => "hook",
        _ if rest.ends_with(".md") => "doc",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_place_says() {
        let kind = |rest: &str| kind_of(&format!("shop/pipelines/gold/daily/{rest}"));
        assert_eq!(kind("pipeline.sql"), "pipeline-sql");
        assert_eq!(kind("config.yaml"), "config");
        assert_eq!(kind("pipeline.meta.yaml"), "meta");
        assert_eq!(kind("tests/quality/a.sql"), "test");
        assert_eq!(kind("tests/quality.meta.yaml"), "meta");
        assert_eq!(kind("README.md"), "doc");
        assert_eq!(kind("hooks/post.sql"), "hook");
        assert_eq!(kind("data.csv"), "");
    }
}
