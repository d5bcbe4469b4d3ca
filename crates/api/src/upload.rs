//! Receiving a file into a landing zone.
//!
//! The file streams to a temporary name beside its destination and gets its name when the whole
//! form has arrived; a connection that breaks leaves nothing. The name is given under a lock of
//! its path, together with the record, so that of two uploads of one path one wins as a whole. A
//! crash between the two leaves a file without a record, which no run sees and the next upload of
//! that path replaces. No link in the lake's folder is followed: whoever may write there must not
//! be able to have ratd write elsewhere.

mod form;

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use axum::extract::multipart::Field;
use http::StatusCode;
use rat_iceberg::storage::{self, AtomicFile, Existing, Obstacle};
use rat_store::{NewZoneFile, ZoneFileRecord};
use rat_types::{Kind, ZoneIdent};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, MutexGuard};

use crate::fault::Fault;
use crate::landing_path;
use crate::state::AppState;

pub(crate) use form::Form;
use form::Watch;

/// Bytes of a form's text field.
const LONGEST_FIELD: usize = 4096;
/// Characters of a media type.
const LONGEST_CONTENT_TYPE: usize = 255;
/// The media type that says nothing.
const ANY_CONTENT: &str = "application/octet-stream";
/// What is still read of a refused upload, so that its sender sees the answer and not a broken
/// connection.
const DRAINED: usize = 4 * 1024 * 1024;
const LOCKS: usize = 64;

/// Where an upload goes. The form's own fields `path` and `overwrite` come on top.
#[derive(Debug)]
pub(crate) struct Target {
    /// The zone.
    pub(crate) zone: ZoneIdent,
    /// The path within it; one that ends with `/` gets the file's name appended.
    pub(crate) path: Option<String>,
    /// Whether a file that is there is replaced.
    pub(crate) overwrite: bool,
    /// Who uploads.
    pub(crate) user: String,
}

/// Locks of paths within zones.
#[derive(Debug)]
pub(crate) struct PathLocks {
    locks: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Default for PathLocks {
    fn default() -> Self {
        let locks = std::iter::repeat_with(Mutex::default).take(LOCKS).collect();
        Self {
            locks,
            hasher: RandomState::new(),
        }
    }
}

impl PathLocks {
    async fn lock(&self, zone: &ZoneIdent, path: &str) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one((zone, path));
        let index = usize::try_from(hash % LOCKS as u64).unwrap_or_default();
        self.locks[index].lock().await
    }
}

/// A file that has arrived and has no name yet.
struct Arrived {
    path: String,
    content_type: String,
    hash: String,
    file: AtomicFile,
}

/// Receives the form and answers the record of its file.
pub(crate) async fn receive(
    state: &AppState,
    mut target: Target,
    mut form: Form,
) -> Result<ZoneFileRecord, Fault> {
    let watch = form.watch();
    let mut arrived = None;
    while let Some(field) = form.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" if arrived.is_some() => {
                return Err(Fault::invalid("file: an upload has one file"));
            }
            "file" => arrived = Some(receive_file(state, &target, &watch, field).await?),
            "path" | "overwrite" if arrived.is_some() => {
                return Err(Fault::invalid(format!("{name}: must come before the file")));
            }
            "path" => target.path = Some(text(&watch, field).await?),
            "overwrite" => {
                target.overwrite = text(&watch, field)
                    .await?
                    .parse()
                    .map_err(|_| Fault::invalid("overwrite: must be true or false"))?;
            }
            other => {
                let shown: String = other.chars().take(64).collect();
                return Err(Fault::invalid(format!("unknown form field {shown:?}")));
            }
        }
    }
    let arrived = arrived.ok_or_else(|| Fault::invalid("file: the form has no such field"))?;
    publish(state, target, arrived).await
}

async fn receive_file(
    state: &AppState,
    target: &Target,
    watch: &Watch,
    mut field: Field<'_>,
) -> Result<Arrived, Fault> {
    let path = destination(target, field.file_name())?;
    if !target.overwrite
        && state
            .store
            .zones()
            .file_at(&target.zone, &path)
            .await?
            .is_some()
    {
        drain(watch, field).await;
        return Err(taken(&target.zone, &path));
    }
    let content_type = content_type(&field, &path);
    let root = state.catalog.warehouse().path();
    let fault = |error: &storage::Error| storage_fault(root, error);
    let mut file = AtomicFile::within(root, &lake_path(&target.zone, &path))
        .map_err(|error| Fault::of(error.kind(), error.reason(), &error))?;
    if let Err(error) = file.check().await {
        drain(watch, field).await;
        return Err(fault(&error));
    }
    let mut content = Sha256::new();
    let limit = state.config.upload_limit;
    while let Some(chunk) = watch.chunk(&mut field).await? {
        if file.written() + chunk.len() as u64 > limit {
            return Err(Fault::too_large(limit));
        }
        content.update(&chunk);
        file.write(chunk).await.map_err(|error| fault(&error))?;
    }
    Ok(Arrived {
        path,
        content_type,
        hash: format!("{:x}", content.finalize()),
        file,
    })
}

