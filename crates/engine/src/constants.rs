//! How much room the constants of a statement take.
//!
//! Constant expressions are computed while a statement is planned: `repeat('x', 1000000)` becomes
//! a literal. The planner copies a literal wherever its column is named, and operators write it
//! once for each row of a batch. So what constants take is bounded as soon as they are computed,
//! and batches have fewer rows where constants are large.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule};

/// Bytes of a single text; the planner may copy it thousands of times.
pub(crate) const MAX_TEXT_BYTES: usize = 16 << 10;
/// Bytes of all constants.
pub(crate) const MAX_CONSTANT_BYTES: usize = 64 << 20;
/// Bytes that the rows of one batch take, and constants in it.
const MAX_BATCH_BYTES: usize = 32 << 20;
/// Characters of a constant that a message shows.
const SHOWN: usize = 40;

/// A value that takes too much room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ValueTooLarge(pub(crate) String);

impl From<ValueTooLarge> for DataFusionError {
    fn from(error: ValueTooLarge) -> Self {
        Self::External(Box::new(error))
    }
}

/// All rules of the optimizer, and a look at constants once they are computed.
pub(crate) fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = Optimizer::new().rules;
    let computed = rules
        .iter()
        .position(|rule| rule.name() == "simplify_expressions");
    rules.insert(computed.map_or(0, |place| place + 1), Arc::new(Bounded));
    rules
}

#[derive(Debug)]
struct Bounded;

impl OptimizerRule for Bounded {
    fn name(&self) -> &'static str {
        "bounded_constants"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let mut total = 0_usize;
        visit(&plan, &mut |value, copied| {
            let bytes = bytes(value);
            if copied && bytes > MAX_TEXT_BYTES && is_text(value) {
                let shown: String = value.to_string().chars().take(SHOWN).collect();
                let message = format!(
                    "the constant {shown}… has {bytes} bytes, at most {MAX_TEXT_BYTES} are \
                     allowed; read such a text from a table or a file"
                );
                return Err(ValueTooLarge(message).into());
            }
            total = total.saturating_add(bytes);
            Ok(())
        })?;
        if total > MAX_CONSTANT_BYTES {
            let message = format!(
                "the constants of the statement take {total} bytes, at most \
                 {MAX_CONSTANT_BYTES} are allowed; read them from a table or a file"
            );
            return Err(ValueTooLarge(message).into());
        }
        Ok(Transformed::no(plan))
    }
}

/// How many rows a batch may have, so that it does not become too large with the constants of
/// `plan` and rows of `row_bytes`; at most `rows`.
pub(crate) fn batch_rows(plan: &LogicalPlan, row_bytes: usize, rows: usize) -> Result<usize> {
    let mut each = row_bytes;
    visit(plan, &mut |value, copied| {
        each = each.saturating_add(if copied { bytes(value) } else { 0 });
        Ok(())
    })?;
    Ok((MAX_BATCH_BYTES / each.max(1)).clamp(1, rows.max(1)))
}

/// Calls `look` with each constant, and with whether it may be copied: rows of VALUES and lists of
/// `IN` stay where they are.
fn visit(plan: &LogicalPlan, look: &mut dyn FnMut(&ScalarValue, bool) -> Result<()>) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        let copied = !matches!(node, LogicalPlan::Values(_));
        node.apply_expressions(|expr| {
            visit_expr(expr, copied, look)?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(())
}

fn visit_expr(
    expr: &Expr,
    copied: bool,
    look: &mut dyn FnMut(&ScalarValue, bool) -> Result<()>,
) -> Result<()> {
    let mut open = vec![(expr, copied)];
    while let Some((expr, copied)) = open.pop() {
        match expr {
            Expr::Literal(value, _) => look(value, copied)?,
            Expr::InList(InList { expr, list, .. }) => {
                open.push((expr, copied));
                open.extend(list.iter().map(|item| (item, false)));
            }
            other => {
                other.apply_children(|child| {
                    open.push((child, copied));
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
    }
    Ok(())
}

fn text(value: &ScalarValue) -> Option<&[u8]> {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => Some(text.as_bytes()),
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes))
        | ScalarValue::FixedSizeBinary(_, Some(bytes)) => Some(bytes),
        ScalarValue::Dictionary(_, value) => text(value),
        _ => None,
    }
}

fn is_text(value: &ScalarValue) -> bool {
    text(value).is_some()
}

fn bytes(value: &ScalarValue) -> usize {
    match text(value) {
        Some(text) => text.len(),
        None if value.data_type().is_nested() => value.size(),
        None => 0,
    }
}
