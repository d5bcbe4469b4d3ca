//! Reading what a snapshot consists of.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::io::FileIO;
use iceberg::spec::{
    DataFile, FormatVersion, Manifest, ManifestEntryRef, ManifestFile, ManifestList,
    ManifestStatus, Snapshot, TableMetadata,
};

use super::{Error, Totals};
use crate::is_inside;

/// Manifests that are read at the same time.
const CONCURRENCY: usize = 8;

/// A file of a table, with what its manifest says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFile {
    /// Partition spec that the file was written with.
    pub spec_id: i32,
    /// Snapshot that added the file.
    pub snapshot_id: Option<i64>,
    /// Data sequence number.
    pub sequence_number: Option<i64>,
    /// Path, size, metrics.
    pub data_file: DataFile,
}

/// Everything that a snapshot which is not yet committed would make the table refer to for the
/// first time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddedPaths {
    /// The snapshot's manifest list.
    pub manifest_list: String,
    /// Manifests that the parent snapshot does not have.
    pub manifests: Vec<String>,
    /// Data and delete files that those manifests add.
    pub added_files: Vec<String>,
    /// Files that those manifests carry over as existing. A correct writer only carries over
    /// what the parent had, in manifests that it rewrote.
    pub existing_files: Vec<String>,
}

/// The manifests of a snapshot.
///
/// # Errors
/// When the manifest list cannot be read.
pub async fn manifests(
    file_io: &FileIO,
    metadata: &TableMetadata,
    snapshot: &Snapshot,
) -> Result<Vec<ManifestFile>, Error> {
    let path = snapshot.manifest_list();
    read_manifest_list(file_io, metadata.format_version(), path).await
}

/// The live data and delete files of a snapshot.
///
/// # Errors
/// When the manifest list or a manifest cannot be read.
pub async fn live_files(
    file_io: &FileIO,
    metadata: &TableMetadata,
    snapshot: &Snapshot,
) -> Result<Vec<TableFile>, Error> {
    let manifests = manifests(file_io, metadata, snapshot).await?;
    live_entries(file_io, manifests).await
}

/// The live data and delete files of these manifests.
///
/// # Errors
/// When a manifest cannot be read.
pub async fn live_entries(
    file_io: &FileIO,
    manifests: Vec<ManifestFile>,
) -> Result<Vec<TableFile>, Error> {
    select(file_io, manifests, |entry| entry.is_alive()).await
}

/// The files which this very snapshot added (not its ancestors).
///
/// # Errors
/// When the manifest list or a manifest cannot be read.
pub async fn added_files(
    file_io: &FileIO,
    metadata: &TableMetadata,
    snapshot: &Snapshot,
) -> Result<Vec<TableFile>, Error> {
    let id = snapshot.snapshot_id();
    let mut manifests = manifests(file_io, metadata, snapshot).await?;
    manifests.retain(|manifest| manifest.added_snapshot_id == id);
    select(file_io, manifests, |entry| {
        entry.status() == ManifestStatus::Added && entry.snapshot_id() == Some(id)
    })
    .await
}

/// Rows, files and bytes of a snapshot: from its summary, or counted where the summary is silent.
///
/// # Errors
/// When the manifest list or a manifest has to be read and cannot be.
pub async fn totals(
    file_io: &FileIO,
    metadata: &TableMetadata,
    snapshot: &Snapshot,
) -> Result<Totals, Error> {
    if let Some(totals) = Totals::from_summary(snapshot.summary()) {
        return Ok(totals);
    }
    let mut totals = Totals::default();
    for file in live_files(file_io, metadata, snapshot).await? {
        totals.add(&file.data_file);
    }
    Ok(totals)
}

