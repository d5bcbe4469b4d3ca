//! Source files of pipelines: content-addressed blobs, and the paths that name them.
//!
//! A blob lives as long as a path names it: whoever removes or overwrites the last path removes
//! the blob in the same transaction. Runs keep only the hash of their sources, so an old run says
//! *which* sources it executed, not what they contained; versions will hold blobs themselves.

mod path;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rat_sql::{FromRow, Pool, Row, Transaction, sql};
use rat_types::{NamespaceName, TableIdent};

use crate::error::{Constraint, must_change};
use crate::source_hash::blob_hash;
use crate::time::now;
use crate::{Error, namespaces, pipelines, source_hash};

pub(crate) use path::{check_path, pipeline_folder};
use path::{end_of, pipeline_of};

/// What is known about a file without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    /// Path, for example `default/pipelines/bronze/orders/pipeline.sql`.
    pub path: String,
    /// SHA-256 of the content, lower-case hex.
    pub hash: String,
    /// Size in bytes.
    pub size: u64,
    /// When the content was last written.
    pub modified: DateTime<Utc>,
    /// User id of who wrote it.
    pub modified_by: String,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What is known about it.
    pub record: FileRecord,
    /// Content.
    pub content: Vec<u8>,
}

impl FromRow for FileRecord {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self {
            path: row.get("path")?,
            hash: row.get("hash")?,
            size: row.get("size_bytes")?,
            modified: row.get("modified_at")?,
            modified_by: row.get("modified_by")?,
        })
    }
}

impl FromRow for File {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self {
            record: FileRecord::from_row(row)?,
            content: row.get("content")?,
        })
    }
}

/// Source files. From [`crate::Store::files`].
#[derive(Debug)]
pub struct Files<'a> {
    pool: &'a Pool,
}

impl<'a> Files<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool }
    }

    /// Writes a file, replacing what was there. In a pipeline's folder this also updates the
    /// pipeline's source hash, in the same transaction.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an impossible path, or for content in a pipeline's folder that is
    /// not UTF-8 (a run carries its sources as text); [`Error::NotFound`] where that pipeline does
    /// not exist (any more); or the database fails.
    pub async fn put(&self, path: &str, content: &[u8], by: &str) -> Result<FileRecord, Error> {
        check_path(path)?;
        let pipeline = pipeline_of(path);
        if pipeline.is_some() && std::str::from_utf8(content).is_err() {
            return Err(Error::invalid(
                "content of file",
                path,
                "sources must be UTF-8 text",
            ));
        }
        let record = FileRecord {
            path: path.to_owned(),
            hash: blob_hash(content),
            size: u64::try_from(content.len()).unwrap_or(u64::MAX),
            modified: now(),
            modified_by: by.to_owned(),
        };
        retry_references(|| self.try_put(&record, content, pipeline.as_ref())).await?;
        Ok(record)
    }

    async fn try_put(
        &self,
        record: &FileRecord,
        content: &[u8],
        pipeline: Option<&TableIdent>,
    ) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        lock_namespace_of(&mut tx, &record.path).await?;
        // Or the next pipeline of that name would take it over.
        if let Some(pipeline) = pipeline
            && pipelines::live_id(&mut tx, pipeline).await?.is_none()
        {
            return Err(Error::not_found("pipeline", pipeline));
        }
        let old = hash_at(&mut tx, &record.path).await?;
        let blob = sql!(
            "INSERT INTO blobs (hash, content) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING",
            &record.hash,
            content,
        );
        tx.execute(blob).await?;
        let file = sql!(
            "INSERT INTO files (path, hash, size_bytes, modified_at, modified_by)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (path) DO UPDATE SET hash = excluded.hash,
                 size_bytes = excluded.size_bytes, modified_at = excluded.modified_at,
                 modified_by = excluded.modified_by",
            &record.path,
            &record.hash,
            record.size,
            record.modified,
            &record.modified_by,
        );
        tx.execute(file).await?;
        if let Some(old) = old.filter(|old| *old != record.hash) {
            collect_blob(&mut tx, &old).await?;
        }
        if let Some(pipeline) = pipeline {
            update_source_hash(&mut tx, pipeline).await?;
        }
        Ok(tx.commit().await?)
    }

    /// The file at `path`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn get(&self, path: &str) -> Result<Option<File>, Error> {
        let query = sql!(
            "SELECT f.path, f.hash, f.size_bytes, f.modified_at, f.modified_by, b.content
             FROM files f JOIN blobs b ON b.hash = f.hash
             WHERE f.path = $1",
            path,
        );
        Ok(self.pool.fetch_optional(query).await?)
    }

    /// Files whose path starts with `prefix`, by path. An empty prefix lists every file.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self, prefix: &str) -> Result<Vec<FileRecord>, Error> {
        let query = sql!(
            "SELECT path, hash, size_bytes, modified_at, modified_by FROM files
             WHERE path >= $1 AND path < $2
             ORDER BY path",
            prefix,
            end_of(prefix),
        );
        Ok(self.pool.fetch_all(query).await?)
    }

    /// Deletes the file at `path`, its blob when nothing else names it, and updates the source
    /// hash of the pipeline it belonged to.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        retry_references(|| self.try_delete(path)).await
    }

    async fn try_delete(&self, path: &str) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        lock_namespace_of(&mut tx, path).await?;
        let old = hash_at(&mut tx, path)
            .await?
            .ok_or_else(|| Error::not_found("file", path))?;
        let deleted = tx
            .execute(sql!("DELETE FROM files WHERE path = $1", path))
            .await?;
        must_change(deleted, "file", path)?;
        collect_blob(&mut tx, &old).await?;
        if let Some(pipeline) = pipeline_of(path) {
            update_source_hash(&mut tx, &pipeline).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Number of distinct contents that are stored.
    ///
    /// # Errors
    /// The database fails.
    pub async fn blob_count(&self) -> Result<u64, Error> {
        Ok(self
            .pool
            .fetch_one(sql!("SELECT COUNT(*) FROM blobs"))
            .await?)
    }

    /// The files of a pipeline as they are now, by path within its folder. Empty where the
    /// pipeline has no files.
    ///
    /// # Errors
    /// The database fails.
    pub async fn pipeline_sources(
        &self,
        pipeline: &TableIdent,
    ) -> Result<BTreeMap<String, String>, Error> {
        let folder = pipeline_folder(pipeline);
        let query = sql!(
            "SELECT f.path, f.hash, f.size_bytes, f.modified_at, f.modified_by, b.content
             FROM files f JOIN blobs b ON b.hash = f.hash
             WHERE f.path >= $1 AND f.path < $2",
            &folder,
            end_of(&folder),
        );
        let files: Vec<File> = self.pool.fetch_all(query).await?;
        let source = |file: File| {
            let text = String::from_utf8(file.content).map_err(|_| {
                Error::invalid(
                    "content of file",
                    &file.record.path,
                    "sources must be UTF-8 text",
                )
            })?;
            Ok((file.record.path[folder.len()..].to_owned(), text))
        };
        files.into_iter().map(source).collect()
    }
}

