//! Landing zones: finding, creating and filling them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use rat_types::ZoneIdent;
use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::json;
use tokio_util::io::ReaderStream;

use crate::client::{Client, Error, ZoneFile, ZoneFileList};
use crate::progress::Counter;

/// Slowest upload that is waited for, in bytes per second.
const SLOWEST: u64 = 64 * 1024;
/// Time that every upload gets on top.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file of this machine that goes into a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Path within the zone.
    pub path: String,
    /// The file.
    pub file: PathBuf,
    /// Its size.
    pub size: u64,
}

/// Path of a zone in the API.
fn zone_path(zone: &ZoneIdent) -> String {
    format!("/api/v1/landing-zones/{}/{}", zone.namespace, zone.name)
}

/// Creates the zone unless it exists; says whether it had to.
///
/// # Errors
/// Whatever the request ended with.
pub async fn ensure_zone(client: &Client, zone: &ZoneIdent) -> Result<bool, Error> {
    let body = json!({ "namespace": zone.namespace, "name": zone.name, "description": "" });
    match client.post("/api/v1/landing-zones", &body).await {
        Ok(_) => Ok(true),
        Err(error) if error.status() == Some(StatusCode::CONFLICT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Each file in a zone by its path; nothing if there is no such zone.
///
/// # Errors
/// Whatever the request ended with.
pub async fn files(client: &Client, zone: &ZoneIdent) -> Result<BTreeMap<String, ZoneFile>, Error> {
    match client
        .list::<ZoneFileList>(&format!("{}/files", zone_path(zone)), &[])
        .await
    {
        Ok(files) => Ok(files
            .into_iter()
            .map(|file| (file.filename.clone(), file))
            .collect()),
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

/// Streams one file into a zone.
///
/// # Errors
/// The file cannot be read, or whatever the request ended with.
pub async fn upload(
    client: &Client,
    zone: &ZoneIdent,
    upload: &Upload,
    overwrite: bool,
    counter: Counter,
) -> Result<()> {
    let file = tokio::fs::File::open(&upload.file)
        .await
        .with_context(|| format!("cannot open {}", upload.file.display()))?;
    let chunks = ReaderStream::with_capacity(file, 256 * 1024).inspect(move |chunk| {
        if let Ok(chunk) = chunk {
            counter.add(chunk.len() as u64);
        }
    });
    let body = reqwest::Body::wrap_stream(chunks);
    let part = Part::stream_with_length(body, upload.size).file_name(upload.path.clone());
    // The fields come before the file, so that the server knows where to put it.
    let form = Form::new()
        .text("path", upload.path.clone())
        .text("overwrite", overwrite.to_string())
        .part("file", part);
    let deadline = PATIENCE + Duration::from_secs(upload.size / SLOWEST);
    client
        .upload(&format!("{}/files", zone_path(zone)), form, deadline)
        .await
        .with_context(|| format!("cannot upload {} to {zone}", upload.file.display()))?;
    Ok(())
}

/// The upload of `file` under its own name.
///
/// # Errors
/// There is no such file, it is not a file, or its name is not text.
pub fn plan_upload(file: &Path) -> Result<Upload> {
    let meta =
        std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
    if !meta.is_file() {
        anyhow::bail!("{} is not a file", file.display());
    }
    let name = file.file_name().and_then(|name| name.to_str());
    let path = name
        .with_context(|| format!("{} has no usable name", file.display()))?
        .to_owned();
    Ok(Upload {
        path,
        file: file.to_owned(),
        size: meta.len(),
    })
}