/// What a client's snapshot would make the table refer to.
///
/// The snapshot comes from somebody who is not trusted: no file outside `folder` is opened, and a
/// manifest counts as carried over only when the parent snapshot in `metadata` has it, whatever
/// the manifest list claims. Paths of data files are returned as they are, unchecked.
///
/// # Errors
/// [`Error::OutsideFolder`] for a manifest list or a new manifest outside `folder`, or a file that
/// cannot be read.
pub async fn added_paths(
    file_io: &FileIO,
    metadata: &TableMetadata,
    snapshot: &Snapshot,
    folder: &str,
) -> Result<AddedPaths, Error> {
    let version = metadata.format_version();
    let parent = snapshot
        .parent_snapshot_id()
        .and_then(|id| metadata.snapshot_by_id(id));
    let known: HashSet<String> = match parent {
        Some(parent) => manifests(file_io, metadata, parent)
            .await?
            .into_iter()
            .map(|manifest| manifest.manifest_path)
            .collect(),
        None => HashSet::new(),
    };

    let manifest_list = snapshot.manifest_list().to_owned();
    check_inside(folder, &manifest_list)?;
    let mut fresh = read_manifest_list(file_io, version, &manifest_list).await?;
    fresh.retain(|manifest| !known.contains(&manifest.manifest_path));
    for manifest in &fresh {
        check_inside(folder, &manifest.manifest_path)?;
    }

    let mut paths = AddedPaths {
        manifest_list,
        ..AddedPaths::default()
    };
    paths.manifests = fresh
        .iter()
        .map(|manifest| manifest.manifest_path.clone())
        .collect();
    let mut loaded = read_manifests(file_io, fresh);
    while let Some((_, manifest)) = loaded.try_next().await? {
        for entry in manifest.entries() {
            let path = entry.file_path().to_owned();
            match entry.status() {
                ManifestStatus::Added => paths.added_files.push(path),
                ManifestStatus::Existing => paths.existing_files.push(path),
                ManifestStatus::Deleted => {}
            }
        }
    }
    Ok(paths)
}

fn check_inside(folder: &str, path: &str) -> Result<(), Error> {
    if is_inside(folder, path) {
        return Ok(());
    }
    Err(Error::OutsideFolder {
        path: path.to_owned(),
        folder: folder.to_owned(),
    })
}

async fn read_manifest_list(
    file_io: &FileIO,
    version: FormatVersion,
    path: &str,
) -> Result<Vec<ManifestFile>, Error> {
    let failed = |source| Error::ReadManifestList {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let input = file_io.new_input(path).map_err(failed)?;
    let bytes = input.read().await.map_err(failed)?;
    let list = ManifestList::parse_with_version(&bytes, version).map_err(failed)?;
    Ok(list.consume_entries().into_iter().collect())
}

/// Loads manifests, several at a time, in the order given.
pub(super) fn read_manifests(
    file_io: &FileIO,
    manifests: Vec<ManifestFile>,
) -> impl futures::Stream<Item = Result<(ManifestFile, Manifest), Error>> + Unpin + '_ {
    stream::iter(manifests)
        .map(move |manifest| async move {
            let loaded = read_manifest(file_io, &manifest).await?;
            Ok((manifest, loaded))
        })
        .buffered(CONCURRENCY)
        .boxed()
}

async fn read_manifest(file_io: &FileIO, manifest: &ManifestFile) -> Result<Manifest, Error> {
    manifest
        .load_manifest(file_io)
        .await
        .map_err(|source| Error::ReadManifest {
            path: manifest.manifest_path.clone(),
            source: Box::new(source),
        })
}

async fn select(
    file_io: &FileIO,
    manifests: Vec<ManifestFile>,
    keep: impl Fn(&ManifestEntryRef) -> bool,
) -> Result<Vec<TableFile>, Error> {
    let mut files = Vec::new();
    let mut loaded = read_manifests(file_io, manifests);
    while let Some((file, manifest)) = loaded.try_next().await? {
        let entries = manifest.entries().iter().filter(|entry| keep(entry));
        files.extend(entries.map(|entry| TableFile {
            spec_id: file.partition_spec_id,
            snapshot_id: entry.snapshot_id(),
            sequence_number: entry.sequence_number(),
            data_file: entry.data_file().clone(),
        }));
    }
    Ok(files)
}