/// Gives the file its name and its record.
async fn publish(
    state: &AppState,
    target: Target,
    arrived: Arrived,
) -> Result<ZoneFileRecord, Fault> {
    let Target {
        zone,
        overwrite,
        user,
        ..
    } = target;
    let Arrived {
        path,
        content_type,
        hash,
        file,
    } = arrived;
    let zones = state.store.zones();
    let _guard = state.memory.upload_locks.lock(&zone, &path).await;
    let before = zones.file_at(&zone, &path).await?;
    if before.is_some() && !overwrite {
        return Err(taken(&zone, &path));
    }
    super::handler::zone::require(state, &zone).await?;
    let size_bytes = file
        .commit(Existing::Replace)
        .await
        .map_err(|error| storage_fault(state.catalog.warehouse().path(), &error))?;
    let new = NewZoneFile {
        path: path.clone(),
        size_bytes,
        hash,
        content_type,
        uploaded_by: user,
    };
    match zones.add_file(&zone, &new, overwrite).await {
        Ok(record) => Ok(record),
        Err(error) => {
            if before.is_none() {
                remove_from_disk(state, &zone, &path).await;
            }
            Err(error.into())
        }
    }
}

/// Removes a file and its record.
pub(crate) async fn remove(
    state: &AppState,
    zone: &ZoneIdent,
    record: &ZoneFileRecord,
) -> Result<(), Fault> {
    let _guard = state.memory.upload_locks.lock(zone, &record.path).await;
    state.store.zones().delete_file(zone, &record.id).await?;
    remove_from_disk(state, zone, &record.path).await;
    Ok(())
}

/// Best effort: without a record nobody can name the file, and the next upload replaces it.
async fn remove_from_disk(state: &AppState, zone: &ZoneIdent, path: &str) {
    let root = state.catalog.warehouse().path();
    if let Err(error) = storage::remove_within(root, &lake_path(zone, path)).await {
        let error = crate::fault::Chain(&error);
        tracing::warn!(zone = %zone, path, %error, "failed to delete a landing file");
    }
}

fn destination(target: &Target, file_name: Option<&str>) -> Result<String, Fault> {
    let name = || landing_path::sanitize(file_name.unwrap_or_default());
    let path = match target.path.as_deref() {
        None | Some("") => name()?,
        Some(folder) if folder.ends_with('/') => format!("{folder}{}", name()?),
        Some(path) => path.to_owned(),
    };
    landing_path::check(&path)?;
    Ok(path)
}

/// Path of a file below the lake's folder.
fn lake_path(zone: &ZoneIdent, path: &str) -> String {
    format!("{}/landing/{}/{path}", zone.namespace, zone.name)
}

fn content_type(field: &Field<'_>, path: &str) -> String {
    let given = field.content_type().unwrap_or_default();
    let given: String = given
        .chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(LONGEST_CONTENT_TYPE)
        .collect();
    // What programs send that do not know better.
    let says_nothing = given.is_empty() || given == ANY_CONTENT;
    match content_type_of(path) {
        Some(guessed) if says_nothing => guessed.to_owned(),
        _ => given,
    }
}

/// What a file's suffix says about its content.
fn content_type_of(path: &str) -> Option<&'static str> {
    let (_, suffix) = path.rsplit_once('.')?;
    match suffix.to_ascii_lowercase().as_str() {
        "csv" => Some("text/csv"),
        "parquet" => Some("application/vnd.apache.parquet"),
        "json" => Some("application/json"),
        "ndjson" | "jsonl" => Some("application/x-ndjson"),
        "gz" => Some("application/gzip"),
        _ => None,
    }
}

async fn text(watch: &Watch, mut field: Field<'_>) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = watch.chunk(&mut field).await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LONGEST_FIELD {
            let name = field.name().unwrap_or_default();
            return Err(Fault::invalid(format!(
                "{name}: is longer than {LONGEST_FIELD} bytes"
            )));
        }
    }
    String::from_utf8(bytes).map_err(|_| Fault::invalid("a form field is not UTF-8 text"))
}

async fn drain(watch: &Watch, mut field: Field<'_>) {
    let mut drained = 0;
    while let Ok(Some(chunk)) = watch.chunk(&mut field).await {
        drained += chunk.len();
        if drained > DRAINED {
            return;
        }
    }
}

fn taken(zone: &ZoneIdent, path: &str) -> Fault {
    let message =
        format!("landing zone {zone} already has a file {path:?}; overwrite=true replaces it");
    Fault::new(Kind::AlreadyExists, message)
}

/// The client learns what kind of failure it was and not where our files lie.
fn storage_fault(root: &Path, error: &storage::Error) -> Fault {
    if let storage::Error::Obstructed { path, by } = error {
        let path = path.strip_prefix(root).unwrap_or(Path::new(""));
        let rule = match by {
            Obstacle::File => "a file, so that nothing can lie below it",
            Obstacle::Folder => "a folder, so that no file can have its name",
            Obstacle::Link => "a link, and RAT follows none",
            Obstacle::Other => "neither a file nor a folder",
        };
        let message = format!("{} is {rule}", path.display());
        return Fault::new(error.kind(), message).because(error.reason());
    }
    match error.kind() {
        Kind::ResourceExhausted => {
            tracing::error!(error = %crate::fault::Chain(error), "storage is full");
            Fault::from_status(
                StatusCode::INSUFFICIENT_STORAGE,
                "the lake's storage is full",
            )
            .because("STORAGE_FULL")
        }
        _ => Fault::internal("failed to store an upload", error),
    }
}
