//! Comparisons with zero, of which there are two among floating-point numbers.
//!
//! Arrow puts floating-point numbers in a total order, in which -0.0 is less than 0.0. A zero that
//! is written beside one therefore stands for both. Two columns are compared in Arrow's order.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{Cast, InList, TryCast};
use datafusion::logical_expr::{
    Between, BinaryExpr, Case, Expr, ExprSchemable, Operator, and, binary_expr, or,
};

/// The same with both zeros, if `expr` compares a floating-point number with one.
pub(super) fn both(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            if is_zero(right) {
                compared(left, *op, Zeros::of(left, schema)?)
            } else if is_zero(left) {
                let op = match op {
                    Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => *op,
                    op => op.swap()?,
                };
                compared(right, op, Zeros::of(right, schema)?)
            } else {
                None
            }
        }
        Expr::Between(between) if is_zero(&between.low) || is_zero(&between.high) => {
            let zeros = Zeros::of(&between.expr, schema)?;
            let mut between = between.clone();
            if is_zero(&between.low) {
                *between.low = zeros.negative;
            }
            if is_zero(&between.high) {
                *between.high = zeros.positive;
            }
            Some(Expr::Between(between))
        }
        Expr::InList(InList {
            expr,
            list,
            negated,
        }) if list.iter().any(is_zero) => {
            let zeros = Zeros::of(expr, schema)?;
            let others = list.iter().filter(|item| !is_zero(item)).cloned();
            let list = others.chain([zeros.negative, zeros.positive]).collect();
            Some(Expr::InList(InList::new(expr.clone(), list, *negated)))
        }
        Expr::Case(case) if case.when_then_expr.iter().any(|(when, _)| is_zero(when)) => {
            let zeros = Zeros::of(case.expr.as_ref()?, schema)?;
            Some(Expr::Case(case_of_both(case, &zeros)))
        }
        _ => None,
    }
}

struct Zeros {
    negative: Expr,
    positive: Expr,
}

impl Zeros {
    /// The zeros of the type of `expr`, if that is a floating-point number.
    fn of(expr: &Expr, schema: &DFSchema) -> Option<Self> {
        let literal = |value: ScalarValue| Expr::Literal(value, None);
        match expr.get_type(schema).ok()? {
            DataType::Float16 | DataType::Float32 => Some(Self {
                negative: literal(ScalarValue::Float32(Some(-0.0))),
                positive: literal(ScalarValue::Float32(Some(0.0))),
            }),
            DataType::Float64 => Some(Self {
                negative: literal(ScalarValue::Float64(Some(-0.0))),
                positive: literal(ScalarValue::Float64(Some(0.0))),
            }),
            _ => None,
        }
    }
}

fn is_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => match value {
            ScalarValue::Float64(Some(number)) => *number == 0.0,
            ScalarValue::Float32(Some(number)) => *number == 0.0,
            ScalarValue::Int64(Some(number)) => *number == 0,
            _ => false,
        },
        Expr::Cast(Cast { expr, data_type }) | Expr::TryCast(TryCast { expr, data_type }) => {
            data_type.is_floating() && is_zero(expr)
        }
        Expr::Negative(inner) => is_zero(inner),
        _ => false,
    }
}

fn compared(expr: &Expr, op: Operator, zeros: Zeros) -> Option<Expr> {
    let Zeros { negative, positive } = zeros;
    let with = |op, zero| binary_expr(expr.clone(), op, zero);
    let within = |negated| {
        let expr = Box::new(expr.clone());
        let (low, high) = (Box::new(negative.clone()), Box::new(positive.clone()));
        Expr::Between(Between::new(expr, negated, low, high))
    };
    Some(match op {
        Operator::Eq => within(false),
        Operator::NotEq => within(true),
        Operator::Lt | Operator::GtEq => with(op, negative),
        Operator::Gt | Operator::LtEq => with(op, positive),
        Operator::IsDistinctFrom => and(with(op, negative), with(op, positive)),
        Operator::IsNotDistinctFrom => or(with(op, negative), with(op, positive)),
        _ => return None,
    })
}

fn case_of_both(case: &Case, zeros: &Zeros) -> Case {
    let mut case = case.clone();
    let branches = std::mem::take(&mut case.when_then_expr);
    for (when, then) in branches {
        if is_zero(&when) {
            for zero in [&zeros.negative, &zeros.positive] {
                case.when_then_expr
                    .push((Box::new(zero.clone()), then.clone()));
            }
        } else {
            case.when_then_expr.push((when, then));
        }
    }
    case
}
