//! Dropping a table.

use rat_iceberg::storage;
use rat_types::TableIdent;

use crate::Error;
use crate::catalog::Catalog;

impl Catalog {
    /// Takes a table out of the catalog, and with `purge` deletes its folder after that. A crash
    /// in between leaves files that nothing refers to.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`]; [`Error::TableInUse`] if a run is about to create a table of this
    /// name and has files in the folder that would be purged.
    pub async fn drop_table(&self, ident: &TableIdent, purge: bool) -> Result<(), Error> {
        let _turn = self.locks().lock(ident).await?;
        let folder = self.warehouse().table_location(ident);
        if purge {
            if !self.exists(ident).await? {
                return Err(Error::no_table(ident));
            }
            self.check_place(ident, &folder).await?;
            let staged = self.store().tables().list_all_staged().await?;
            if staged.iter().any(|staged| staged.ident == *ident) {
                return Err(Error::TableInUse {
                    table: ident.clone(),
                });
            }
        }
        self.tables().drop(ident).await?;
        // What people said about it stays, for a table that is only made anew.
        if let Err(error) = self.store().owners().forget_table(ident).await {
            tracing::warn!(table = %ident, %error, "failed to forget the owner of a dropped table");
        }
        if purge {
            self.files().delete_folder(&folder).await?;
        }
        Ok(())
    }
}

impl Catalog {
    /// Only an external catalog has tables elsewhere, and there they may share a folder.
    async fn check_place(&self, ident: &TableIdent, folder: &str) -> Result<(), Error> {
        if !self.is_shared() {
            return Ok(());
        }
        match self.find_published(ident).await? {
            Some(table) if !is_same(table.metadata().location(), folder) => {
                Err(Error::invalid(format!(
                    "the files of table {ident} are in {} and not in {folder}: drop it without \
                     purging",
                    table.metadata().location()
                )))
            }
            _ => Ok(()),
        }
    }
}

/// Whether two locations are the same place.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (storage::local_path(one), storage::local_path(other));
    one.is_ok_and(|one| other.is_ok_and(|other| one == other))
}
