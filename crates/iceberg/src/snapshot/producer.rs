//! Composing snapshots.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::Utc;
use futures::TryStreamExt;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataFile, ManifestContentType, ManifestEntryRef, ManifestFile, ManifestListWriter,
    ManifestWriter, ManifestWriterBuilder, Operation, PartitionSpec, SchemaRef, Snapshot, Summary,
    TableMetadata, UNASSIGNED_SEQUENCE_NUMBER,
};
use rat_types::RunId;
use uuid::Uuid;

use super::inspect::{added_files, manifests, read_manifests, totals};
use super::lookup::{
    ancestors, check_version, find, metadata_folder, operation_name, unpartitioned_spec,
};
use super::{Error, RUN_ID_PROPERTY, Totals};

/// Entries of one manifest, so that a scan can skip and load manifests piece by piece.
const ENTRIES_PER_MANIFEST: usize = 10_000;

/// Writes the manifests and the manifest list of one new snapshot.
///
/// A commit that loses a race is repeated on newer metadata: [`produce`](Self::produce) may be
/// called again, and keeps the snapshot's id and the manifests that do not depend on the table's
/// head, so that an attempt costs one manifest list. That the id stays is also what lets a client
/// that never got its answer find out whether its commit landed.
#[derive(Debug)]
pub struct SnapshotProducer {
    file_io: FileIO,
    operation: Operation,
    files: Vec<NewFile>,
    schema: Option<SchemaRef>,
    properties: BTreeMap<String, String>,
    /// Whose folder of the table's metadata the files go into.
    run: Option<RunId>,
    snapshot_id: i64,
    uuid: Uuid,
    attempts: u32,
    manifests_written: u32,
    added: Option<Vec<ManifestFile>>,
    dropped: Option<Dropped>,
    lists: Vec<String>,
    manifest_paths: Vec<String>,
}

#[derive(Debug, Clone)]
struct NewFile {
    /// `None`: the table's default spec.
    spec_id: Option<i32>,
    data_file: DataFile,
}

/// The manifests that say what an overwrite dropped.
#[derive(Debug, Clone)]
struct Dropped {
    base: i64,
    manifests: Vec<ManifestFile>,
    totals: Totals,
}

impl SnapshotProducer {
    /// A snapshot that adds `files`, which are not partitioned, to those of its parent.
    pub fn append(file_io: FileIO, files: Vec<DataFile>) -> Self {
        Self::new(file_io, Operation::Append, unpartitioned(files))
    }

    /// A snapshot that consists of `files`, which are not partitioned, and drops every live file
    /// of its parent, of whatever partition spec.
    pub fn overwrite(file_io: FileIO, files: Vec<DataFile>) -> Self {
        Self::new(file_io, Operation::Overwrite, unpartitioned(files))
    }

    /// A snapshot that adds to another head what the branch ending in `branch_head` added since
    /// it left the line of `onto`.
    ///
    /// The files become additions of the new snapshot, with its sequence number, so that deletes
    /// committed to the other head meanwhile do not hit them. The properties (`rat.run-id`, and
    /// with it the run's folder) and the schema of `branch_head` are kept. Whether that schema still fits the table is for the
    /// caller to decide.
    ///
    /// # Errors
    /// [`Error::NotAnAppend`] when a snapshot of the branch is anything else than an append;
    /// [`Error::UnknownSnapshot`]; or a manifest that cannot be read.
    pub async fn rebase(
        file_io: FileIO,
        metadata: &TableMetadata,
        branch_head: i64,
        onto: Option<i64>,
    ) -> Result<Self, Error> {
        let line: HashSet<i64> = ancestors(metadata, onto)
            .map(Snapshot::snapshot_id)
            .collect();
        let head = find(metadata, branch_head)?;
        let mut files = Vec::new();
        let own = ancestors(metadata, Some(branch_head))
            .take_while(|snapshot| !line.contains(&snapshot.snapshot_id()));
        for snapshot in own {
            if snapshot.summary().operation != Operation::Append {
                return Err(Error::NotAnAppend {
                    snapshot_id: snapshot.snapshot_id(),
                    operation: operation_name(&snapshot.summary().operation),
                });
            }
            let added = added_files(&file_io, metadata, snapshot).await?;
            files.extend(added.into_iter().map(|file| NewFile {
                spec_id: Some(file.spec_id),
                data_file: file.data_file,
            }));
        }

        let mut producer = Self::new(file_io, Operation::Append, files);
        producer.schema = head
            .schema_id()
            .and_then(|id| metadata.schema_by_id(id))
            .cloned();
        producer.properties = head
            .summary()
            .additional_properties
            .iter()
            .filter(|(key, _)| key.starts_with("rat."))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let run = producer.properties.get(RUN_ID_PROPERTY);
        producer.run = run.and_then(|run| run.parse().ok());
        Ok(producer)
    }

