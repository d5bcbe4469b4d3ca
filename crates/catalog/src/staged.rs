//! Tables that a run has created and that are not published: that run alone sees them.
//!
//! They are rows of ratd's database and metadata files in the lake, whatever catalog holds the
//! published tables.

use iceberg::MetadataLocation;
use iceberg::spec::TableMetadata;
use rat_types::{RunId, TableIdent};

use crate::Error;
use crate::catalog::{Catalog, LoadedTable, Pointer};
use crate::rules::Changed;
use crate::tables::Current;

impl Catalog {
    /// Location of the metadata file of what `run` has staged.
    pub(crate) async fn staged_location(
        &self,
        ident: &TableIdent,
        run: RunId,
    ) -> Result<Option<String>, rat_store::Error> {
        let row = self.store().tables().get_staged(run, ident).await?;
        Ok(row.map(|row| row.metadata_location))
    }

    pub(crate) async fn find_staged(
        &self,
        ident: &TableIdent,
        run: RunId,
    ) -> Result<Option<LoadedTable>, Error> {
        match self.staged_location(ident, run).await? {
            Some(location) => self.open_staged(ident, run, location).await.map(Some),
            None => Ok(None),
        }
    }

    pub(crate) async fn open_staged(
        &self,
        ident: &TableIdent,
        run: RunId,
        location: String,
    ) -> Result<LoadedTable, Error> {
        let file = self.files().open(&location).await?;
        let current = Current { location, file };
        Ok(LoadedTable::new(ident, Pointer::Staged(run), current))
    }

    /// Writes the first metadata file of a staged table and points at it.
    pub(crate) async fn stage(
        &self,
        ident: &TableIdent,
        run: RunId,
        metadata: &TableMetadata,
    ) -> Result<LoadedTable, Error> {
        let location = MetadataLocation::new_with_metadata(metadata.location(), metadata);
        let location = self.files().write(&location, metadata).await?;
        match self.store().tables().stage(run, ident, &location).await {
            Ok(()) => {}
            Err(rat_store::Error::AlreadyExists { .. }) => {
                self.files().delete(&location).await;
                return Err(Error::TableExists {
                    table: ident.clone(),
                });
            }
            Err(error) => self.confirm(ident, run, &location, error).await?,
        }
        self.open_staged(ident, run, location).await
    }

    /// What [`crate::tables::Tables::commit`] is for a published table.
    pub(crate) async fn commit_staged(
        &self,
        table: &LoadedTable,
        run: RunId,
        changed: &Changed,
    ) -> Result<Option<Current>, Error> {
        let (ident, old, metadata) = (&table.ident, &table.location, &changed.metadata);
        let next = table.next_location(metadata);
        let new = self.files().write(&next, metadata).await?;
        let tables = self.store().tables();
        match tables.cas_staged(run, ident, old, &new).await {
            Ok(true) => {}
            Ok(false) => {
                self.files().delete(&new).await;
                return Ok(None);
            }
            Err(error) => self.confirm(ident, run, &new, error).await?,
        }
        let file = self.files().replace(old, &new, metadata.clone()).await?;
        let location = new;
        Ok(Some(Current { location, file }))
    }

    /// After a database error: did the pointer get to `location` all the same?
    async fn confirm(
        &self,
        ident: &TableIdent,
        run: RunId,
        location: &str,
        error: rat_store::Error,
    ) -> Result<(), Error> {
        match self.staged_location(ident, run).await {
            Ok(Some(current)) if current == location => Ok(()),
            _ => Err(Error::unknown(ident, Error::Store(error))),
        }
    }
}
