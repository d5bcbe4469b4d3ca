//! The catalog: one way to a table for everybody, whatever holds the tables.

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

use crate::cache::MetadataFile;
use crate::files::Files;
use crate::lock::TableLocks;
use crate::rules::Changed;
use crate::tables::{Current, External, ExternalCatalog, Own, Tables};
use crate::{Caller, Error};

/// How often a commit is tried again when somebody outside this process was faster.
pub(crate) const ATTEMPTS: u32 = 8;

/// The catalog of the lake. Cheap to clone; all clones share one cache.
#[derive(Debug, Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    warehouse: Warehouse,
    files: Files,
    tables: Box<dyn Tables>,
    locks: TableLocks,
}

/// What points at a table.
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
    pub(crate) fn new(ident: &TableIdent, pointer: Pointer, current: Current) -> Self {
        let Current { location, file } = current;
        Self {
            ident: ident.clone(),
            pointer,
            location,
            file,
        }
    }

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
    /// The catalog of the lake at `warehouse_root`, a `file:///…` URI, with its tables in
    /// `store`.
    ///
    /// # Errors
    /// The root is not a local folder that every client reads alike, see [`Warehouse::new`].
    pub fn new(store: Store, warehouse_root: &Url) -> Result<Self, Error> {
        let warehouse = Warehouse::new(warehouse_root)?;
        let files = Files::new(warehouse.file_io());
        let tables = Own::new(store.clone(), files.clone());
        Ok(Self::with(store, warehouse, files, Box::new(tables)))
    }

    /// The same in front of another catalog, which holds the tables. Both reach the lake's folder
    /// under the same path. Nothing is asked of it yet.
    ///
    /// # Errors
    /// As [`Self::new`]; or the other catalog's address or certificate is of no use.
    pub fn in_front_of(
        store: Store,
        warehouse_root: &Url,
        external: ExternalCatalog,
    ) -> Result<Self, Error> {
        let warehouse = Warehouse::new(warehouse_root)?;
        let files = Files::new(warehouse.file_io());
        let tables = External::new(external, store.clone(), files.clone())?;
        Ok(Self::with(store, warehouse, files, Box::new(tables)))
    }

    fn with(store: Store, warehouse: Warehouse, files: Files, tables: Box<dyn Tables>) -> Self {
        let locks = TableLocks::new();
        Self {
            inner: Arc::new(Inner {
                store,
                warehouse,
                files,
                tables,
                locks,
            }),
        }
    }

    /// Where things lie in the lake.
    pub fn warehouse(&self) -> &Warehouse {
        &self.inner.warehouse
    }

    /// Access to the lake's files.
    pub fn file_io(&self) -> &FileIO {
        self.inner.files.io()
    }

    pub(crate) fn files(&self) -> &Files {
        &self.inner.files
    }

    pub(crate) fn tables(&self) -> &dyn Tables {
        &*self.inner.tables
    }

    /// Whether tables can be reached.
    ///
    /// # Errors
    /// The database or the external catalog fails.
    pub async fn check(&self) -> Result<(), Error> {
        self.tables().check().await
    }

    /// Whether an external catalog holds the tables, so that others may have runs of their own in
    /// it.
    pub fn is_shared(&self) -> bool {
        self.tables().is_shared()
    }

    /// Whether everybody sees this table.
    ///
    /// # Errors
    /// The database or the external catalog fails.
    pub async fn exists(&self, ident: &TableIdent) -> Result<bool, Error> {
        self.tables().exists(ident).await
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
            && let Some(staged) = self.find_staged(ident, run).await?
        {
            return Ok(Some(staged));
        }
        self.find_published(ident).await
    }

    /// The table as everybody sees it.
    pub(crate) async fn find_published(
        &self,
        ident: &TableIdent,
    ) -> Result<Option<LoadedTable>, Error> {
        let current = self.tables().load(ident).await?;
        Ok(current.map(|current| LoadedTable::new(ident, Pointer::Published, current)))
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

    /// Makes `changed` the current metadata of `table`, if `table` still is as it was loaded.
    /// Answers the table as it is then, or `None` if it was not: nothing was changed.
    ///
    /// # Errors
    /// [`Error::CommitStateUnknown`] if it is not known whether it was made; any other error
    /// means that it was not.
    pub(crate) async fn swap(
        &self,
        table: &LoadedTable,
        changed: &Changed,
    ) -> Result<Option<LoadedTable>, Error> {
        let swapped = match table.pointer {
            Pointer::Published => self.tables().commit(table, changed).await?,
            Pointer::Staged(run) => self.commit_staged(table, run, changed).await?,
        };
        Ok(swapped.map(|current| LoadedTable::new(&table.ident, table.pointer, current)))
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
