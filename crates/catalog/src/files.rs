//! Metadata files, which are written once and never changed.

use std::sync::Arc;

use iceberg::MetadataLocation;
use iceberg::io::FileIO;
use iceberg::spec::TableMetadata;

use crate::Error;
use crate::cache::{MetadataCache, MetadataFile};

/// The lake's files and what was parsed of them. Cheap to clone; all clones share one cache.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    io: FileIO,
    cache: MetadataCache,
}

impl Files {
    pub(crate) fn new(io: FileIO) -> Self {
        let cache = MetadataCache::new();
        Self { io, cache }
    }

    pub(crate) fn io(&self) -> &FileIO {
        &self.io
    }

    pub(crate) fn cache(&self) -> &MetadataCache {
        &self.cache
    }

    /// The metadata file at `location`.
    pub(crate) async fn open(&self, location: &str) -> Result<Arc<MetadataFile>, Error> {
        let loaded = self.cache.load(&self.io, location).await;
        loaded.map_err(Error::storage("read the metadata file", location))
    }

    /// What was just written to `location`, in place of what was at `before`.
    pub(crate) async fn replace(
        &self,
        before: &str,
        location: &str,
        metadata: TableMetadata,
    ) -> Result<Arc<MetadataFile>, Error> {
        let file = self.cache.replace(&self.io, before, location, metadata);
        file.await
            .map_err(Error::storage("read the metadata file", location))
    }

    /// Writes a metadata file that nothing refers to yet.
    pub(crate) async fn write(
        &self,
        location: &MetadataLocation,
        metadata: &TableMetadata,
    ) -> Result<String, Error> {
        let text = location.to_string();
        let written = metadata.write_to(&self.io, location).await;
        written.map_err(Error::storage("write the metadata file", &text))?;
        Ok(text)
    }

    /// Deletes a file that nothing refers to; what cannot be deleted costs a little space.
    pub(crate) async fn delete(&self, location: &str) {
        if location.ends_with(".metadata.json") {
            self.cache.forget(location).await;
        }
        if let Err(error) = self.io.delete(location).await {
            tracing::warn!(location, %error, "failed to delete a file that is not used");
        }
    }

    pub(crate) async fn delete_folder(&self, location: &str) -> Result<(), Error> {
        let deleted = self.io.delete_prefix(location).await;
        deleted.map_err(Error::storage("delete the folder", location))
    }
}
