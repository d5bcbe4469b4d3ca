//! Dropping a table.

use rat_types::TableIdent;

use crate::Error;
use crate::catalog::{Catalog, Pointer};

impl Catalog {
    /// Takes a table out of the catalog, and with `purge` deletes its folder after that. A crash
    /// in between leaves files that nothing refers to.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`]; [`Error::TableInUse`] if a run is about to create a table of this
    /// name and has files in the folder that would be purged.
    pub async fn drop_table(&self, ident: &TableIdent, purge: bool) -> Result<(), Error> {
        let _turn = self.locks().lock(ident).await?;
        if purge {
            if self.location(ident, Pointer::Published).await?.is_none() {
                return Err(Error::no_table(ident));
            }
            let staged = self.store().tables().list_all_staged().await?;
            if staged.iter().any(|staged| staged.ident == *ident) {
                return Err(Error::TableInUse {
                    table: ident.clone(),
                });
            }
        }
        match self.store().tables().delete(ident).await {
            Ok(()) => {}
            Err(rat_store::Error::NotFound { .. }) => return Err(Error::no_table(ident)),
            Err(error) => return Err(error.into()),
        }
        if purge {
            self.delete_folder(&self.warehouse().table_location(ident))
                .await?;
        }
        Ok(())
    }
}
