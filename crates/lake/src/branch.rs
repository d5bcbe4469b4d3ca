//! Writing the rows of a run to its branch, and rows of everybody else to `main`.

use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::execution::SendableRecordBatchStream;
use iceberg::spec::{MAIN_BRANCH, Schema};
use iceberg::table::Table;
use rat_iceberg::snapshot::{READ_SNAPSHOT_PROPERTY, SnapshotProducer, check_writable};
use rat_types::{MergeStrategy, RunId, TableIdent};

use crate::commit::{Base, Change};
use crate::schema::{Evolution, SchemaError, evolve, table_schema};
use crate::writer::{TableWriter, WriteOptions, WrittenFiles};
use crate::{CatalogClient, Error};

/// A commit that was applied.
#[derive(Debug, Clone)]
pub struct BranchCommit {
    /// The new head of the branch.
    pub snapshot_id: i64,
    /// Rows that were written.
    pub rows: u64,
    /// Bytes of the data files that were written.
    pub bytes: u64,
    /// The table after the commit. Pin it with `At::Snapshot(snapshot_id)` to read what was
    /// written.
    pub table: Table,
}

/// Writes the result of one run to the run's branch `run-<id>` of its table.
///
/// Opening loads the table; [`write`](Self::write) creates it if it does not exist (ratd keeps it
/// from everybody else until it is published) and writes data files under `data/run-<id>/`;
/// [`WrittenBranch::commit`] makes them a snapshot on the branch. `main` and the current schema
/// stay as they are.
#[derive(Debug)]
pub struct BranchWriter {
    target: Target,
    run_id: RunId,
    strategy: MergeStrategy,
    table: Option<Table>,
    is_read: AtomicBool,
}

/// Where to write.
#[derive(Debug)]
struct Target {
    client: CatalogClient,
    ident: TableIdent,
    options: WriteOptions,
}

/// Data files that wait for their commit.
#[derive(Debug)]
struct Pending {
    table: Table,
    evolution: Evolution,
    files: WrittenFiles,
}

/// The rows of a run, written and not yet committed. Dropping this deletes the files.
#[derive(Debug)]
pub struct WrittenBranch {
    target: Target,
    run_id: RunId,
    strategy: MergeStrategy,
    /// The state that the rows were computed from, if they were.
    read_snapshot: Option<String>,
    pending: Pending,
}

impl BranchWriter {
    /// Loads the table as it is now. An overwrite builds on this state, so that ratd notices at
    /// publishing when somebody else has changed the table since.
    ///
    /// # Errors
    /// See [`CatalogClient::load_table`]; or the table cannot be written.
    pub async fn open(
        client: &CatalogClient,
        ident: &TableIdent,
        run_id: RunId,
        strategy: MergeStrategy,
    ) -> Result<Self, Error> {
        let target = Target::new(client, ident);
        let table = client.load_table(ident).await?;
        if let Some(table) = &table {
            check_writable(table.metadata())?;
        }
        Ok(Self {
            target,
            run_id,
            strategy,
            table,
            is_read: AtomicBool::new(false),
        })
    }

    /// Replaces the sizes of files and row groups.
    pub fn with_options(mut self, options: WriteOptions) -> Self {
        self.target.options = options;
        self
    }

    /// The table as it was when this was opened: what `this` means in a query. `None` before the
    /// table's first run.
    ///
    /// Whoever asks is taken to compute the rows from it: then ratd publishes them on top of this
    /// state only, also those that are appended.
    pub fn table(&self) -> Option<&Table> {
        self.is_read.store(true, Ordering::Relaxed);
        self.table.as_ref()
    }

    /// Writes all rows of `streams`, which have the same columns and are read at the same time.
    ///
    /// # Errors
    /// [`Error::Input`] when a stream fails; [`Error::Schema`] when the columns do not fit; or
    /// the storage fails. No data file is left then.
    pub async fn write(
        self,
        streams: Vec<SendableRecordBatchStream>,
    ) -> Result<WrittenBranch, Error> {
        let Self {
            target,
            run_id,
            strategy,
            table,
            is_read,
        } = self;
        let read = table.as_ref().filter(|_| is_read.into_inner());
        let read_snapshot = read.map(|table| match table.metadata().current_snapshot_id() {
            Some(snapshot) => snapshot.to_string(),
            None => "none".to_owned(),
        });
        let folder = run_id.branch();
        let pending = target
            .write(table, strategy, Some(&folder), streams)
            .await?;
        Ok(WrittenBranch {
            target,
            run_id,
            strategy,
            read_snapshot,
            pending,
        })
    }
}

impl WrittenBranch {
    /// Number of rows written.
    pub fn rows(&self) -> u64 {
        self.pending.files.rows()
    }

    /// Bytes of the data files written.
    pub fn bytes(&self) -> u64 {
        self.pending.files.bytes()
    }

