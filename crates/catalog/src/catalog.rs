//! The catalog: where the current metadata of each table is, and how it moves.
//!
//! A commit writes the next metadata file and then moves the pointer in the database by
//! compare-and-set. Before the pointer moves nobody sees the file; after that everybody does. A
//! crash in between leaves a file that nothing refers to, and a table that is as it was.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use iceberg::MetadataLocation;
use iceberg::io::FileIO;
use iceberg::spec::{TableMetadata, TableMetadataBuilder};
use rat_iceberg::{Warehouse, is_inside};
use rat_store::Store;
use rat_types::{NamespaceName, RunId, TableIdent};
use url::Url;

use crate::cache::{MetadataCache, MetadataFile};
use crate::lock::TableLocks;
use crate::rules::Changed;
use crate::{Caller, Error};

/// How often a commit is tried again when somebody outside this process was faster.
pub(crate) const ATTEMPTS: u32 = 8;

/// Table property: whether metadata files that left the table's history are deleted. Here they
/// are unless it says `false`: nobody can reach them, and every commit would leave one for ever.
const DELETE_AFTER_COMMIT: &str = "write.metadata.delete-after-commit.enabled";

/// The catalog of the lake. Cheap to clone; all clones share one cache.
#[derive(Debug, Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    warehouse: Warehouse,
    file_io: FileIO,
    cache: MetadataCache,
    locks: TableLocks,
}

/// Which row of the database points at a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pointer {
    /// The one that everybody sees.
    Published,
    /// The one that the run sees which created the table.
    Staged(RunId),
}

/// A table as it is at one moment.
#[derive(Debug, Clone)]
pub(crate) struct LoadedTable {
    pub(crate) ident: TableIdent,
    pub(crate) pointer: Pointer,
    /// Location of the metadata file.
    pub(crate) location: String,
    pub(crate) file: Arc<MetadataFile>,
}

impl LoadedTable {
    pub(crate) fn metadata(&self) -> &TableMetadata {
        &self.file.metadata
    }

    /// A builder that starts from the table as it is.
    pub(crate) fn builder(&self) -> TableMetadataBuilder {
        self.metadata()
            .clone()
            .into_builder(Some(self.location.clone()))
    }

    /// Where the next metadata file goes.
    pub(crate) fn next_location(&self, metadata: &TableMetadata) -> MetadataLocation {
        let folder = metadata.location();
        MetadataLocation::from_str(&self.location)
            .ok()
            .filter(|_| is_inside(folder, &self.location))
            .map_or_else(
                || MetadataLocation::new_with_metadata(folder, metadata),
                |current| current.with_next_version().with_new_metadata(metadata),
            )
    }
}

