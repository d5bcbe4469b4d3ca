//! Parsed metadata files, by location.
//!
//! A metadata file never changes and its name never returns, so an entry is never stale; the
//! pointer in the database says which one is current.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use iceberg::io::FileIO;
use iceberg::spec::{SnapshotReference, TableMetadata};
use moka::future::Cache;
use serde::Deserialize;

/// Memory for all entries.
const CAPACITY_BYTES: u64 = 128 * 1024 * 1024;
/// Memory for an entry, in lengths of its JSON text: the text, and the parsed form.
const WEIGHT: usize = 4;
const IDLE: Duration = Duration::from_secs(3600);

/// A metadata file: parsed, and as JSON text for clients.
#[derive(Debug)]
pub(crate) struct MetadataFile {
    pub(crate) metadata: Arc<TableMetadata>,
    pub(crate) json: Bytes,
    refs: OnceLock<HashMap<String, SnapshotReference>>,
}

impl MetadataFile {
    async fn read(file_io: &FileIO, location: &str) -> iceberg::Result<Self> {
        let metadata = TableMetadata::read_from(file_io, location).await?;
        Self::with_text(file_io, location, metadata).await
    }

    /// Takes the text from the file rather than from a serializer: it is in the page cache, and it
    /// is the very text.
    async fn with_text(
        file_io: &FileIO,
        location: &str,
        metadata: TableMetadata,
    ) -> iceberg::Result<Self> {
        let mut json = file_io.new_input(location)?.read().await?;
        if !json.starts_with(b"{") {
            json = serde_json::to_vec(&metadata)?.into();
        }
        Ok(Self::received(metadata, json))
    }

    /// Metadata that came over the wire and not out of a file.
    pub(crate) fn received(metadata: TableMetadata, json: Bytes) -> Self {
        let (metadata, refs) = (Arc::new(metadata), OnceLock::new());
        Self {
            metadata,
            json,
            refs,
        }
    }

    /// Branches and tags, which the parsed form keeps to itself.
    ///
    /// # Errors
    /// The text is not metadata.
    pub(crate) fn refs(&self) -> serde_json::Result<&HashMap<String, SnapshotReference>> {
        #[derive(Deserialize)]
        struct Refs {
            #[serde(default)]
            refs: HashMap<String, SnapshotReference>,
        }
        if let Some(refs) = self.refs.get() {
            return Ok(refs);
        }
        let parsed: Refs = serde_json::from_slice(&self.json)?;
        Ok(self.refs.get_or_init(|| parsed.refs))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct MetadataCache {
    entries: Cache<String, Arc<MetadataFile>>,
}

impl MetadataCache {
    pub(crate) fn new() -> Self {
        let weigh = |location: &String, file: &Arc<MetadataFile>| {
            u32::try_from(location.len() + WEIGHT * file.json.len()).unwrap_or(u32::MAX)
        };
        let entries = Cache::builder()
            .max_capacity(CAPACITY_BYTES)
            .weigher(weigh)
            .time_to_idle(IDLE)
            .build();
        Self { entries }
    }

    /// The metadata file at `location`; many who ask at once cost one read.
    ///
    /// # Errors
    /// The file is missing or damaged.
    pub(crate) async fn load(
        &self,
        file_io: &FileIO,
        location: &str,
    ) -> Result<Arc<MetadataFile>, Arc<iceberg::Error>> {
        let read = async { MetadataFile::read(file_io, location).await.map(Arc::new) };
        self.entries.try_get_with_by_ref(location, read).await
    }

    /// Keeps what was just written to `location`, in place of what was at `before`.
    ///
    /// # Errors
    /// The file cannot be read back.
    pub(crate) async fn replace(
        &self,
        file_io: &FileIO,
        before: &str,
        location: &str,
        metadata: TableMetadata,
    ) -> iceberg::Result<Arc<MetadataFile>> {
        let file = Arc::new(MetadataFile::with_text(file_io, location, metadata).await?);
        self.entries.insert(location.to_owned(), file.clone()).await;
        self.entries.invalidate(before).await;
        Ok(file)
    }

    /// What is known of `location`, if anything is.
    pub(crate) async fn get(&self, location: &str) -> Option<Arc<MetadataFile>> {
        self.entries.get(location).await
    }

    /// Keeps what was received as the content of `location`.
    pub(crate) async fn keep(&self, location: &str, file: Arc<MetadataFile>) {
        self.entries.insert(location.to_owned(), file).await;
    }

    pub(crate) async fn forget(&self, location: &str) {
        self.entries.invalidate(location).await;
    }
}
