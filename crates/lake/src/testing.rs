//! Tables in temporary folders, committed to without a catalog.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::stream;
use iceberg::TableUpdate;
use iceberg::spec::{
    FormatVersion, MAIN_BRANCH, PartitionSpec, Schema, SnapshotReference, SnapshotRetention,
    SortOrder, TableMetadataBuilder,
};
use iceberg::table::Table;
use rat_iceberg::snapshot::SnapshotProducer;
use rat_types::{MergeStrategy, TableIdent};
use tempfile::TempDir;

use crate::client::open_table;
use crate::schema::{evolve, table_schema};
use crate::writer::TableWriter;
use crate::{At, LakeTable, WriteOptions};

pub(crate) struct Lake {
    pub(crate) folder: TempDir,
    pub(crate) ident: TableIdent,
    pub(crate) options: WriteOptions,
}

impl Lake {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            ident: "shop.gold.t".parse().unwrap(),
            options: WriteOptions::default(),
        }
    }

    /// Row groups of `rows` rows, and no collecting of small streams.
    pub(crate) fn with_row_groups(mut self, rows: usize) -> Self {
        self.options.row_group_rows = rows;
        self.options.small_stream_bytes = 0;
        self
    }

    pub(crate) fn location(&self) -> String {
        format!("file://{}/t", self.folder.path().display())
    }

    pub(crate) fn create(&self, schema: Schema) -> Table {
        let spec = PartitionSpec::unpartition_spec().into_unbound();
        let (order, version) = (SortOrder::unsorted_order(), FormatVersion::V2);
        let properties = HashMap::new();
        let metadata =
            TableMetadataBuilder::new(schema, spec, order, self.location(), version, properties);
        let metadata = metadata.unwrap().build().unwrap().metadata;
        open_table(&self.ident, None, metadata, rat_iceberg::storage::file_io()).unwrap()
    }

    /// A table for rows like those of `batch`, with one snapshot that has them.
    pub(crate) async fn table_with(&self, batch: RecordBatch) -> Table {
        let table = self.create(table_schema(&batch.schema()).unwrap());
        self.append(&table, batch).await
    }

    pub(crate) async fn append(&self, table: &Table, batch: RecordBatch) -> Table {
        self.write(
            table,
            vec![batch],
            MergeStrategy::AppendOnly,
            MAIN_BRANCH,
            true,
        )
        .await
    }

    /// Writes one stream per batch and commits, the way the catalog does.
    pub(crate) async fn write(
        &self,
        table: &Table,
        batches: Vec<RecordBatch>,
        strategy: MergeStrategy,
        branch: &str,
        set_schema: bool,
    ) -> Table {
        let evolution = evolve(table.metadata(), &batches[0].schema(), strategy).unwrap();
        let (schema, options) = (evolution.schema.clone(), self.options.clone());
        let writer = TableWriter::new(&self.ident, table, None, schema, options);
        let files = writer
            .write(batches.into_iter().map(stream_of).collect())
            .await
            .unwrap();
        let (io, data_files) = (table.file_io().clone(), files.data_files().to_vec());
        let producer = match strategy {
            MergeStrategy::AppendOnly => SnapshotProducer::append(io, data_files),
            MergeStrategy::FullRefresh => SnapshotProducer::overwrite(io, data_files),
        };
        let metadata = table.metadata();
        let head = metadata
            .snapshot_for_ref(branch)
            .or(metadata.current_snapshot());
        let head = head.map(|head| head.snapshot_id());
        let mut producer = producer.with_schema(evolution.schema.clone());
        let snapshot = producer.produce(metadata, head).await.unwrap();
        files.keep();

        let mut updates = Vec::new();
        if evolution.is_new {
            let schema = evolution.schema.as_ref().clone();
            updates.push(TableUpdate::AddSchema { schema });
            if set_schema {
                updates.push(TableUpdate::SetCurrentSchema { schema_id: -1 });
            }
        }
        let retention = SnapshotRetention::branch(None, None, None);
        let reference = SnapshotReference::new(snapshot.snapshot_id(), retention);
        updates.push(TableUpdate::AddSnapshot { snapshot });
        updates.push(TableUpdate::SetSnapshotRef {
            ref_name: branch.to_owned(),
            reference,
        });
        self.apply(table, updates)
    }

    pub(crate) fn apply(&self, table: &Table, updates: Vec<TableUpdate>) -> Table {
        let builder = table.metadata().clone().into_builder(None);
        let builder = updates
            .into_iter()
            .try_fold(builder, |builder, update| update.apply(builder));
        let metadata = builder.unwrap().build().unwrap().metadata;
        open_table(&self.ident, None, metadata, table.file_io().clone()).unwrap()
    }

    pub(crate) async fn context(
        &self,
        table: &Table,
        at: &At,
        partitions: usize,
    ) -> SessionContext {
        let config = SessionConfig::new().with_target_partitions(partitions);
        let context = SessionContext::new_with_config(config);
        let table = LakeTable::new(self.ident.clone(), table.clone(), at)
            .await
            .unwrap();
        context.register_table("t", Arc::new(table)).unwrap();
        context
    }

    /// The result of a query on `t`, as text.
    pub(crate) async fn query(&self, table: &Table, sql: &str) -> String {
        self.query_at(table, &At::Main, sql).await
    }

    pub(crate) async fn query_at(&self, table: &Table, at: &At, sql: &str) -> String {
        let context = self.context(table, at, 4).await;
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let mut lines: Vec<String> = Vec::new();
        if batches.iter().any(|batch| batch.num_rows() > 0) {
            let text = pretty_format_batches(&batches).unwrap().to_string();
            let rows = text.lines().filter(|line| line.starts_with('|')).skip(1);
            lines.extend(rows.map(|row| {
                let cells = row.trim_matches('|').split('|').map(str::trim);
                cells.collect::<Vec<_>>().join(",")
            }));
        }
        lines.join("\n")
    }

    /// Files below the table's folder, by name of the folder they are in.
    pub(crate) fn files_in(&self, folder: &str) -> usize {
        let path = self.folder.path().join("t").join(folder);
        std::fs::read_dir(path).map_or(0, |entries| {
            entries
                .filter(|entry| entry.as_ref().unwrap().path().is_file())
                .count()
        })
    }
}

pub(crate) fn stream_of(batch: RecordBatch) -> SendableRecordBatchStream {
    let schema = batch.schema();
    let rows = batch.num_rows();
    let step = 1000;
    let slices: Vec<Result<RecordBatch, DataFusionError>> = (0..rows)
        .step_by(step)
        .map(|from| Ok(batch.slice(from, step.min(rows - from))))
        .collect();
    Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(slices)))
}
