//! Discarding: nothing of a run stays.
//!
//! First the table forgets the branch, then the files go. A crash in between leaves files that
//! nothing refers to; they lie in a folder named after the run, so calling again finds them. A run
//! whose result is on `main` is never discarded, whatever the caller believes.

use std::collections::HashSet;

use rat_iceberg::snapshot::manifests;
use rat_iceberg::{is_inside, storage};
use rat_types::{RunId, TableIdent};

use crate::Error;
use crate::catalog::{ATTEMPTS, Catalog, LoadedTable, Pointer, pause};
use crate::history::{ancestors, is_by, only_of};
use crate::name::run_of_branch;
use crate::rules;

/// What became of discarding a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscardOutcome {
    /// Nothing of the run is left.
    Discarded,
    /// The run's result is on `main`, and everything was left as it is.
    AlreadyPublished,
}

/// Something of a run that is neither published nor discarded: a branch, or a staged table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunBranch {
    /// The run.
    pub run: RunId,
    /// The table.
    pub ident: TableIdent,
}

impl Catalog {
    /// Removes the branch of `run`, its snapshots and files, or the table that it created. May be
    /// called again at any time.
    ///
    /// # Errors
    /// A file or the database failed; call again.
    pub async fn discard(&self, run: RunId, ident: &TableIdent) -> Result<DiscardOutcome, Error> {
        let _turn = self.locks().lock(ident).await?;
        if let Some(location) = self.location(ident, Pointer::Staged(run)).await? {
            self.discard_staged(run, ident, location).await?;
        }
        let published = self.discard_branch(run, ident).await?;
        if published == DiscardOutcome::Discarded {
            let data = self.warehouse().run_data_location(ident, run);
            self.delete_folder(&data).await?;
            self.tidy(ident).await?;
        }
        Ok(published)
    }

    /// Branches and staged tables of runs, everywhere. Those whose run has ended are orphans; which
    /// these are, the caller knows.
    ///
    /// # Errors
    /// The database fails. A table whose metadata cannot be read is logged and left out.
    pub async fn run_branches(&self) -> Result<Vec<RunBranch>, Error> {
        let tables = self.store().tables();
        let mut found: Vec<RunBranch> = tables
            .list_all_staged()
            .await?
            .into_iter()
            .map(|staged| RunBranch {
                run: staged.run,
                ident: staged.ident,
            })
            .collect();
        for pointer in tables.list(None, None).await? {
            let opened = self
                .open(
                    &pointer.ident,
                    Pointer::Published,
                    pointer.metadata_location,
                )
                .await;
            let refs = opened.and_then(|table| crate::history::refs(&table));
            match refs {
                Ok(refs) => {
                    let runs = refs.iter().filter_map(|(name, _)| run_of_branch(name));
                    found.extend(runs.map(|run| RunBranch {
                        run,
                        ident: pointer.ident.clone(),
                    }));
                }
                Err(error) => {
                    tracing::error!(table = %pointer.ident, %error, "failed to look for branches");
                }
            }
        }
        Ok(found)
    }

    async fn discard_branch(
        &self,
        run: RunId,
        ident: &TableIdent,
    ) -> Result<DiscardOutcome, Error> {
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let Some(table) = self.find_at(ident, Pointer::Published).await? else {
                return Ok(DiscardOutcome::Discarded);
            };
            let metadata = table.metadata();
            let mut main = ancestors(metadata, metadata.current_snapshot_id());
            if main.any(|snapshot| is_by(snapshot, run)) {
                return Ok(DiscardOutcome::AlreadyPublished);
            }
            let own = only_of(&table, run)?;
            let ids: Vec<i64> = own.iter().copied().collect();
            let builder = table
                .builder()
                .remove_ref(&run.branch())
                .remove_snapshots(&ids);
            let Some(changed) = rules::build(ident, builder)? else {
                return Ok(DiscardOutcome::Discarded);
            };
            if self.swap(&table, &changed).await?.is_some() {
                self.delete_manifests(&table, &own).await;
                return Ok(DiscardOutcome::Discarded);
            }
        }
        Err(Error::commit_failed(
            ident,
            format!("others were faster {ATTEMPTS} times"),
        ))
    }

    /// The row goes last: as long as it is there, whoever calls again finds the files.
    async fn discard_staged(
        &self,
        run: RunId,
        ident: &TableIdent,
        location: String,
    ) -> Result<(), Error> {
        match self
            .open(ident, Pointer::Staged(run), location.clone())
            .await
        {
            Ok(table) => {
                let metadata = table.metadata();
                let own = metadata
                    .snapshots()
                    .map(|snapshot| snapshot.snapshot_id())
                    .collect();
                self.delete_manifests(&table, &own).await;
                for entry in metadata.metadata_log() {
                    self.delete_own(ident, &entry.metadata_file).await;
                }
            }
            Err(Error::Storage { source, .. }) if storage::is_not_found(&source) => {}
            Err(error) => return Err(error),
        }
        self.delete_folder(&self.warehouse().run_data_location(ident, run))
            .await?;
        self.delete_own(ident, &location).await;
        self.store().tables().unstage(run).await?;
        Ok(())
    }

    /// Deletes the manifest lists of snapshots and the manifests that came with them. What cannot
    /// be read or deleted costs a little space.
    pub(crate) async fn delete_manifests(&self, table: &LoadedTable, snapshots: &HashSet<i64>) {
        let metadata = table.metadata();
        for snapshot in snapshots
            .iter()
            .filter_map(|id| metadata.snapshot_by_id(*id))
        {
            match manifests(self.file_io(), metadata, snapshot).await {
                Ok(manifests) => {
                    let own = manifests
                        .iter()
                        .filter(|manifest| snapshots.contains(&manifest.added_snapshot_id));
                    for manifest in own {
                        self.delete_own(&table.ident, &manifest.manifest_path).await;
                    }
                }
                Err(error) => {
                    let (table, snapshot) = (&table.ident, snapshot.snapshot_id());
                    tracing::warn!(%table, snapshot, %error, "manifests are left behind");
                }
            }
            self.delete_own(&table.ident, snapshot.manifest_list())
                .await;
        }
    }

    /// Deletes a file if it lies in the table's folder.
    async fn delete_own(&self, ident: &TableIdent, location: &str) {
        if is_inside(&self.warehouse().table_location(ident), location) {
            self.delete_file(location).await;
        }
    }

    /// Removes the folders of a table that does not exist, if they are empty.
    async fn tidy(&self, ident: &TableIdent) -> Result<(), Error> {
        let folder = self.warehouse().table_location(ident);
        for folder in [
            format!("{folder}/data"),
            format!("{folder}/metadata"),
            folder,
        ] {
            storage::remove_empty_folder(&folder)
                .await
                .map_err(|error| {
                    Error::storage("remove the folder", &folder)(iceberg::Error::from(error))
                })?;
        }
        Ok(())
    }
}