impl Catalog {
    /// The catalog of the lake at `warehouse_root`, a `file:///…` URI, with its pointers in
    /// `store`.
    ///
    /// # Errors
    /// The root is not a local folder that every client reads alike, see [`Warehouse::new`].
    pub fn new(store: Store, warehouse_root: &Url) -> Result<Self, Error> {
        let warehouse = Warehouse::new(warehouse_root)?;
        let file_io = warehouse.file_io();
        let (cache, locks) = (MetadataCache::new(), TableLocks::new());
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                warehouse,
                file_io,
                cache,
                locks,
            }),
        })
    }

    /// Where things lie in the lake.
    pub fn warehouse(&self) -> &Warehouse {
        &self.inner.warehouse
    }

    /// Access to the lake's files.
    pub fn file_io(&self) -> &FileIO {
        &self.inner.file_io
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn locks(&self) -> &TableLocks {
        &self.inner.locks
    }

    /// Creates the namespace unless it exists. Answers whether it was created.
    ///
    /// # Errors
    /// The database fails.
    pub async fn ensure_namespace(&self, name: &NamespaceName, owner: &str) -> Result<bool, Error> {
        if self.store().namespaces().get(name).await?.is_some() {
            return Ok(false);
        }
        match self.store().namespaces().create(name, "", owner).await {
            Ok(_) => Ok(true),
            Err(rat_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The table as `run` sees it, or as everybody does.
    pub(crate) async fn find(
        &self,
        ident: &TableIdent,
        run: Option<RunId>,
    ) -> Result<Option<LoadedTable>, Error> {
        if let Some(run) = run
            && let Some(staged) = self.find_at(ident, Pointer::Staged(run)).await?
        {
            return Ok(Some(staged));
        }
        self.find_at(ident, Pointer::Published).await
    }

    pub(crate) async fn find_at(
        &self,
        ident: &TableIdent,
        pointer: Pointer,
    ) -> Result<Option<LoadedTable>, Error> {
        match self.location(ident, pointer).await? {
            Some(location) => self.open(ident, pointer, location).await.map(Some),
            None => Ok(None),
        }
    }

    /// The table as `caller` sees it.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NoSuchTable`].
    pub(crate) async fn load(
        &self,
        caller: &Caller,
        ident: &TableIdent,
    ) -> Result<LoadedTable, Error> {
        caller.check_read(ident)?;
        let run = caller
            .run()
            .filter(|scope| scope.ident == *ident)
            .map(|scope| scope.run_id);
        self.find(ident, run)
            .await?
            .ok_or_else(|| Error::no_table(ident))
    }

    /// Location of the current metadata file.
    pub(crate) async fn location(
        &self,
        ident: &TableIdent,
        pointer: Pointer,
    ) -> Result<Option<String>, rat_store::Error> {
        let tables = self.store().tables();
        Ok(match pointer {
            Pointer::Published => tables.get(ident).await?.map(|row| row.metadata_location),
            Pointer::Staged(run) => tables
                .get_staged(run, ident)
                .await?
                .map(|row| row.metadata_location),
        })
    }

    pub(crate) async fn open(
        &self,
        ident: &TableIdent,
        pointer: Pointer,
        location: String,
    ) -> Result<LoadedTable, Error> {
        let loaded = self.inner.cache.load(self.file_io(), &location).await;
        let file = loaded.map_err(Error::storage("read the metadata file", &location))?;
        Ok(LoadedTable {
            ident: ident.clone(),
            pointer,
            location,
            file,
        })
    }

    /// Makes `changed` the current metadata of `table`, if `table` still is as it was loaded.
    /// Answers the table as it is then, or `None` if it was not: nothing was changed.
    ///
    /// # Errors
    /// [`Error::CommitStateUnknown`] if the database did not say whether the pointer moved; any
    /// other error means that it did not.
    pub(crate) async fn swap(
        &self,
        table: &LoadedTable,
        changed: &Changed,
    ) -> Result<Option<LoadedTable>, Error> {
        let LoadedTable {
            ident,
            pointer,
            location: old,
            ..
        } = table;
        let metadata = &changed.metadata;
        let new = self
            .write_metadata(&table.next_location(metadata), metadata)
            .await?;
        let tables = self.store().tables();
        let moved = match pointer {
            Pointer::Published => tables.compare_and_set(ident, old, &new).await,
            Pointer::Staged(run) => tables.cas_staged(*run, ident, old, &new).await,
        };
        match moved {
            Ok(true) => {}
            Ok(false) => {
                self.delete_file(&new).await;
                return Ok(None);
            }
            Err(error) => self.confirm(ident, *pointer, &new, error).await?,
        }
        self.delete_expired(changed).await;
        let (cache, metadata) = (&self.inner.cache, metadata.clone());
        let file = cache
            .replace(self.file_io(), old, &new, metadata)
            .await
            .map_err(Error::storage("read the metadata file", &new))?;
        Ok(Some(LoadedTable {
            ident: ident.clone(),
            pointer: *pointer,
            location: new,
            file,
        }))
    }

    /// Deletes metadata files that left the table's history.
    async fn delete_expired(&self, changed: &Changed) {
        let wanted = changed.metadata.properties().get(DELETE_AFTER_COMMIT);
        if wanted.is_some_and(|value| value.eq_ignore_ascii_case("false")) {
            return;
        }
        for entry in &changed.expired {
            if is_inside(changed.metadata.location(), &entry.metadata_file) {
                self.delete_file(&entry.metadata_file).await;
            }
        }
    }

    /// After a database error: did the pointer get to `location` all the same?
    ///
    /// # Errors
    /// [`Error::CommitStateUnknown`] if not: the statement may still be under way, so the
    /// metadata file has to stay.
    pub(crate) async fn confirm(
        &self,
        ident: &TableIdent,
        pointer: Pointer,
        location: &str,
        error: rat_store::Error,
    ) -> Result<(), Error> {
        if let Ok(Some(current)) = self.location(ident, pointer).await
            && current == location
        {
            return Ok(());
        }
        Err(Error::CommitStateUnknown {
            table: ident.clone(),
            source: error,
        })
    }

    /// Writes a metadata file that nothing refers to yet.
    pub(crate) async fn write_metadata(
        &self,
        location: &MetadataLocation,
        metadata: &TableMetadata,
    ) -> Result<String, Error> {
        let text = location.to_string();
        let written = metadata.write_to(self.file_io(), location).await;
        written.map_err(Error::storage("write the metadata file", &text))?;
        Ok(text)
    }

    /// Deletes a file that nothing refers to; what cannot be deleted costs a little space.
    pub(crate) async fn delete_file(&self, location: &str) {
        if location.ends_with(".metadata.json") {
            self.inner.cache.forget(location).await;
        }
        if let Err(error) = self.file_io().delete(location).await {
            tracing::warn!(location, %error, "failed to delete a file that is not used");
        }
    }

    pub(crate) async fn delete_folder(&self, location: &str) -> Result<(), Error> {
        let deleted = self.file_io().delete_prefix(location).await;
        deleted.map_err(Error::storage("delete the folder", location))
    }
}

/// Waits before an attempt after the first: longer each time, and never in step with others.
pub(crate) async fn pause(attempt: u32) {
    if attempt > 0 {
        let longest = 10 * 2_u64.pow(attempt.min(6));
        let milliseconds = rand::random_range(1..=longest);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}