    fn new(file_io: FileIO, operation: Operation, files: Vec<NewFile>) -> Self {
        Self {
            file_io,
            operation,
            files,
            schema: None,
            properties: BTreeMap::new(),
            run: None,
            snapshot_id: rand::random_range(1..=i64::MAX),
            uuid: Uuid::new_v4(),
            attempts: 0,
            manifests_written: 0,
            added: None,
            dropped: None,
            lists: Vec::new(),
            manifest_paths: Vec::new(),
        }
    }

    /// Names the run that makes the snapshot, in its summary, and keeps what is written in the
    /// folder of that run.
    pub fn with_run_id(mut self, run_id: RunId) -> Self {
        self.run = Some(run_id);
        self.with_property(RUN_ID_PROPERTY, run_id.to_string())
    }

    /// Adds a property to the snapshot's summary. Figures such as `added-records` cannot be
    /// shadowed.
    pub fn with_property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(key.into(), value.into());
        self
    }

    /// Sets the schema that the files were written with and that the snapshot names. Its id must
    /// be the one that the table gives it. Without this it is the table's current schema.
    pub fn with_schema(mut self, schema: SchemaRef) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Adds a file that was written with partition spec `spec_id`.
    #[cfg(test)]
    pub(super) fn add_with_spec(&mut self, spec_id: i32, data_file: DataFile) {
        self.files.push(NewFile {
            spec_id: Some(spec_id),
            data_file,
        });
    }

    /// The id of the snapshot, the same for all attempts.
    pub fn snapshot_id(&self) -> i64 {
        self.snapshot_id
    }

    /// Writes what has to be written and returns the snapshot, whose parent is `base` (`None`:
    /// the table has no rows so far) and whose sequence number is the next one of `metadata`.
    ///
    /// # Errors
    /// A table that cannot be written this way, an unknown `base`, or a file that cannot be read
    /// or written. The table is as it was in any case.
    pub async fn produce(
        &mut self,
        metadata: &TableMetadata,
        base: Option<i64>,
    ) -> Result<Snapshot, Error> {
        check_version(metadata)?;
        let parent = base.map(|id| find(metadata, id)).transpose()?;
        let schema = self
            .schema
            .clone()
            .unwrap_or_else(|| metadata.current_schema().clone());

        let mut list = match (parent, &self.operation) {
            (None, _) => Vec::new(),
            (Some(parent), Operation::Append) => manifests(&self.file_io, metadata, parent).await?,
            (Some(parent), _) => self.drop_all(metadata, parent).await?.manifests,
        };
        list.extend(self.add_all(metadata, &schema).await?);
        let sequence_number = metadata.next_sequence_number();
        let manifest_list = self
            .write_list(metadata, base, sequence_number, list)
            .await?;

        let now = Utc::now().timestamp_millis();
        Ok(Snapshot::builder()
            .with_snapshot_id(self.snapshot_id)
            .with_parent_snapshot_id(base)
            .with_sequence_number(sequence_number)
            .with_timestamp_ms(now.max(metadata.last_updated_ms()))
            .with_manifest_list(manifest_list)
            .with_summary(self.summary(metadata, parent).await?)
            .with_schema_id(schema.schema_id())
            .build())
    }

    /// Deletes what earlier attempts left behind, once `committed` is in the table. Failures are
    /// logged and otherwise ignored: an orphan file costs a little space.
    pub async fn clean_up(self, committed: &Snapshot) {
        let used: HashSet<&str> = self
            .added
            .iter()
            .flatten()
            .chain(self.dropped.iter().flat_map(|dropped| &dropped.manifests))
            .map(|manifest| manifest.manifest_path.as_str())
            .chain([committed.manifest_list()])
            .collect();
        let written = self.lists.iter().chain(&self.manifest_paths);
        delete(
            &self.file_io,
            written.filter(|path| !used.contains(path.as_str())),
        )
        .await;
    }

    /// Deletes everything written, when it is certain that no attempt was committed.
    pub async fn abandon(self) {
        delete(&self.file_io, self.lists.iter().chain(&self.manifest_paths)).await;
    }

    /// Manifests in which every live file of `parent` is deleted; those already dead stay out.
    async fn drop_all(
        &mut self,
        metadata: &TableMetadata,
        parent: &Snapshot,
    ) -> Result<Dropped, Error> {
        let base = parent.snapshot_id();
        if let Some(dropped) = self.dropped.as_ref().filter(|dropped| dropped.base == base) {
            return Ok(dropped.clone());
        }
        let file_io = self.file_io.clone();
        let mut dropped = Dropped {
            base,
            manifests: Vec::new(),
            totals: Totals::default(),
        };
        let mut loaded = read_manifests(&file_io, manifests(&file_io, metadata, parent).await?);
        while let Some((file, manifest)) = loaded.try_next().await? {
            let (entries, head) = manifest.into_parts();
            let live: Vec<_> = entries.iter().filter(|entry| entry.is_alive()).collect();
            if live.is_empty() {
                continue;
            }
            let (path, mut writer) =
                self.manifest(metadata, file.content, head.schema, head.partition_spec)?;
            for entry in live {
                dropped.totals.add(entry.data_file());
                add_deleted(&mut writer, entry, &file).map_err(|e| not_written(&path, e))?;
            }
            dropped.manifests.push(write(path, writer).await?);
        }
        self.dropped = Some(dropped.clone());
        Ok(dropped)
    }

    /// Manifests with the new files, one or more per partition spec.
    async fn add_all(
        &mut self,
        metadata: &TableMetadata,
        schema: &SchemaRef,
    ) -> Result<Vec<ManifestFile>, Error> {
        if let Some(added) = &self.added {
            return Ok(added.clone());
        }
        let mut by_spec: BTreeMap<i32, Vec<DataFile>> = BTreeMap::new();
        for file in &self.files {
            let spec_id = match file.spec_id {
                Some(spec_id) => spec_id,
                None => unpartitioned_spec(metadata)?,
            };
            by_spec
                .entry(spec_id)
                .or_default()
                .push(file.data_file.clone());
        }

        let mut added = Vec::new();
        for (spec_id, files) in by_spec {
            let spec = metadata
                .partition_spec_by_id(spec_id)
                .ok_or(Error::UnknownSpec { spec_id })?
                .as_ref();
            for chunk in files.chunks(ENTRIES_PER_MANIFEST) {
                let content = ManifestContentType::Data;
                let (path, mut writer) =
                    self.manifest(metadata, content, schema.clone(), spec.clone())?;
                for file in chunk {
                    writer
                        .add_file(file.clone(), UNASSIGNED_SEQUENCE_NUMBER)
                        .map_err(|e| not_written(&path, e))?;
                }
                added.push(write(path, writer).await?);
            }
        }
        self.added = Some(added.clone());
        Ok(added)
    }

    /// Where manifests and manifest lists go.
    fn folder(&self, metadata: &TableMetadata) -> String {
        let folder = metadata_folder(metadata);
        match self.run {
            Some(run) => format!("{folder}/{}", run.branch()),
            None => folder,
        }
    }

    fn manifest(
        &mut self,
        metadata: &TableMetadata,
        content: ManifestContentType,
        schema: SchemaRef,
        spec: PartitionSpec,
    ) -> Result<(String, ManifestWriter), Error> {
        let number = self.manifests_written;
        self.manifests_written += 1;
        let path = format!("{}/{}-m{number}.avro", self.folder(metadata), self.uuid);
        let output = self
            .file_io
            .new_output(&path)
            .map_err(|e| not_written(&path, e))?;
        self.manifest_paths.push(path.clone());
        let builder = ManifestWriterBuilder::new(output, Some(self.snapshot_id), schema, spec);
        let writer = match content {
            ManifestContentType::Data => builder.build_v2_data(),
            ManifestContentType::Deletes => builder.build_v2_deletes(),
        };
        Ok((path, writer))
    }

    async fn write_list(
        &mut self,
        metadata: &TableMetadata,
        base: Option<i64>,
        sequence_number: i64,
        list: Vec<ManifestFile>,
    ) -> Result<String, Error> {
        let (id, attempt, uuid) = (self.snapshot_id, self.attempts, self.uuid);
        self.attempts += 1;
        let path = format!("{}/snap-{id}-{attempt}-{uuid}.avro", self.folder(metadata));
        self.lists.push(path.clone());
        let written = async {
            let output = self.file_io.new_output(&path)?.writer().await?;
            let mut writer = ManifestListWriter::v2(output, id, base, sequence_number);
            writer.add_manifests(list.into_iter())?;
            writer.close().await
        };
        match written.await {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::WriteManifestList {
                path,
                source: Box::new(source),
            }),
        }
    }

    async fn summary(
        &self,
        metadata: &TableMetadata,
        parent: Option<&Snapshot>,
    ) -> Result<Summary, Error> {
        let mut added = Totals::default();
        for file in &self.files {
            added.add(&file.data_file);
        }
        let mut properties: HashMap<String, String> = self
            .properties
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        added.write_added(&mut properties);
        let all = match (parent, &self.operation) {
            (Some(parent), Operation::Append) => {
                totals(&self.file_io, metadata, parent).await?.plus(added)
            }
            _ => added,
        };
        let base = parent.map(Snapshot::snapshot_id);
        if let Some(dropped) = self
            .dropped
            .as_ref()
            .filter(|dropped| Some(dropped.base) == base)
        {
            dropped.totals.write_deleted(&mut properties);
        }
        all.write_totals(&mut properties);
        Ok(Summary {
            operation: self.operation.clone(),
            additional_properties: properties,
        })
    }
}