    /// Commits the rows to the run's branch, in one snapshot, also when there are none.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else changed the table's columns, or was faster too
    /// often; [`Error::CommitStateUnknown`]; or the catalog refuses.
    pub async fn commit(self) -> Result<BranchCommit, Error> {
        let Self {
            target,
            run_id,
            strategy,
            read_snapshot,
            pending,
        } = self;
        let branch = run_id.branch();
        let io = pending.table.file_io().clone();
        let files = pending.files.data_files().to_vec();
        let producer = match strategy {
            MergeStrategy::FullRefresh => SnapshotProducer::overwrite(io, files),
            MergeStrategy::AppendOnly => SnapshotProducer::append(io, files),
        };
        let metadata = pending.table.metadata();
        let seen = metadata
            .snapshot_for_ref(&branch)
            .or(metadata.current_snapshot());
        let base = match strategy {
            MergeStrategy::FullRefresh => Base::Pinned(seen.map(|head| head.snapshot_id())),
            MergeStrategy::AppendOnly => Base::Head,
        };
        let mut producer = producer.with_run_id(run_id);
        if let Some(read) = read_snapshot {
            producer = producer.with_property(READ_SNAPSHOT_PROPERTY, read);
        }
        target.commit(pending, producer, &branch, base).await
    }
}

impl Target {
    fn new(client: &CatalogClient, ident: &TableIdent) -> Self {
        let (client, ident) = (client.clone(), ident.clone());
        Self {
            client,
            ident,
            options: WriteOptions::default(),
        }
    }

    async fn write(
        &self,
        table: Option<Table>,
        strategy: MergeStrategy,
        folder: Option<&str>,
        streams: Vec<SendableRecordBatchStream>,
    ) -> Result<Pending, Error> {
        let incoming = match streams.first() {
            Some(stream) => stream.schema(),
            None => return Err(SchemaError::NoColumns.into()),
        };
        let table = match table {
            Some(table) => table,
            None => self.create(table_schema(&incoming)?).await?,
        };
        let evolution = evolve(table.metadata(), &incoming, strategy)?;
        let (schema, options) = (evolution.schema.clone(), self.options.clone());
        let writer = TableWriter::new(&self.ident, &table, folder, schema, options);
        let files = writer.write(streams).await?;
        Ok(Pending {
            table,
            evolution,
            files,
        })
    }

    /// Creates the table, or takes the one that somebody else has created a moment ago.
    async fn create(&self, schema: Schema) -> Result<Table, Error> {
        let error = match self.client.create_table(&self.ident, schema).await {
            Err(error @ Error::TableExists { .. }) => error,
            result => return result,
        };
        let table = self.client.load_table(&self.ident).await?.ok_or(error)?;
        check_writable(table.metadata())?;
        Ok(table)
    }

    async fn commit(
        &self,
        pending: Pending,
        producer: SnapshotProducer,
        branch: &str,
        base: Base,
    ) -> Result<BranchCommit, Error> {
        let Pending {
            table,
            evolution,
            files,
        } = pending;
        let producer = producer.with_schema(evolution.schema.clone());
        let (snapshot_id, rows, bytes) = (producer.snapshot_id(), files.rows(), files.bytes());
        let change = Change {
            client: &self.client,
            ident: &self.ident,
            branch,
            base,
            evolution: &evolution,
            set_current_schema: branch == MAIN_BRANCH,
        };
        // From here on the table may refer to the files at any moment: when this is cancelled
        // half-way, they have to stay. For a run they go with its folder.
        let files = std::mem::ManuallyDrop::new(files);
        let result = change.commit(table, producer).await;
        let files = std::mem::ManuallyDrop::into_inner(files);
        match result {
            Ok(table) => {
                files.keep();
                Ok(BranchCommit {
                    snapshot_id,
                    rows,
                    bytes,
                    table,
                })
            }
            Err(error) => {
                if matches!(error, Error::CommitStateUnknown { .. }) {
                    files.keep();
                }
                Err(error)
            }
        }
    }
}

/// Writes `streams` to the branch of run `run_id` and commits them.
///
/// # Errors
/// See [`BranchWriter::open`], [`BranchWriter::write`] and [`WrittenBranch::commit`].
pub async fn write_branch(
    client: &CatalogClient,
    ident: &TableIdent,
    run_id: RunId,
    strategy: MergeStrategy,
    streams: Vec<SendableRecordBatchStream>,
) -> Result<BranchCommit, Error> {
    let writer = BranchWriter::open(client, ident, run_id, strategy).await?;
    writer.write(streams).await?.commit().await
}

/// Adds the rows of `streams` to `main` of a table, which is created if it does not exist. Other
/// writers may do the same at the same time; no row of anybody is lost.
///
/// # Errors
/// As [`write_branch`], except that only conflicting changes of columns are a conflict.
pub async fn append_main(
    client: &CatalogClient,
    ident: &TableIdent,
    streams: Vec<SendableRecordBatchStream>,
) -> Result<BranchCommit, Error> {
    let target = Target::new(client, ident);
    let table = client.load_table(ident).await?;
    if let Some(table) = &table {
        check_writable(table.metadata())?;
    }
    let pending = target
        .write(table, MergeStrategy::AppendOnly, None, streams)
        .await?;
    let (io, files) = (
        pending.table.file_io().clone(),
        pending.files.data_files().to_vec(),
    );
    let producer = SnapshotProducer::append(io, files);
    target
        .commit(pending, producer, MAIN_BRANCH, Base::Head)
        .await
}
