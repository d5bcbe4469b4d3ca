//! Tables in ratd's own database.
//!
//! A commit writes the next metadata file and then moves the pointer in the database by
//! compare-and-set. Before the pointer moves nobody sees the file; after that everybody does. A
//! crash in between leaves a file that nothing refers to, and a table that is as it was.

use async_trait::async_trait;
use iceberg::MetadataLocation;
use iceberg::spec::TableMetadata;
use rat_iceberg::is_inside;
use rat_store::Store;
use rat_types::{Layer, NamespaceName, RunId, TableIdent};

use super::{Current, Tables};
use crate::Error;
use crate::catalog::LoadedTable;
use crate::files::Files;
use crate::rules::Changed;

/// Table property: whether metadata files that left the table's history are deleted. Here they
/// are unless it says `false`: nobody can reach them, and every commit would leave one for ever.
const DELETE_AFTER_COMMIT: &str = "write.metadata.delete-after-commit.enabled";

#[derive(Debug)]
pub(crate) struct Own {
    store: Store,
    files: Files,
}

impl Own {
    pub(crate) fn new(store: Store, files: Files) -> Self {
        Self { store, files }
    }

    async fn location(&self, ident: &TableIdent) -> Result<Option<String>, rat_store::Error> {
        let row = self.store.tables().get(ident).await?;
        Ok(row.map(|row| row.metadata_location))
    }

    /// After a database error: did the pointer get to `location` all the same?
    ///
    /// # Errors
    /// [`Error::CommitStateUnknown`] if not: the statement may still be under way, so the
    /// metadata file has to stay.
    async fn confirm(
        &self,
        ident: &TableIdent,
        location: &str,
        error: rat_store::Error,
    ) -> Result<(), Error> {
        if let Ok(Some(current)) = self.location(ident).await
            && current == location
        {
            return Ok(());
        }
        Err(Error::unknown(ident, Error::Store(error)))
    }

    /// What a refused first pointer means. The metadata file goes unless it may be in use.
    async fn refused(
        &self,
        ident: &TableIdent,
        location: &str,
        error: rat_store::Error,
    ) -> Result<(), Error> {
        let error = match error {
            rat_store::Error::AlreadyExists { .. } => Error::TableExists {
                table: ident.clone(),
            },
            rat_store::Error::NotFound { .. } => Error::NoSuchNamespace {
                namespace: ident.namespace.to_string(),
            },
            error => return self.confirm(ident, location, error).await,
        };
        self.files.delete(location).await;
        Err(error)
    }

    /// Deletes metadata files that left the table's history.
    async fn delete_expired(&self, changed: &Changed) {
        let wanted = changed.metadata.properties().get(DELETE_AFTER_COMMIT);
        if wanted.is_some_and(|value| value.eq_ignore_ascii_case("false")) {
            return;
        }
        for entry in &changed.expired {
            if is_inside(changed.metadata.location(), &entry.metadata_file) {
                self.files.delete(&entry.metadata_file).await;
            }
        }
    }
}

#[async_trait]
impl Tables for Own {
    async fn list(
        &self,
        namespace: Option<&NamespaceName>,
        layer: Option<Layer>,
    ) -> Result<Vec<TableIdent>, Error> {
        let rows = self.store.tables().list(namespace, layer).await?;
        Ok(rows.into_iter().map(|row| row.ident).collect())
    }

    async fn exists(&self, ident: &TableIdent) -> Result<bool, Error> {
        Ok(self.location(ident).await?.is_some())
    }

    async fn load(&self, ident: &TableIdent) -> Result<Option<Current>, Error> {
        let Some(location) = self.location(ident).await? else {
            return Ok(None);
        };
        let file = self.files.open(&location).await?;
        Ok(Some(Current { location, file }))
    }

    async fn create(&self, ident: &TableIdent, metadata: &TableMetadata) -> Result<Current, Error> {
        let location = MetadataLocation::new_with_metadata(metadata.location(), metadata);
        let location = self.files.write(&location, metadata).await?;
        if let Err(error) = self.store.tables().insert(ident, &location).await {
            self.refused(ident, &location, error).await?;
        }
        let file = self.files.open(&location).await?;
        Ok(Current { location, file })
    }

    /// One transaction of the database, and the history goes on from the staged table's.
    async fn promote(
        &self,
        run: RunId,
        staged: &LoadedTable,
        metadata: &TableMetadata,
    ) -> Result<(), Error> {
        let ident = &staged.ident;
        let location = staged.next_location(metadata);
        let location = self.files.write(&location, metadata).await?;
        let tables = self.store.tables();
        match tables.promote_staged(run, ident, &location).await {
            Ok(()) => Ok(()),
            Err(error) => self.refused(ident, &location, error).await,
        }
    }

    async fn commit(
        &self,
        table: &LoadedTable,
        changed: &Changed,
    ) -> Result<Option<Current>, Error> {
        let (ident, old, metadata) = (&table.ident, &table.location, &changed.metadata);
        let next = table.next_location(metadata);
        let new = self.files.write(&next, metadata).await?;
        match self.store.tables().compare_and_set(ident, old, &new).await {
            Ok(true) => {}
            Ok(false) => {
                self.files.delete(&new).await;
                return Ok(None);
            }
            Err(error) => self.confirm(ident, &new, error).await?,
        }
        self.delete_expired(changed).await;
        let file = self.files.replace(old, &new, metadata.clone()).await?;
        let location = new;
        Ok(Some(Current { location, file }))
    }

    async fn drop(&self, ident: &TableIdent) -> Result<(), Error> {
        match self.store.tables().delete(ident).await {
            Ok(()) => Ok(()),
            Err(rat_store::Error::NotFound { .. }) => Err(Error::no_table(ident)),
            Err(error) => Err(error.into()),
        }
    }

    async fn forget_namespace(&self, _: &NamespaceName) {}

    async fn check(&self) -> Result<(), Error> {
        Ok(self.store.tables().list(None, None).await.map(drop)?)
    }

    fn is_shared(&self) -> bool {
        false
    }
}
