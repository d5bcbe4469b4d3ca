//! What a text literal means where it stands beside a number, a time or a truth value.
//!
//! `WHERE amount < '7'` compares numbers: the literal is read as the type of what it is compared
//! with, exactly, and a literal that is no such value is a mistake. Left alone, the planner would
//! turn the numbers into texts, and 10 would be less than '7'. Only literals are read this way:
//! where a column is text, the comparison is one of texts.
//!
//! A number literal is an exact decimal, `1.10` has two digits after the point, and one with an
//! exponent is a DOUBLE. What it becomes beside other numbers is decided by the modules below:
//! all of this happens before DataFusion makes types agree, in one pass over the plan.

mod agreement;
mod operators;
mod zero;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, plan_datafusion_err};
use datafusion::logical_expr::expr::{
    AggregateFunction, InList, InSubquery, ScalarFunction, SetComparison,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Between, BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::analyzer::Analyzer;

pub(crate) use operators::AgreeingPlanner;

/// Characters of a literal that a message shows.
const SHOWN: usize = 80;

/// All rules of the analyzer. The literals come first, before types are made to agree.
pub(crate) fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules = Analyzer::new().rules;
    rules.insert(0, Arc::new(TypedLiterals));
    rules
}

#[derive(Debug)]
struct TypedLiterals;

impl AnalyzerRule for TypedLiterals {
    fn name(&self) -> &str {
        "typed_literals"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(rewrite_node)?.data)
    }
}

fn rewrite_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        let source = scan.source.schema();
        schema.merge(&DFSchema::try_from_qualified_schema(
            scan.table_name.clone(),
            &source,
        )?);
    }
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(|expr| rewrite(expr, &schema))?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })?
    .map_data(agreement::agree_in_plan)?
    .transform_data(|plan| Ok(Transformed::yes(plan.recompute_schema()?)))
}

fn rewrite(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let changed = read_texts(&mut expr, schema)? | agree_within(&mut expr, schema)?;
    let with_zeros = zero::both(&expr, schema);
    let changed = changed || with_zeros.is_some();
    Ok(Transformed::new_transformed(
        with_zeros.unwrap_or(expr),
        changed,
    ))
}

/// Gives literals of text the type of what they are compared with.
fn read_texts(expr: &mut Expr, schema: &DFSchema) -> Result<bool> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
            agree(left, right, schema)? | agree(right, left, schema)?
        }
        Expr::Between(Between {
            expr, low, high, ..
        }) => {
            let bounds = agree(expr, low, schema)? | agree(expr, high, schema)?;
            bounds | agree(low, expr, schema)?
        }
        Expr::InList(InList { expr, list, .. }) => {
            let mut changed = false;
            for item in list.iter_mut() {
                changed |= agree(expr, item, schema)?;
            }
            match list.first() {
                Some(first) => changed | agree(first, expr, schema)?,
                None => changed,
            }
        }
        Expr::Case(Case {
            expr: Some(subject),
            when_then_expr,
            ..
        }) => {
            let mut changed = false;
            for (when, _) in when_then_expr.iter_mut() {
                changed |= agree(subject, when, schema)?;
            }
            changed
        }
        _ => false,
    })
}

/// Makes the types of what belongs together agree.
fn agree_within(expr: &mut Expr, schema: &DFSchema) -> Result<bool> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
            agreement::agree([left.as_mut(), right.as_mut()], schema)
        }
        Expr::Between(Between {
            expr, low, high, ..
        }) => agreement::agree([expr.as_mut(), low.as_mut(), high.as_mut()], schema),
        Expr::InList(InList { expr, list, .. }) => {
            agreement::agree(std::iter::once(expr.as_mut()).chain(list), schema)
        }
        Expr::InSubquery(InSubquery { expr, subquery, .. })
        | Expr::SetComparison(SetComparison { expr, subquery, .. }) => {
            agreement::agree_with_rows(expr, subquery, schema)?
        }
        Expr::Case(Case {
            expr,
            when_then_expr,
            else_expr,
        }) => {
            let mut changed = false;
            if let Some(subject) = expr {
                let whens = when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
                changed |= agreement::agree(whens.chain([subject.as_mut()]), schema);
            }
            let thens = when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
            let otherwise = else_expr.as_mut().map(Box::as_mut);
            changed | agreement::agree(thens.chain(otherwise), schema)
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            agreement::given_to(func.name(), args, schema)
        }
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            agreement::aggregated(func.name(), &mut params.args, schema)
        }
        Expr::WindowFunction(window) => match &window.fun {
            WindowFunctionDefinition::AggregateUDF(func) => {
                agreement::aggregated(func.name(), &mut window.params.args, schema)
            }
            WindowFunctionDefinition::WindowUDF(_) => false,
        },
        _ => false,
    })
}

fn compares(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// Gives `literal`, if it is one of text, the type of what it is compared with.
fn agree(other: &Expr, literal: &mut Expr, schema: &DFSchema) -> Result<bool> {
    let Expr::Literal(value, metadata) = literal else {
        return Ok(false);
    };
    let Some(Some(text)) = value.try_as_str() else {
        return Ok(false);
    };
    // What has no type here is left to the planner, which says why.
    let Ok(wanted) = other.get_type(schema) else {
        return Ok(false);
    };
    let Some(read) = typed(text, &wanted) else {
        return Ok(false);
    };
    let read = read.ok_or_else(|| mismatch(text, other, &wanted))?;
    *literal = Expr::Literal(read, metadata.clone());
    Ok(true)
}

fn mismatch(text: &str, other: &Expr, wanted: &DataType) -> DataFusionError {
    let shown: String = text.chars().take(SHOWN).collect();
    let other: String = other.to_string().chars().take(SHOWN).collect();
    let name = crate::types::sql_name(wanted);
    plan_datafusion_err!(
        "'{shown}' is compared with {other}, which is {name}, and is no such value"
    )
}

/// The value that `text` is as a `wanted`. Outer `None`: texts are not read as that; inner
/// `None`: this one is not such a value.
fn typed(text: &str, wanted: &DataType) -> Option<Option<ScalarValue>> {
    let text = text.trim();
    let cast = |to: &DataType| ScalarValue::from(text).cast_to(to).ok();
    let known = |value: &ScalarValue| !value.is_null();
    match wanted {
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Some(decimal(text)),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            Some(cast(wanted).filter(known))
        }
        number if number.is_integer() => Some(cast(number).filter(known).or_else(|| decimal(text))),
        DataType::Date32 | DataType::Date64 => {
            // A moment of a day is later than the day.
            let moment =
                DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, None);
            Some(cast(wanted).or_else(|| cast(&moment)).filter(known))
        }
        DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) | DataType::Boolean => {
            Some(cast(wanted).filter(known))
        }
        _ => None,
    }
}

/// A number in plain notation with as many digits as are written, or else as a double.
fn decimal(text: &str) -> Option<ScalarValue> {
    let digits = text.trim_start_matches(['-', '+']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = !(whole.is_empty() && fraction.is_empty())
        && [whole, fraction]
            .iter()
            .all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let scale = fraction.len();
    let precision = (whole.trim_start_matches('0').len() + scale).max(1);
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if plain && precision <= DECIMAL128_MAX_PRECISION => {
            let wanted = DataType::Decimal128(precision, scale);
            ScalarValue::from(text).cast_to(&wanted).ok()
        }
        _ => text
            .parse()
            .ok()
            .map(|value| ScalarValue::Float64(Some(value))),
    }
    .filter(|value| !value.is_null())
}
