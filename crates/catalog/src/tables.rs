//! Where the tables are that everybody sees: in ratd's database, or in an external catalog.
//!
//! What stands in front is the same for both: who may do what, the rules of a commit, publishing
//! and discarding. Tables that a run has created and not published yet are ratd's own in both
//! cases, and nobody else's business.

mod external;
mod own;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::spec::TableMetadata;
use rat_types::{Layer, NamespaceName, RunId, TableIdent};

use crate::Error;
use crate::cache::MetadataFile;
use crate::catalog::LoadedTable;
use crate::rules::Changed;

pub(crate) use external::External;
pub use external::{Credentials, ExternalCatalog, ExternalError};
pub(crate) use own::Own;

/// The metadata of a table at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    /// Location of the metadata file.
    pub(crate) location: String,
    pub(crate) file: Arc<MetadataFile>,
}

/// The published tables.
#[async_trait]
pub(crate) trait Tables: fmt::Debug + Send + Sync {
    /// Names, sorted: of a namespace, of a layer, of both or all.
    async fn list(
        &self,
        namespace: Option<&NamespaceName>,
        layer: Option<Layer>,
    ) -> Result<Vec<TableIdent>, Error>;

    async fn exists(&self, ident: &TableIdent) -> Result<bool, Error>;

    async fn load(&self, ident: &TableIdent) -> Result<Option<Current>, Error>;

    /// # Errors
    /// [`Error::TableExists`], [`Error::NoSuchNamespace`]; [`Error::CommitStateUnknown`].
    async fn create(&self, ident: &TableIdent, metadata: &TableMetadata) -> Result<Current, Error>;

    /// Creates a table as `metadata` says, of what `run` had staged, and forgets that it was.
    ///
    /// # Errors
    /// As [`Self::create`]. Nothing was changed but for [`Error::CommitStateUnknown`].
    async fn promote(
        &self,
        run: RunId,
        staged: &LoadedTable,
        metadata: &TableMetadata,
    ) -> Result<(), Error>;

    /// Makes `changed` the current metadata of `table`, if `table` still is as it was loaded.
    /// Answers the table as it is then, or `None` if it was not: nothing was changed.
    ///
    /// # Errors
    /// [`Error::CommitStateUnknown`] if it is not known whether it was made; any other error
    /// means that it was not.
    async fn commit(
        &self,
        table: &LoadedTable,
        changed: &Changed,
    ) -> Result<Option<Current>, Error>;

    /// Forgets a table; its files are the caller's.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`].
    async fn drop(&self, ident: &TableIdent) -> Result<(), Error>;

    /// Follows a namespace of RAT that was dropped and had no tables.
    async fn forget_namespace(&self, name: &NamespaceName);

    /// Whether tables can be reached at all.
    async fn check(&self) -> Result<(), Error>;

    /// Whether others than this ratd write here, with runs of their own.
    fn is_shared(&self) -> bool;
}
