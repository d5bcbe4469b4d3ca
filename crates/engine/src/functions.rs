//! Scalar functions that refuse to make values which do not fit into memory.
//!
//! DataFusion's memory pool accounts for operators, not for what a function allocates: one call
//! such as `repeat('x', 10000000000)` could take all of the process's memory, and with it
//! everybody's work. So every function whose result may be larger than its arguments is replaced
//! by one that computes how large the result would be before it is made. What is left alone makes
//! at most a few bytes for each byte of its arguments.
//!
//! What they make is counted as long as it is held. This does not bound what operators make of
//! values, which is the memory pool's part.

mod account;
mod concat;
mod dates;
mod rule;
mod size;

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawDictionaryExpr,
    RawFieldAccessExpr, RawWindowExpr,
};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};
use datafusion::prelude::SessionContext;
use datafusion::sql::TableReference;
use rat_pipeline::MAX_SQL_NESTING;

use account::Account;
use rule::Rule;
pub(crate) use size::Argument;

use crate::constants::ValueTooLarge;
use crate::literals::AgreeingPlanner;

/// Bytes of one value.
const MAX_VALUE_BYTES: u64 = 16 << 20;
/// Bytes that one call makes for one batch of rows. Below 2 GiB, where the offsets of strings end.
const MAX_BATCH_BYTES: u64 = 256 << 20;

/// Replaces the functions of `context`, which is one statement's, by those that bound what they
/// make. All that they make is counted in `results`.
pub(crate) fn bound(context: SessionContext, results: Arc<dyn MemoryPool>) -> SessionContext {
    let state = context.state();
    let account = Account::new(results);
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(AgreeingPlanner)];
    for planner in state.expr_planners() {
        let inner = Arc::clone(planner);
        let account = account.clone();
        planners.push(Arc::new(BoundingPlanner { inner, account }));
    }
    planners.push(Arc::new(concat::ConcatPlanner(account.clone())));
    let bounded: Vec<ScalarUDF> = state
        .scalar_functions()
        .values()
        .filter_map(|function| bounded(function, &account))
        .collect();
    let state = SessionStateBuilder::new_from_existing(state)
        .with_expr_planners(planners)
        .build();
    let context = SessionContext::new_with_state(state);
    for function in bounded {
        context.register_udf(function);
    }
    context
}

/// The function with a bound, where it needs one and has none.
fn bounded(function: &Arc<ScalarUDF>, account: &Account) -> Option<ScalarUDF> {
    if function.inner().as_any().is::<Bounded>() {
        return None;
    }
    let rule = Rule::of(function.name())?;
    Some(ScalarUDF::new_from_impl(Bounded {
        inner: Arc::clone(function),
        rule,
        account: account.clone(),
    }))
}

/// A function that knows how large its results are.
#[derive(Debug)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    rule: Rule,
    account: Account,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.inner().output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.inner().preserves_lex_ordering(inputs)
    }

    // Not delegated: `simplify`, which could put an unbounded function in the place of this one.

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let given: Vec<Argument> = args.args.iter().map(Argument::new).collect::<Result<_>>()?;
        let name = self.inner.name();
        check(name, args.number_rows, &given, &self.account, |row| {
            self.rule.bytes(&given, row)
        })?;
        drop(given);
        let made = dates::invoke(&self.inner, args)?;
        self.account.keep(name, made)
    }
}

/// Refuses a call whose results would be too large.
fn check(
    name: &str,
    rows: usize,
    given: &[Argument],
    account: &Account,
    bytes: impl Fn(usize) -> Result<u64>,
) -> Result<()> {
    let is_constant = given.iter().all(Argument::is_scalar);
    let rows = if is_constant { 1 } else { rows };
    let mut total = 0_u64;
    for row in 0..rows {
        let value = bytes(row)?;
        if value > MAX_VALUE_BYTES {
            let message = format!(
                "{name}() would make a value of {value} bytes; at most {MAX_VALUE_BYTES} are \
                 allowed"
            );
            return Err(ValueTooLarge(message).into());
        }
        total = total.saturating_add(value);
    }
    if total > MAX_BATCH_BYTES {
        let message = format!(
            "{name}() would make {total} bytes for {rows} rows; at most {MAX_BATCH_BYTES} are \
             allowed in one batch"
        );
        return Err(ValueTooLarge(message).into());
    }
    match is_constant {
        true => account.add_constant(name, total),
        false => Ok(()),
    }
}

