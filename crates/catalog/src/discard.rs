//! Discarding: nothing of a run stays.
//!
//! First the table forgets the branch, then the files go. A crash in between leaves files that
//! nothing refers to; they lie in folders named after the run, so calling again finds them. A run
//! whose result is on `main` is never discarded, whatever the caller believes, and what a user's
//! tag or branch has kept of a run stays.
//!
//! Of the table's metadata two things outlast a discarded run: the metadata files of the commits
//! that came and went, which leave with the table's history, and the highest column id that was
//! given out, because Iceberg never gives an id twice.

use std::collections::HashSet;

use iceberg::spec::{Snapshot, TableMetadata};
use rat_iceberg::{is_inside, storage};
use rat_types::{RunId, TableIdent};

use crate::Error;
use crate::catalog::{ATTEMPTS, Catalog, LoadedTable, pause};
use crate::history::{ancestors, is_by, only_of, refs};
use crate::leftovers::metadata_files;
use crate::name::run_of_branch;
use crate::rules;

/// What became of discarding a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscardOutcome {
    /// Nothing of the run is left but what a user's tag or branch has kept.
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
        if let Some(location) = self.staged_location(ident, run).await? {
            self.discard_staged(run, ident, location).await?;
        }
        let Some(Forgotten { table, files }) = self.forget_branch(run, ident).await? else {
            return Ok(DiscardOutcome::AlreadyPublished);
        };
        let metadata = table.as_ref().map(LoadedTable::metadata);
        self.delete_leftovers(run, ident, metadata, &files).await?;
        self.tidy(ident).await?;
        Ok(DiscardOutcome::Discarded)
    }

    /// Branches and staged tables of runs, everywhere. Those whose run has ended are orphans; which
    /// these are, the caller knows.
    ///
    /// # Errors
    /// The database fails. A table whose metadata cannot be read is logged and left out.
    pub async fn run_branches(&self) -> Result<Vec<RunBranch>, Error> {
        let staged = self.store().tables().list_all_staged().await?;
        let mut found: Vec<RunBranch> = staged
            .into_iter()
            .map(|staged| RunBranch {
                run: staged.run,
                ident: staged.ident,
            })
            .collect();
        for ident in self.list_tables(None, None).await? {
            let refs = match self.find_published(&ident).await {
                Ok(Some(table)) => refs(&table),
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            match refs {
                Ok(refs) => {
                    let runs = refs.iter().filter_map(|(name, _)| run_of_branch(name));
                    found.extend(runs.map(|run| RunBranch {
                        run,
                        ident: ident.clone(),
                    }));
                }
                Err(error) => {
                    tracing::error!(table = %ident, %error, "failed to look for branches");
                }
            }
        }
        Ok(found)
    }

    /// Takes the run's branch, its snapshots and their schemas out of the table. `None` if its
    /// result is on `main`.
    async fn forget_branch(
        &self,
        run: RunId,
        ident: &TableIdent,
    ) -> Result<Option<Forgotten>, Error> {
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let Some(table) = self.find_published(ident).await? else {
                return Ok(Some(Forgotten::default()));
            };
            let metadata = table.metadata();
            if ancestors(metadata, metadata.current_snapshot_id()).any(|made| is_by(made, run)) {
                return Ok(None);
            }
            let own = only_of(&table, run)?;
            let ids: Vec<i64> = own.iter().copied().collect();
            // Not every external catalog knows how to remove a schema; there they stay.
            let schemas = match self.is_shared() {
                true => Vec::new(),
                false => schemas_of(metadata, &own),
            };
            let builder = table
                .builder()
                .remove_ref(&run.branch())
                .remove_snapshots(&ids)
                .remove_schemas(&schemas)
                .map_err(|error| Error::refused(ident, "discarding", &error))?;
            let Some(changed) = rules::build(ident, builder)? else {
                let (table, files) = (Some(table), Vec::new());
                return Ok(Some(Forgotten { table, files }));
            };
            // Read while they are sure to be there.
            let files = metadata_files(self, &table, &own).await;
            if let Some(table) = self.swap(&table, &changed).await? {
                let table = Some(table);
                return Ok(Some(Forgotten { table, files }));
            }
        }
        Err(Error::commit_failed(
            ident,
            format!("others were faster {ATTEMPTS} times"),
        ))
    }

    /// The row goes last: as long as it is there, whoever calls again finds the metadata files. The
    /// other files are in the run's folders.
    pub(crate) async fn discard_staged(
        &self,
        run: RunId,
        ident: &TableIdent,
        location: String,
    ) -> Result<(), Error> {
        match self.open_staged(ident, run, location.clone()).await {
            Ok(table) => {
                for entry in table.metadata().metadata_log() {
                    self.delete_own(ident, &entry.metadata_file).await;
                }
            }
            Err(Error::Storage { source, .. }) if storage::is_not_found(&source) => {}
            Err(error) => return Err(error),
        }
        self.delete_own(ident, &location).await;
        self.store().tables().unstage(run).await?;
        Ok(())
    }

    /// Deletes a file if it lies in the table's folder.
    async fn delete_own(&self, ident: &TableIdent, location: &str) {
        if is_inside(&self.warehouse().table_location(ident), location) {
            self.files().delete(location).await;
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

/// A table that knows nothing of a run any more.
#[derive(Debug, Default)]
struct Forgotten {
    table: Option<LoadedTable>,
    /// Metadata files of the run's snapshots.
    files: Vec<String>,
}

/// Schemas that came with these snapshots and that nothing else in the table uses.
fn schemas_of(metadata: &TableMetadata, own: &HashSet<i64>) -> Vec<i32> {
    let schema = |snapshot: &Snapshot| snapshot.schema_id();
    let (own, others): (Vec<&Snapshot>, Vec<&Snapshot>) = metadata
        .snapshots()
        .map(AsRef::as_ref)
        .partition(|snapshot| own.contains(&snapshot.snapshot_id()));
    let mut used: HashSet<i32> = others.into_iter().filter_map(schema).collect();
    used.insert(metadata.current_schema_id());
    let own: HashSet<i32> = own.into_iter().filter_map(schema).collect();
    own.difference(&used)
        .copied()
        .filter(|id| metadata.schema_by_id(*id).is_some())
        .collect()
}
