//! Numbers of a statement that are to be a DOUBLE.
//!
//! DataFusion takes all numbers with a point or an exponent for decimals, or none of them. It is
//! told to take all: `16.76` is to be exactly that. What is left to be a DOUBLE is written as a
//! cast, before the statement is planned.

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DECIMAL128_MAX_PRECISION;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
    Query, SetExpr, Value, VisitMut, VisitorMut,
};

/// Makes a number DOUBLE that is no decimal of at most 38 digits, and those that are given to a
/// function of lists: its lists are seldom of decimals, and are given nothing else than what they
/// have.
pub(super) fn make_double(expr: &mut Expr) {
    match expr {
        Expr::Value(_) => replace(expr, false),
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            let is_of_lists = name.starts_with("array_") || name.starts_with("list_");
            if let (true, FunctionArguments::List(list)) = (is_of_lists, &mut function.args) {
                for arg in &mut list.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg {
                        replace_elements(arg);
                    }
                }
            }
        }
        _ => {}
    }
}

/// The number itself, or all of a list.
fn replace_elements(expr: &mut Expr) {
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match expr {
            Expr::Value(_) => replace(expr, true),
            Expr::UnaryOp { expr, .. } | Expr::Nested(expr) => open.push(expr),
            Expr::Array(array) => open.extend(&mut array.elem),
            _ => {}
        }
    }
}

/// Makes the numbers in the first part of a recursive query DOUBLE. Its columns have the types of
/// that part, and what the others compute would be rounded to the digits of a literal.
pub(super) fn make_seeds_double(query: &mut Query) {
    struct Seeds;

    impl VisitorMut for Seeds {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            replace(expr, true);
            ControlFlow::Continue(())
        }
    }

    let Some(with) = query.with.as_mut().filter(|with| with.recursive) else {
        return;
    };
    for table in &mut with.cte_tables {
        if let SetExpr::SetOperation { left, .. } = table.query.body.as_mut() {
            let _: ControlFlow<()> = left.visit(&mut Seeds);
        }
    }
}

/// Makes a number DOUBLE that is no decimal of at most 38 digits, or `any` with a point.
fn replace(expr: &mut Expr, any: bool) {
    let Expr::Value(literal) = expr else { return };
    let Value::Number(text, _) = &literal.value else {
        return;
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.trim_start_matches('0').len() + fraction.len();
    let is_long = digits > usize::from(DECIMAL128_MAX_PRECISION);
    let has_exponent = text.contains(['e', 'E']);
    if has_exponent || is_long || any && text.contains('.') {
        literal.value = Value::SingleQuotedString(text.clone());
        *expr = Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(Expr::Value(literal.clone())),
            data_type: DataType::Double(ExactNumberInfo::None),
            array: false,
            format: None,
        };
    }
}
