//! A table over text files.

use std::any::Any;
use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result, Statistics};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use crate::LandingFileError;

/// Batches that wait between the thread that reads a file and the query.
const READ_AHEAD: usize = 2;

/// Takes batches; `false` says that nobody wants any more.
pub(super) type Sink<'a> = &'a mut dyn FnMut(RecordBatch) -> bool;

/// A kind of text file. Reading blocks and happens on a thread of its own.
pub(super) trait TextFile: fmt::Debug + Send + Sync + 'static {
    /// Size in bytes, by which files are spread over partitions.
    fn size(&self) -> u64;

    /// Reads the columns `projection` of the table with `schema`.
    fn read(
        &self,
        schema: &SchemaRef,
        projection: &[usize],
        batch_size: usize,
        sink: Sink<'_>,
    ) -> std::result::Result<(), LandingFileError>;
}

/// How large records are, from those that were looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sampled {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

impl AddAssign for Sampled {
    fn add_assign(&mut self, other: Self) {
        self.records = self.records.saturating_add(other.records);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// Text files as one table.
#[derive(Debug)]
pub(super) struct TextTable<F> {
    schema: SchemaRef,
    sampled: Sampled,
    /// Files of each partition.
    partitions: Vec<Arc<Vec<F>>>,
}

impl<F: TextFile> TextTable<F> {
    /// A table with `schema` over `files`, read by at most `partitions` threads at once.
    pub(super) fn new(
        schema: SchemaRef,
        mut files: Vec<F>,
        partitions: usize,
        sampled: Sampled,
    ) -> Self {
        let count = partitions.clamp(1, files.len().max(1));
        let mut groups: Vec<(u64, Vec<F>)> = (0..count).map(|_| (0, Vec::new())).collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.size()));
        for file in files {
            if let Some((size, group)) = groups.iter_mut().min_by_key(|(size, _)| *size) {
                *size += file.size().max(1);
                group.push(file);
            }
        }
        let partitions = groups
            .into_iter()
            .map(|(_, group)| Arc::new(group))
            .collect();
        Self {
            schema,
            sampled,
            partitions,
        }
    }

    #[cfg(test)]
    pub(super) fn files(&self) -> impl Iterator<Item = &F> {
        self.partitions.iter().flat_map(|files| files.iter())
    }
}

#[async_trait]
impl<F: TextFile> TableProvider for TextTable<F> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Of the sample: only how large a record is can be told.
    fn statistics(&self) -> Option<Statistics> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Inexact(self.sampled.records);
        statistics.total_byte_size = Precision::Inexact(self.sampled.bytes);
        Some(statistics)
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema.fields().len()).collect();
        let projection: Arc<Vec<usize>> = Arc::new(projection.cloned().unwrap_or_else(all));
        let projected = Arc::new(self.schema.project(&projection)?);
        let streams = self.partitions.iter().map(|files| {
            Arc::new(Partition {
                files: Arc::clone(files),
                table: Arc::clone(&self.schema),
                projection: Arc::clone(&projection),
                schema: Arc::clone(&projected),
            }) as Arc<dyn PartitionStream>
        });
        let plan = StreamingTableExec::try_new(
            Arc::clone(&projected),
            streams.collect(),
            None,
            None,
            false,
            limit,
        )?;
        Ok(Arc::new(plan))
    }
}

#[derive(Debug)]
struct Partition<F> {
    files: Arc<Vec<F>>,
    /// Of the whole table.
    table: SchemaRef,
    projection: Arc<Vec<usize>>,
    /// Of the columns that are wanted.
    schema: SchemaRef,
}

impl<F: TextFile> PartitionStream for Partition<F> {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), READ_AHEAD);
        let sender = stream.tx();
        let (files, table) = (Arc::clone(&self.files), Arc::clone(&self.table));
        let projection = Arc::clone(&self.projection);
        let batch_size = context.session_config().batch_size();
        stream.spawn_blocking(move || {
            let mut wanted = true;
            for file in files.iter() {
                let mut sink = |batch| {
                    // The receiver is gone once the query has ended, also when it was cancelled.
                    wanted = sender.blocking_send(Ok(batch)).is_ok();
                    wanted
                };
                file.read(&table, &projection, batch_size, &mut sink)
                    .map_err(|error| DataFusionError::External(Box::new(error)))?;
                if !wanted {
                    break;
                }
            }
            Ok(())
        });
        stream.build()
    }
}
