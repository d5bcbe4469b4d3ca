//! Commits of clients.

use iceberg::TableUpdate;
use iceberg::spec::TableMetadata;
use rat_types::TableIdent;

use crate::catalog::{ATTEMPTS, Catalog, LoadedTable, pause};
use crate::request::Change;
use crate::rules::{self, Changed};
use crate::{Caller, Error, run_rules};

impl Catalog {
    /// Checks the requirements and makes the updates, all or none.
    ///
    /// # Errors
    /// [`Error::CommitFailed`] if a requirement is not met; [`Error::Forbidden`],
    /// [`Error::Invalid`], [`Error::NoSuchTable`].
    pub(crate) async fn commit(
        &self,
        caller: &Caller,
        ident: &TableIdent,
        change: &Change,
    ) -> Result<LoadedTable, Error> {
        caller.check_write(ident)?;
        if let Some(scope) = caller.run() {
            run_rules::check_updates(scope, change)?;
        }
        let run = caller.run().map(|scope| scope.run_id);
        let _turn = self.locks().lock(ident).await?;
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let Some(table) = self.find(ident, run).await? else {
                change.check(ident, None)?;
                return self.commit_creation(caller, ident, change).await;
            };
            let Some(changed) = self.change(caller, &table, change).await? else {
                return Ok(table);
            };
            if let Some(table) = self.swap(&table, &changed).await? {
                return Ok(table);
            }
        }
        Err(Error::commit_failed(
            ident,
            format!("others were faster {ATTEMPTS} times"),
        ))
    }

    /// The metadata after the change, or `None` if it changes nothing.
    async fn change(
        &self,
        caller: &Caller,
        table: &LoadedTable,
        change: &Change,
    ) -> Result<Option<Changed>, Error> {
        let metadata = table.metadata();
        change.check(&table.ident, Some(metadata))?;
        if let Some(scope) = caller.run() {
            self.check_run(scope, table, change).await?;
        }
        let location = Some(table.location.as_str());
        let changed = rules::apply(&table.ident, metadata, location, &change.updates)?;
        if let (Some(scope), Some(changed)) = (caller.run(), &changed) {
            run_rules::check_schema_id(scope, &changed.metadata, change)?;
        }
        self.check_manifest_lists(metadata, change).await?;
        Ok(changed)
    }

    /// A snapshot whose manifest list is not there could never be read, nor its table after it.
    pub(crate) async fn check_manifest_lists(
        &self,
        metadata: &TableMetadata,
        change: &Change,
    ) -> Result<(), Error> {
        for update in &change.updates {
            let TableUpdate::AddSnapshot { snapshot } = &update.update else {
                continue;
            };
            let path = snapshot.manifest_list();
            let exists = self.file_io().exists(path).await;
            if !exists.map_err(Error::storage("look for the manifest list", path))? {
                return Err(Error::invalid(format!(
                    "there is no manifest list {path:?}: the client has to write into the folder {} \
                     of the machine on which the catalog runs",
                    metadata.location()
                )));
            }
        }
        Ok(())
    }
}
