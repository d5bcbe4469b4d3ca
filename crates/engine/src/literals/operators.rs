//! Operators whose types have to be known as soon as a statement is planned.
//!
//! DataFusion gives a quotient of decimals four more digits after the point than the dividend has,
//! and cuts off the rest: `1.0 * errors / total` would have five. A quotient is seldom exact
//! anyway, so that of decimals is a DOUBLE, as in DuckDB. Columns of VALUES and of recursive
//! queries are made of its type. And times of a day that are compared must have one unit, or the
//! statement is refused before any rule of the analyzer sees it.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::ExprSchemable;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::agreement::{agree, convert};

/// Plans no operator itself, but casts what the operator is given.
#[derive(Debug)]
pub(crate) struct AgreeingPlanner;

impl ExprPlanner for AgreeingPlanner {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        match expr.op {
            BinaryOperator::Divide => divide(&mut expr, schema),
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => {
                agree([&mut expr.left, &mut expr.right], schema);
            }
            _ => {}
        }
        Ok(PlannerResult::Original(expr))
    }
}

/// Makes decimals that are divided, or divide, a DOUBLE.
fn divide(expr: &mut RawBinaryExpr, schema: &DFSchema) {
    // What has no type, or is no number, is left to the planner, which says why.
    let types = (expr.left.get_type(schema), expr.right.get_type(schema));
    let (Ok(left), Ok(right)) = types else { return };
    let is_number = |data_type: &DataType| data_type.is_numeric() || data_type.is_null();
    if !(is_number(&left) && is_number(&right)) {
        return;
    }
    for (side, found) in [(&mut expr.left, left), (&mut expr.right, right)] {
        if found.is_decimal() {
            *side = convert(std::mem::take(side), &DataType::Float64);
        }
    }
}
