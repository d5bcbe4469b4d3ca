//! Making a plan stop when nobody wants its rows any more.
//!
//! DataFusion's operators look for cancellation only where they yield, and joins yield seldom: a
//! nested-loop join whose filter drops every row evaluates that filter on batch after batch
//! without ever returning. So filters of joins look at a flag whenever they are evaluated, and
//! joins yield after some batches of output, as scans do.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};

/// Set when the rows are not wanted any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The same plan, which stops when this is set.
    pub(crate) fn watched_by(
        &self,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            Ok(match self.join(&node)? {
                Some(join) => Transformed::yes(Arc::new(CooperativeExec::new(join)) as _),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    /// The join that `node` is, its filter watched; `None` if it is something else.
    fn join(&self, node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let any = node.as_any();
        if let Some(join) = any.downcast_ref::<NestedLoopJoinExec>() {
            let Some(filter) = join.filter() else {
                return Ok(Some(Arc::clone(node)));
            };
            let watched = NestedLoopJoinExecBuilder::from(join)
                .with_filter(Some(self.filter(filter)))
                .build()?;
            return Ok(Some(Arc::new(watched)));
        }
        if let Some(join) = any.downcast_ref::<HashJoinExec>() {
            let Some(filter) = join.filter() else {
                return Ok(Some(Arc::clone(node)));
            };
            let filter = Some(self.filter(filter));
            return Ok(Some(join.builder().with_filter(filter).build_exec()?));
        }
        let is_other = any.is::<CrossJoinExec>() || any.is::<SortMergeJoinExec>();
        Ok(is_other.then(|| Arc::clone(node)))
    }

    fn filter(&self, filter: &JoinFilter) -> JoinFilter {
        let watched = Watched {
            stop: self.clone(),
            inner: Arc::clone(filter.expression()),
        };
        let columns = filter.column_indices().to_vec();
        JoinFilter::new(Arc::new(watched), columns, Arc::clone(filter.schema()))
    }
}

/// An expression that fails once the rows are not wanted any more.
#[derive(Debug, Clone)]
struct Watched {
    stop: Stop,
    inner: Arc<dyn PhysicalExpr>,
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Watched {}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Watched {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn data_type(&self, input_schema: &Schema) -> Result<DataType> {
        self.inner.data_type(input_schema)
    }

    fn nullable(&self, input_schema: &Schema) -> Result<bool> {
        self.inner.nullable(input_schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.stop.0.load(Ordering::Relaxed) {
            return Err(DataFusionError::Execution("stopped".to_owned()));
        }
        self.inner.evaluate(batch)
    }

    fn return_field(&self, input_schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(input_schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let inner = children.pop().unwrap_or_else(|| Arc::clone(&self.inner));
        let stop = self.stop.clone();
        Ok(Arc::new(Self { stop, inner }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