/// Bounds the functions that planners choose for an operator or for a special form.
#[derive(Debug)]
struct BoundingPlanner {
    inner: Arc<dyn ExprPlanner>,
    account: Account,
}

impl BoundingPlanner {
    fn bound<T>(&self, result: PlannerResult<T>) -> Result<PlannerResult<T>> {
        match result {
            PlannerResult::Planned(expr) => {
                let expr = self.bound_expr(expr);
                check_nesting(&expr)?;
                Ok(PlannerResult::Planned(expr))
            }
            PlannerResult::Original(given) => Ok(PlannerResult::Original(given)),
        }
    }

    fn bound_expr(&self, expr: Expr) -> Expr {
        match expr {
            Expr::ScalarFunction(ScalarFunction { func, args }) => {
                let func = bounded(&func, &self.account).map_or(func, Arc::new);
                Expr::ScalarFunction(ScalarFunction { func, args })
            }
            other => other,
        }
    }
}

/// A chain of operators such as `x[1][1]` may become functions within each other, each of which is
/// given a name that has the names of all others in it, again and again.
fn check_nesting(expr: &Expr) -> Result<()> {
    let mut open = vec![(expr, 0)];
    while let Some((expr, depth)) = open.pop() {
        let depth = depth + usize::from(matches!(expr, Expr::ScalarFunction(_)));
        if depth > MAX_SQL_NESTING {
            return plan_err!(
                "the statement has operators that stand for functions, nested deeper than \
                 {MAX_SQL_NESTING} levels"
            );
        }
        expr.apply_children(|child| {
            open.push((child, depth));
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(())
}

impl ExprPlanner for BoundingPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        self.inner
            .plan_binary_op(expr, schema)
            .and_then(|planned| self.bound(planned))
    }

    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        self.inner
            .plan_field_access(expr, schema)
            .and_then(|planned| self.bound(planned))
    }

    fn plan_array_literal(
        &self,
        exprs: Vec<Expr>,
        schema: &DFSchema,
    ) -> Result<PlannerResult<Vec<Expr>>> {
        self.inner
            .plan_array_literal(exprs, schema)
            .and_then(|planned| self.bound(planned))
    }

    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.inner
            .plan_position(args)
            .and_then(|planned| self.bound(planned))
    }

    fn plan_dictionary_literal(
        &self,
        expr: RawDictionaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawDictionaryExpr>> {
        self.inner
            .plan_dictionary_literal(expr, schema)
            .and_then(|planned| self.bound(planned))
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.inner
            .plan_extract(args)
            .and_then(|planned| self.bound(planned))
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.inner
            .plan_substring(args)
            .and_then(|planned| self.bound(planned))
    }

    fn plan_struct_literal(
        &self,
        args: Vec<Expr>,
        is_named_struct: bool,
    ) -> Result<PlannerResult<Vec<Expr>>> {
        self.inner
            .plan_struct_literal(args, is_named_struct)
            .and_then(|planned| self.bound(planned))
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.inner
            .plan_overlay(args)
            .and_then(|planned| self.bound(planned))
    }

    fn plan_make_map(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.inner
            .plan_make_map(args)
            .and_then(|planned| self.bound(planned))
    }

    fn plan_compound_identifier(
        &self,
        field: &arrow::datatypes::Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        self.inner
            .plan_compound_identifier(field, qualifier, nested_names)
    }

    fn plan_aggregate(&self, expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        self.inner.plan_aggregate(expr)
    }

    fn plan_window(&self, expr: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        self.inner.plan_window(expr)
    }
}

#[cfg(test)]
mod tests;
