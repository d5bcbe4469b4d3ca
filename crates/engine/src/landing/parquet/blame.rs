//! Which file it is that cannot be read.
//!
//! DataFusion's reader tells what is wrong with a page, but not with which file's. So each
//! partition remembers which files it has opened last, and when it fails they are read once more,
//! by themselves.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::source::DataSource;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::sort_pushdown::SortOrderPushdownResult;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{FutureExt as _, StreamExt as _};

use crate::LandingFileError;
use crate::landing::source::SourceFile;
use crate::panic::Panic;

/// Files that a partition may be reading: one, one that is opened ahead of time, and the same for
/// another scan of the same table.
const SUSPECTS: usize = 4;

/// The files that each partition has opened last.
#[derive(Debug, Default)]
pub(super) struct Opened(Mutex<HashMap<usize, VecDeque<SourceFile>>>);

impl Opened {
    pub(super) fn add(&self, partition: usize, file: &SourceFile) {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let files = opened.entry(partition).or_default();
        if files.len() == SUSPECTS {
            files.pop_front();
        }
        files.push_back(file.clone());
    }

    fn of(&self, partition: usize) -> Vec<SourceFile> {
        let opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let files = opened.get(&partition);
        files.map_or_else(Vec::new, |files| files.iter().cloned().collect())
    }
}

/// What is wrong with the first of `files` that cannot be read.
fn find(files: &[SourceFile]) -> Option<LandingFileError> {
    files.iter().find_map(|file| {
        let read = std::panic::catch_unwind(AssertUnwindSafe(|| read(file)));
        let message = match read {
            Ok(Ok(())) => return None,
            Ok(Err(message)) => message,
            Err(_) => "a page does not have what its header says".to_owned(),
        };
        Some(file.error(None, format!("the file is damaged: {message}")))
    })
}

fn read(file: &SourceFile) -> std::result::Result<(), String> {
    let opened = file.open().map_err(|error| error.message)?;
    let handle = opened
        .file()
        .try_clone()
        .map_err(|error| error.to_string())?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(handle);
    let reader = builder.and_then(|builder| builder.build());
    for batch in reader.map_err(|error| error.to_string())? {
        batch.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A scan that names the file which fails.
#[derive(Debug)]
pub(super) struct Blaming {
    pub(super) inner: Arc<dyn DataSource>,
    pub(super) opened: Arc<Opened>,
}

impl Blaming {
    fn around(&self, inner: Arc<dyn DataSource>) -> Arc<dyn DataSource> {
        let opened = Arc::clone(&self.opened);
        Arc::new(Self { inner, opened })
    }
}

fn blame(error: DataFusionError, suspects: &[SourceFile]) -> DataFusionError {
    let is_other = matches!(
        error.find_root(),
        DataFusionError::ResourcesExhausted(_) | DataFusionError::IoError(_)
    );
    if is_other || crate::error::landing_file(&error).is_some() {
        return error;
    }
    match find(suspects) {
        Some(fault) => DataFusionError::External(Box::new(fault)),
        None => error,
    }
}

impl DataSource for Blaming {
    fn open(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let batches = self.inner.open(partition, context)?;
        let (schema, opened) = (batches.schema(), Arc::clone(&self.opened));
        let batches = futures::stream::unfold(Some(batches), move |batches| {
            let opened = Arc::clone(&opened);
            async move {
                let mut batches = batches?;
                // The decoder panics on some of what is damaged.
                let next = AssertUnwindSafe(batches.next()).catch_unwind().await;
                let error = match next {
                    Ok(None) => return None,
                    Ok(Some(Ok(batch))) => return Some((Ok(batch), Some(batches))),
                    Ok(Some(Err(error))) => error,
                    Err(panic) => DataFusionError::External(Box::new(Panic::of(&*panic))),
                };
                Some((Err(blame(error, &opened.of(partition))), None))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_as(kind, f)
    }

    fn repartitioned(
        &self,
        partitions: usize,
        smallest: usize,
        ordering: Option<LexOrdering>,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        let inner = self.inner.repartitioned(partitions, smallest, ordering)?;
        Ok(inner.map(|inner| self.around(inner)))
    }

    fn output_partitioning(&self) -> Partitioning {
        self.inner.output_partitioning()
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        self.inner.eq_properties()
    }

    fn scheduling_type(&self) -> SchedulingType {
        self.inner.scheduling_type()
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Statistics> {
        self.inner.partition_statistics(partition)
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        let inner = self.inner.with_fetch(limit)?;
        Some(self.around(inner))
    }

    fn fetch(&self) -> Option<usize> {
        self.inner.fetch()
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.inner.metrics()
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        let inner = self.inner.try_swapping_with_projection(projection)?;
        Ok(inner.map(|inner| self.around(inner)))
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        let pushed = self.inner.try_pushdown_filters(filters, config)?;
        Ok(FilterPushdownPropagation {
            filters: pushed.filters,
            updated_node: pushed.updated_node.map(|inner| self.around(inner)),
        })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn DataSource>>> {
        let pushed = self.inner.try_pushdown_sort(order)?;
        Ok(pushed.map(|inner| self.around(inner)))
    }

    fn with_preserve_order(&self, preserve_order: bool) -> Option<Arc<dyn DataSource>> {
        let inner = self.inner.with_preserve_order(preserve_order)?;
        Some(self.around(inner))
    }
}
