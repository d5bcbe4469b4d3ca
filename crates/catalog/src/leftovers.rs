//! What a run wrote and nothing refers to.
//!
//! A run writes into two folders of its table that are named after it, one for data files and one
//! for manifests. When it ends, everything in them goes that no snapshot needs: all of it after
//! discarding, what lost attempts wrote after publishing. A tag, or a branch of a user, may keep a
//! snapshot that was made of these files, so what the table refers to is looked up, never assumed.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use iceberg::spec::{ManifestFile, Snapshot, TableMetadata};
use rat_iceberg::snapshot::{self, live_entries, manifests};
use rat_iceberg::{is_inside, run_data_folder, run_metadata_folder, storage};
use rat_types::{RunId, TableIdent};

use crate::Error;
use crate::catalog::{Catalog, LoadedTable};
use crate::drop::is_same;
use crate::history::{ancestors, is_by};

/// How far the clock of a client may be behind ratd's.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(10);

/// A file that nobody has written to for this long will never be finished: an upload that stands
/// still is ended long before.
const UNFINISHED_AGE: Duration = Duration::from_secs(24 * 3600);

/// Files that a snapshot needs, of those that a run may have written.
#[derive(Debug, Default)]
struct Needed {
    /// Manifest lists and manifests.
    metadata: HashSet<String>,
    /// Files in the run's folder for data.
    data: HashSet<String>,
}

impl Catalog {
    /// Removes the unfinished files of killed processes from the whole lake, landing zones
    /// included, once they are a day old. Answers how many there were.
    pub async fn remove_unfinished(&self) -> u64 {
        storage::remove_unfinished(self.warehouse().path(), UNFINISHED_AGE).await
    }

    /// Deletes what `run` wrote and no snapshot of `table` needs. `removed` are files outside the
    /// run's folders that belonged to its snapshots.
    ///
    /// # Errors
    /// A folder cannot be deleted; call again.
    pub(crate) async fn delete_leftovers(
        &self,
        run: RunId,
        ident: &TableIdent,
        table: Option<&TableMetadata>,
        removed: &[String],
    ) -> Result<(), Error> {
        let place = self.warehouse().table_location(ident);
        self.delete_leftovers_in(&place, run, table, removed)
            .await?;
        // A table of an external catalog may lie elsewhere in the lake.
        match table.map(TableMetadata::location) {
            Some(folder)
                if !is_same(folder, &place) && is_inside(self.warehouse().location(), folder) =>
            {
                self.delete_leftovers_in(folder, run, table, &[]).await
            }
            _ => Ok(()),
        }
    }

    async fn delete_leftovers_in(
        &self,
        folder: &str,
        run: RunId,
        table: Option<&TableMetadata>,
        removed: &[String],
    ) -> Result<(), Error> {
        let for_metadata = run_metadata_folder(folder, run);
        let for_data = run_data_folder(folder, run);
        let in_metadata = self.files_below(&for_metadata).await?;
        let in_data = self.files_below(&for_data).await?;
        let is_clean = in_metadata.is_empty() && in_data.is_empty() && removed.is_empty();
        let needed = match table.filter(|_| !is_clean) {
            Some(table) => match self.needed(run, table, &for_data).await {
                Ok(needed) => needed,
                Err(error) => {
                    tracing::warn!(%run, folder, %error, "files of a run are left behind");
                    return Ok(());
                }
            },
            None => Needed::default(),
        };
        let unused = |path: &&String| !needed.metadata.contains(*path);
        for path in removed.iter().filter(unused) {
            self.files().delete(path).await;
        }
        self.retain(&for_metadata, in_metadata, &needed.metadata)
            .await?;
        self.retain(&for_data, in_data, &needed.data).await
    }

    async fn files_below(&self, folder: &str) -> Result<Vec<String>, Error> {
        let files = storage::files_below(folder)
            .await
            .map_err(iceberg::Error::from);
        files.map_err(Error::storage("list the folder", folder))
    }

