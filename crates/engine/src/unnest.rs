//! Rows for `unnest()`, a few at a time.
//!
//! DataFusion makes one batch of all elements of a batch's lists, and writes the other columns once
//! for each element: thousands of rows with long lists and a long text become more than there is
//! memory. So the operator is given as many rows at a time as make a batch of a bearable size.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt};

use crate::constants::ValueTooLarge;
use crate::functions::Argument;

/// Bytes that the rows of a part make.
const ENOUGH_BYTES: u64 = 32 << 20;
/// Elements that they make.
const ENOUGH_ELEMENTS: u64 = 64 << 10;
/// Bytes that a single row may make.
const MOST_BYTES: u64 = 512 << 20;

/// The same plan, in which lists are unnested a few rows at a time.
pub(crate) fn in_parts(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        if !node.as_any().is::<UnnestExec>() {
            return Ok(Transformed::no(node));
        }
        let children = node.children().into_iter().map(|child| {
            let input = Arc::clone(child);
            Arc::new(Parts { input }) as Arc<dyn ExecutionPlan>
        });
        let children = children.collect();
        Ok(Transformed::yes(node.with_new_children(children)?))
    })
    .data()
}

/// The rows of its input in smaller batches.
#[derive(Debug)]
struct Parts {
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for Parts {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())
    }
}

impl ExecutionPlan for Parts {
    fn name(&self) -> &'static str {
        "PartsExec"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Self { input }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let batches = self.input.execute(partition, context)?;
        let schema = batches.schema();
        let parts = batches
            .map(|batch| batch.and_then(|batch| parts(&batch)))
            .map_ok(|parts| futures::stream::iter(parts.into_iter().map(Ok)))
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, parts)))
    }
}

/// The batch in parts that each make a batch of a bearable size.
fn parts(batch: &RecordBatch) -> Result<VecDeque<RecordBatch>> {
    let mut parts = VecDeque::new();
    let (mut start, mut bytes, mut elements) = (0, 0_u64, 0_u64);
    let made = Made::of(batch)?;
    for row in 0..batch.num_rows() {
        let (more_elements, more_bytes) = made.by(row);
        if more_bytes > MOST_BYTES {
            let message = format!(
                "unnest() would write the other columns of a row {more_elements} times, which \
                 takes {more_bytes} bytes; at most {MOST_BYTES} are allowed"
            );
            return Err(ValueTooLarge(message).into());
        }
        bytes = bytes.saturating_add(more_bytes);
        elements = elements.saturating_add(more_elements);
        if row > start && (bytes > ENOUGH_BYTES || elements > ENOUGH_ELEMENTS) {
            parts.push_back(batch.slice(start, row - start));
            (start, bytes, elements) = (row, more_bytes, more_elements);
        }
    }
    parts.push_back(batch.slice(start, batch.num_rows() - start));
    Ok(parts)
}

/// What rows make when their lists are unnested.
struct Made {
    lists: Vec<Argument>,
    others: Vec<Argument>,
}

impl Made {
    fn of(batch: &RecordBatch) -> Result<Self> {
        let is_list = |data_type: &DataType| {
            matches!(
                data_type,
                DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
            )
        };
        let (mut lists, mut others) = (Vec::new(), Vec::new());
        for column in batch.columns() {
            let argument = Argument::new(&ColumnarValue::Array(Arc::clone(column)))?;
            match is_list(column.data_type()) {
                true => lists.push(argument),
                false => others.push(argument),
            }
        }
        Ok(Self { lists, others })
    }

    /// Elements and bytes. Which of the lists are unnested is not asked: the longest counts.
    fn by(&self, row: usize) -> (u64, u64) {
        let elements = self.lists.iter().map(|list| list.leaves(row)).max();
        let elements = elements.unwrap_or(0).max(1);
        let others = self.others.iter().map(|other| other.bytes(row));
        let each = others.fold(0, u64::saturating_add);
        let lists = self.lists.iter().map(|list| list.bytes(row));
        let lists = lists.fold(0, u64::saturating_add);
        (
            elements,
            elements.saturating_mul(each).saturating_add(lists),
        )
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn batch(rows: usize, elements: usize, text: usize) -> RecordBatch {
        let list = (0..rows).map(|_| Some((0..elements).map(|n| Some(n as i64))));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(list));
        let texts = (0..rows).map(|_| "x".repeat(text));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        RecordBatch::try_from_iter([("ids", ids), ("lists", lists), ("texts", texts)]).unwrap()
    }

    #[test]
    fn rows_are_divided_by_what_they_make() {
        for (rows, elements, text, expected) in [
            (8192, 1, 10, 1),
            (100, 1000, 10, 2),
            (10, 1000, 100_000, 10),
            (1, 100_000, 10, 1),
            (0, 0, 0, 1),
        ] {
            let batch = batch(rows, elements, text);
            let parts = parts(&batch).unwrap();
            assert_eq!(parts.len(), expected, "{rows} rows of {elements} elements");
            let together: usize = parts.iter().map(RecordBatch::num_rows).sum();
            assert_eq!(together, rows);
        }
        let error = parts(&batch(1, 100_000, 10_000)).unwrap_err();
        assert!(error.to_string().contains("100000 times"), "{error}");
    }
}