/// Lets one transaction at a time change the files of a namespace.
async fn lock_namespace_of(tx: &mut Transaction, path: &str) -> Result<(), Error> {
    let first = path.split('/').next().unwrap_or_default();
    if let Ok(namespace) = first.parse::<NamespaceName>() {
        namespaces::lock(tx, &namespace).await?;
    }
    Ok(())
}

async fn hash_at(tx: &mut Transaction, path: &str) -> Result<Option<String>, Error> {
    Ok(tx
        .fetch_optional(sql!("SELECT hash FROM files WHERE path = $1", path))
        .await?)
}

/// Removes a blob that no path names any more.
async fn collect_blob(tx: &mut Transaction, hash: &str) -> Result<(), Error> {
    let query = sql!(
        "DELETE FROM blobs
         WHERE hash = $1 AND NOT EXISTS (SELECT 1 FROM files WHERE files.hash = $1)",
        hash,
    );
    tx.execute(query).await?;
    Ok(())
}

/// Removes every file below `folder`, which ends with `/`, and the blobs that go with them. The
/// caller holds the namespace's lock and sees to source hashes.
pub(crate) async fn delete_folder(tx: &mut Transaction, folder: &str) -> Result<(), Error> {
    let end = end_of(folder);
    let hashes: Vec<String> = tx
        .fetch_all(sql!(
            "SELECT DISTINCT hash FROM files WHERE path >= $1 AND path < $2 ORDER BY hash",
            folder,
            &end,
        ))
        .await?;
    tx.execute(sql!(
        "DELETE FROM files WHERE path >= $1 AND path < $2",
        folder,
        &end
    ))
    .await?;
    for hash in hashes {
        collect_blob(tx, &hash).await?;
    }
    Ok(())
}

/// Hash over the files that lie in a pipeline's folder now; `None` where there is none.
async fn head_hash(tx: &mut Transaction, pipeline: &TableIdent) -> Result<Option<String>, Error> {
    let folder = pipeline_folder(pipeline);
    let query = sql!(
        "SELECT f.path, f.hash, f.size_bytes, f.modified_at, f.modified_by, b.content
         FROM files f JOIN blobs b ON b.hash = f.hash
         WHERE f.path >= $1 AND f.path < $2",
        &folder,
        end_of(&folder),
    );
    let files: Vec<File> = tx.fetch_all(query).await?;
    let parts = files
        .iter()
        .map(|f| (&f.record.path[folder.len()..], f.content.as_slice()));
    Ok((!files.is_empty()).then(|| source_hash(parts)))
}

async fn update_source_hash(tx: &mut Transaction, pipeline: &TableIdent) -> Result<(), Error> {
    let hash = head_hash(tx, pipeline).await?;
    let query = sql!(
        "UPDATE pipelines SET source_hash = $4, updated_at = $5
         WHERE namespace = $1 AND layer = $2 AND name = $3 AND deleted_at IS NULL",
        pipeline.namespace.as_str(),
        pipeline.layer.as_str(),
        pipeline.name.as_str(),
        hash,
        now(),
    );
    tx.execute(query).await?;
    Ok(())
}

/// Runs a transaction that writes or collects blobs, again if it lost a race for one.
///
/// PostgreSQL lets one namespace take a blob into use while another collects it; the foreign key
/// then stops whichever comes second, which only has to begin anew.
async fn retry_references<F, Fut>(mut attempt: F) -> Result<(), Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    const ATTEMPTS: u32 = 5;
    let mut failures = 0;
    loop {
        match rat_sql::retry(&mut attempt).await {
            Err(Error::Database(error)) if error.is_foreign_key_violation() => {
                failures += 1;
                if failures == ATTEMPTS {
                    return Err(error).or_missing("blob of file", "being written");
                }
            }
            other => return other,
        }
    }
}