    /// Deletes of the `files` in `folder` those that are not needed, and an empty folder with them.
    async fn retain(
        &self,
        folder: &str,
        files: Vec<String>,
        needed: &HashSet<String>,
    ) -> Result<(), Error> {
        if !files.iter().any(|file| needed.contains(file)) {
            return self.files().delete_folder(folder).await;
        }
        for file in files.iter().filter(|file| !needed.contains(*file)) {
            self.files().delete(file).await;
        }
        Ok(())
    }

    async fn needed(
        &self,
        run: RunId,
        metadata: &TableMetadata,
        data_folder: &str,
    ) -> Result<Needed, snapshot::Error> {
        let (io, mut needed) = (self.file_io(), Needed::default());
        let (suspects, others): (Vec<&Snapshot>, Vec<&Snapshot>) = split(run, metadata);
        let others: HashSet<i64> = others.into_iter().map(Snapshot::snapshot_id).collect();
        let mut unread: Vec<ManifestFile> = Vec::new();
        for snapshot in suspects {
            needed.metadata.insert(normal(snapshot.manifest_list()));
            for manifest in manifests(io, metadata, snapshot).await? {
                let is_new = needed.metadata.insert(normal(&manifest.manifest_path));
                if is_new && !others.contains(&manifest.added_snapshot_id) {
                    unread.push(manifest);
                }
            }
        }
        for file in live_entries(io, unread).await? {
            let path = file.data_file.file_path();
            if is_inside(data_folder, path) {
                needed.data.insert(normal(path));
            }
        }
        Ok(needed)
    }
}

/// The snapshots that may have been made of the run's files, and those that cannot: they are
/// older than the run.
fn split(run: RunId, metadata: &TableMetadata) -> (Vec<&Snapshot>, Vec<&Snapshot>) {
    let own = metadata.snapshots().filter(|snapshot| is_by(snapshot, run));
    let before: HashSet<i64> = own
        .flat_map(|snapshot| ancestors(metadata, snapshot.parent_snapshot_id()))
        .map(Snapshot::snapshot_id)
        .collect();
    let created = run.created_at();
    let may_use = |snapshot: &&Snapshot| {
        let at = DateTime::<Utc>::from_timestamp_millis(snapshot.timestamp_ms());
        let (Some(created), Some(at)) = (created, at) else {
            return true;
        };
        // What the run built on is older, whatever the difference of the clocks.
        let is_base = before.contains(&snapshot.snapshot_id());
        is_by(snapshot, run) || at >= created || (!is_base && at >= created - CLOCK_TOLERANCE)
    };
    metadata
        .snapshots()
        .map(AsRef::as_ref)
        .partition(|snapshot| may_use(snapshot))
}

/// A location in the spelling of [`storage::files_below`].
fn normal(location: &str) -> String {
    match storage::local_path(location) {
        Ok(path) => storage::location_of(&path),
        Err(_) => location.to_owned(),
    }
}

/// Manifest lists of `snapshots` and the manifests that came with them, where they lie in the
/// table's folder. Of a manifest list that cannot be read, only itself.
pub(crate) async fn metadata_files(
    catalog: &Catalog,
    table: &LoadedTable,
    snapshots: &HashSet<i64>,
) -> Vec<String> {
    let (metadata, mut files) = (table.metadata(), Vec::new());
    let found = snapshots
        .iter()
        .filter_map(|id| metadata.snapshot_by_id(*id));
    for snapshot in found {
        match manifests(catalog.file_io(), metadata, snapshot).await {
            Ok(manifests) => files.extend(
                manifests
                    .iter()
                    .filter(|manifest| snapshots.contains(&manifest.added_snapshot_id))
                    .map(|manifest| normal(&manifest.manifest_path)),
            ),
            Err(error) => {
                let (table, snapshot) = (&table.ident, snapshot.snapshot_id());
                tracing::warn!(%table, snapshot, %error, "manifests are left behind");
            }
        }
        files.push(normal(snapshot.manifest_list()));
    }
    files.retain(|file| is_inside(metadata.location(), file));
    files
}