fn unpartitioned(files: Vec<DataFile>) -> Vec<NewFile> {
    files
        .into_iter()
        .map(|data_file| NewFile {
            spec_id: None,
            data_file,
        })
        .collect()
}

fn add_deleted(
    writer: &mut ManifestWriter,
    entry: &ManifestEntryRef,
    manifest: &ManifestFile,
) -> iceberg::Result<()> {
    let sequence_number = entry.sequence_number().unwrap_or(manifest.sequence_number);
    let file_sequence_number = entry
        .file_sequence_number
        .unwrap_or(manifest.sequence_number);
    writer.add_delete_file(
        entry.data_file().clone(),
        sequence_number,
        Some(file_sequence_number),
    )
}

fn not_written(path: &str, source: iceberg::Error) -> Error {
    Error::WriteManifest {
        path: path.to_owned(),
        source: Box::new(source),
    }
}

async fn write(path: String, writer: ManifestWriter) -> Result<ManifestFile, Error> {
    writer
        .write_manifest_file()
        .await
        .map_err(|source| not_written(&path, source))
}

async fn delete(file_io: &FileIO, paths: impl Iterator<Item = &String>) {
    for path in paths {
        if let Err(error) = file_io.delete(path).await {
            tracing::warn!(path, %error, "failed to delete an unused metadata file");
        }
    }
}
