//! Reading the data files of a snapshot, as a DataFusion plan node.

mod layout;
mod split;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef as ArrowSchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::limit::LimitStream;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::scan::FileScanTask;
use iceberg::spec::SchemaRef;
use iceberg::table::Table;
use rat_types::TableIdent;

use crate::Error;
use layout::Layout;
use split::{rows_in, split};

/// Bytes of the type that has no fixed width, for estimates.
const VARIABLE_WIDTH: usize = 24;

/// What a scan is to return.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) ident: TableIdent,
    pub(crate) table: Table,
    pub(crate) snapshot_id: Option<i64>,
    pub(crate) table_schema: SchemaRef,
    /// The projected columns.
    pub(crate) schema: ArrowSchemaRef,
    pub(crate) has_predicate: bool,
    pub(crate) predicate: Option<String>,
    pub(crate) limit: Option<usize>,
}

/// A scan of the files of one snapshot, in one partition per core, where there is enough to read.
#[derive(Debug)]
pub(crate) struct LakeScan {
    plan: Plan,
    partitions: Vec<Work>,
    file_count: usize,
    statistics: Statistics,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// What one partition does.
#[derive(Debug, Clone)]
enum Work {
    /// Reads files, or parts of files.
    Read(Vec<FileScanTask>),
    /// Returns rows without columns, whose number is known without reading.
    Count(u64),
}

impl LakeScan {
    /// Distributes `files` over up to `target_partitions` partitions.
    pub(crate) fn new(plan: Plan, mut files: Vec<FileScanTask>, target_partitions: usize) -> Self {
        let exact = !plan.has_predicate && files.iter().all(|file| file.deletes.is_empty());
        let rows: Option<u64> = files.iter().map(|file| file.record_count).sum();
        let statistics = statistics(&plan, rows.filter(|_| exact), &files);
        let file_count = files.len();
        let partitions = match rows.filter(|_| exact && plan.schema.fields().is_empty()) {
            Some(rows) => vec![Work::Count(rows)],
            None => {
                if let Some(limit) = plan.limit.filter(|_| exact) {
                    keep_enough(&mut files, limit);
                }
                if plan.schema.fields().is_empty() {
                    let column = narrowest(&plan.table_schema);
                    files
                        .iter_mut()
                        .for_each(|file| file.project_field_ids = vec![column]);
                }
                split(files, target_partitions)
                    .into_iter()
                    .map(Work::Read)
                    .collect()
            }
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(plan.schema.clone()),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let (properties, metrics) = (Arc::new(properties), ExecutionPlanMetricsSet::new());
        Self {
            plan,
            partitions,
            file_count,
            statistics,
            properties,
            metrics,
        }
    }

    /// Number of files that are read.
    #[cfg(test)]
    pub(crate) fn file_count(&self) -> usize {
        self.file_count
    }

    fn read(
        &self,
        files: Vec<FileScanTask>,
        context: &TaskContext,
        metrics: BaselineMetrics,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let table = self.plan.ident.clone();
        let reader = self
            .plan
            .table
            .reader_builder()
            .with_data_file_concurrency_limit(1)
            .with_batch_size(context.session_config().batch_size())
            .build();
        let (io, schema) = (self.plan.table.file_io().clone(), self.plan.schema.clone());
        let batches = stream::iter(files).then(move |file| {
            let (io, schema, reader) = (io.clone(), schema.clone(), reader.clone());
            let (table, metrics) = (table.clone(), metrics.clone());
            async move {
                let layout = Layout::of(&io, &table, file).await?;
                let failed = move |source| DataFusionError::from(Error::read(&table, source));
                let task = stream::iter([Ok(layout.task.clone())]).boxed();
                let batches = reader.read(task).map_err(&failed)?.stream();
                let batches = batches.map_err(failed).map(move |batch| {
                    let batch = layout.apply(&batch?, &schema)?;
                    metrics.record_output(batch.num_rows());
                    Ok::<_, DataFusionError>(batch)
                });
                Ok::<_, DataFusionError>(batches)
            }
        });
        let schema = self.plan.schema.clone();
        let batches = batches.try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn count(&self, rows: u64, context: &TaskContext) -> SendableRecordBatchStream {
        let (schema, size) = (
            self.plan.schema.clone(),
            context.session_config().batch_size(),
        );
        let step = u64::try_from(size.max(1)).unwrap_or(u64::MAX);
        let mut left = rows;
        let batches = std::iter::from_fn(move || {
            let rows = usize::try_from(left.min(step))
                .ok()
                .filter(|rows| *rows > 0)?;
            left = left.saturating_sub(step);
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let batch = RecordBatch::try_new_with_options(schema.clone(), Vec::new(), &options);
            Some(batch.map_err(DataFusionError::from))
        });
        let schema = self.plan.schema.clone();
        Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(batches)))
    }
}

impl DisplayAs for LakeScan {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan {
            ident,
            snapshot_id,
            predicate,
            limit,
            schema,
            ..
        } = &self.plan;
        if let DisplayFormatType::TreeRender = format {
            writeln!(f, "table={ident}")?;
            return write!(f, "files={}", self.file_count);
        }
        let columns: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        write!(f, "LakeScan: table={ident}")?;
        if let Some(id) = snapshot_id {
            write!(f, ", snapshot={id}")?;
        }
        write!(
            f,
            ", files={}, projection=[{}]",
            self.file_count,
            columns.join(", ")
        )?;
        if let Some(predicate) = predicate {
            write!(f, ", predicate={predicate}")?;
        }
        if let Some(limit) = limit {
            write!(f, ", limit={limit}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for LakeScan {
    fn name(&self) -> &str {
        "LakeScan"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let Some(work) = self.partitions.get(partition) else {
            let fault = format!("a scan has no partition {partition}");
            return Err(DataFusionError::External(fault.into()));
        };
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let rows = match work {
            Work::Read(files) => self.read(files.clone(), &context, metrics)?,
            Work::Count(rows) => self.count(*rows, &context),
        };
        Ok(match self.plan.limit {
            Some(limit) => {
                // What is read counts; what the limit then drops is not a second output.
                let unused = BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), partition);
                Box::pin(LimitStream::new(rows, 0, Some(limit), unused))
            }
            None => rows,
        })
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn partition_statistics(&self, partition: Option<usize>) -> DataFusionResult<Statistics> {
        let Some(partition) = partition else {
            return Ok(self.statistics.clone());
        };
        let mut statistics = self.statistics.clone().to_inexact();
        if let Some(Work::Read(files)) = self.partitions.get(partition) {
            let rows = files.iter().map(rows_in).sum::<u64>();
            statistics.num_rows = Precision::Inexact(usize::try_from(rows).unwrap_or(usize::MAX));
            statistics.total_byte_size = bytes(&self.plan.schema, statistics.num_rows);
        }
        Ok(statistics)
    }
}

/// Row counts are exact when the metadata knows them and nothing takes rows away. Sizes are
/// estimated from the types, because DataFusion means decoded bytes.
fn statistics(plan: &Plan, exact: Option<u64>, files: &[FileScanTask]) -> Statistics {
    let count = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
    let num_rows = match exact {
        Some(rows) => {
            let rows = count(rows);
            Precision::Exact(plan.limit.map_or(rows, |limit| rows.min(limit)))
        }
        None => Precision::Inexact(count(files.iter().map(rows_in).sum())),
    };
    Statistics {
        num_rows,
        total_byte_size: bytes(&plan.schema, num_rows),
        column_statistics: vec![ColumnStatistics::new_unknown(); plan.schema.fields().len()],
    }
}

fn bytes(schema: &ArrowSchemaRef, rows: Precision<usize>) -> Precision<usize> {
    let width = |ty: &DataType| ty.primitive_width().unwrap_or(VARIABLE_WIDTH);
    let width: usize = schema
        .fields()
        .iter()
        .map(|field| width(field.data_type()))
        .sum();
    match rows {
        Precision::Exact(rows) | Precision::Inexact(rows) => {
            Precision::Inexact(rows.saturating_mul(width))
        }
        Precision::Absent => Precision::Absent,
    }
}

/// Drops the files beyond those that have `limit` rows together.
fn keep_enough(files: &mut Vec<FileScanTask>, limit: usize) {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut rows = 0;
    files.retain(|file| {
        let needed = rows < limit;
        rows += file.record_count.unwrap_or_default();
        needed
    });
}

/// The column that is the cheapest to read, when only the number of rows is wanted.
fn narrowest(schema: &iceberg::spec::Schema) -> i32 {
    let width = |field: &iceberg::spec::NestedFieldRef| {
        let arrow = iceberg::arrow::type_to_arrow_type(&field.field_type).ok();
        arrow
            .and_then(|ty| ty.primitive_width())
            .unwrap_or(usize::MAX)
    };
    let fields = schema.as_struct().fields();
    fields
        .iter()
        .min_by_key(|field| width(field))
        .map_or(0, |field| field.id)
}
