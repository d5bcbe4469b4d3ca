//! The type that several expressions agree on, where DataFusion would choose one that loses values.
//!
//! Beside a floating-point number it makes everything a decimal of 30 digits, half of them after
//! the point: a large number fails, a small one becomes zero, and what is left is rounded. Times of
//! a day in different units have no common type at all. Here the first become a DOUBLE, as in
//! PostgreSQL and DuckDB, and the second have nanoseconds, in which every time of a day fits.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use datafusion::logical_expr::{
    Cast, Expr, ExprSchemable, Join, LogicalPlan, Projection, Subquery, Union, Values, cast,
};
use datafusion::optimizer::analyzer::type_coercion::TypeCoercionRewriter;

/// Functions whose arguments have one type, after as many as have one of their own.
const UNIFORM: [(&str, usize); 7] = [
    ("coalesce", 0),
    ("greatest", 0),
    ("least", 0),
    ("make_array", 0),
    ("nullif", 0),
    ("nvl", 0),
    ("nvl2", 1),
];
/// Functions that compute with DOUBLE, for which DataFusion has another version that rounds to the
/// digits of the decimal which it is given.
const APPROXIMATE: [&str; 1] = ["power"];
/// The nanoseconds of a day.
const TIME: DataType = DataType::Time64(TimeUnit::Nanosecond);

/// The type that some of `types` are to be cast to.
fn wanted<'a>(types: impl Iterator<Item = &'a DataType>) -> Option<DataType> {
    let (mut decimal, mut float) = (false, false);
    let mut time: Option<&DataType> = None;
    let mut times_differ = false;
    for data_type in types {
        decimal |= data_type.is_decimal();
        float |= data_type.is_floating();
        if is_time(data_type) {
            times_differ |= *time.get_or_insert(data_type) != data_type;
        }
    }
    if decimal && float {
        return Some(DataType::Float64);
    }
    times_differ.then_some(TIME)
}

fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Time32(_) | DataType::Time64(_))
}

/// Whether a value of type `found` has to become a `wanted`; NULL, whole numbers and floating-point
/// numbers of fewer bits are left to DataFusion.
fn differs(found: &DataType, wanted: &DataType) -> bool {
    match wanted {
        DataType::Float64 => found.is_decimal(),
        _ => is_time(found) && found != wanted,
    }
}

/// `expr` as a `wanted`.
pub(super) fn convert(expr: Expr, wanted: &DataType) -> Expr {
    match &expr {
        Expr::Literal(value, metadata) if *wanted == DataType::Float64 => {
            // The nearest one to what was written.
            let text = value.cast_to(&DataType::Utf8).ok();
            let text = text.as_ref().and_then(|text| text.try_as_str());
            let number: Option<f64> = text.flatten().and_then(|text| text.parse().ok());
            match number {
                Some(number) => Expr::Literal(ScalarValue::Float64(Some(number)), metadata.clone()),
                None => cast(expr, wanted.clone()),
            }
        }
        _ => cast(expr, wanted.clone()),
    }
}

fn replace(expr: &mut Expr, wanted: &DataType) {
    *expr = convert(std::mem::take(expr), wanted);
}

/// Gives the expressions types that agree. Whether any was changed.
pub(super) fn agree<'a>(exprs: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) -> bool {
    let mut exprs: Vec<&mut Expr> = exprs.into_iter().collect();
    let types: Result<Vec<DataType>> = exprs.iter().map(|expr| expr.get_type(schema)).collect();
    // What has no type here is left to the planner, which says why.
    let Ok(types) = types else { return false };
    let Some(wanted) = wanted(types.iter()) else {
        return false;
    };
    for (expr, found) in exprs.iter_mut().zip(&types) {
        if differs(found, &wanted) {
            replace(expr, &wanted);
        }
    }
    true
}

/// What a function is given.
pub(super) fn given_to(function: &str, args: &mut [Expr], schema: &DFSchema) -> bool {
    if let Some((_, first)) = UNIFORM.iter().find(|(name, _)| *name == function) {
        return agree(args.iter_mut().skip(*first), schema);
    }
    if function == "round" {
        return round(args);
    }
    let is_approximate = APPROXIMATE.contains(&function);
    let mut changed = false;
    for arg in args.iter_mut().filter(|_| is_approximate) {
        let found = arg.get_type(schema);
        if found.is_ok_and(|found| found.is_decimal()) {
            replace(arg, &DataType::Float64);
            changed = true;
        }
    }
    changed
}

/// Gives the number of digits the type that it will have. With a cast around it, `round()` is
/// planned as if it were no constant, as a decimal of another type than it then makes.
fn round(args: &mut [Expr]) -> bool {
    if let [_, Expr::Literal(digits, _)] = args
        && let ScalarValue::Int64(Some(number)) = *digits
        && let Ok(number) = i32::try_from(number)
    {
        *digits = ScalarValue::Int32(Some(number));
        return true;
    }
    false
}

/// What an aggregate is given. A mean of decimals has only four more digits after the point than
/// they have, too few for a rate, so it is one of DOUBLE; a percentile is a DOUBLE anyway.
pub(super) fn aggregated(function: &str, args: &mut [Expr], schema: &DFSchema) -> bool {
    let mut changed = false;
    for (place, arg) in args.iter_mut().enumerate() {
        let is_mean = place == 0 && function == "avg";
        let is_parameter = place > 0 && matches!(arg, Expr::Literal(..));
        let found = arg.get_type(schema);
        if (is_mean || is_parameter) && found.is_ok_and(|found| found.is_decimal()) {
            replace(arg, &DataType::Float64);
            changed = true;
        }
    }
    changed
}

/// Makes `expr` agree with the column of a subquery.
pub(super) fn agree_with_rows(
    expr: &mut Expr,
    rows: &mut Subquery,
    schema: &DFSchema,
) -> Result<bool> {
    let plan = &rows.subquery;
    let (Ok(left), [right, ..]) = (expr.get_type(schema), plan.schema().fields().as_ref()) else {
        return Ok(false);
    };
    let right = right.data_type().clone();
    let Some(wanted) = wanted([&left, &right].into_iter()) else {
        return Ok(false);
    };
    if differs(&left, &wanted) {
        replace(expr, &wanted);
    }
    if differs(&right, &wanted) {
        rows.subquery = Arc::new(projected(Arc::clone(plan), &[Some(wanted)])?);
    }
    Ok(true)
}

/// The plan with some of its columns cast.
fn projected(plan: Arc<LogicalPlan>, wanted: &[Option<DataType>]) -> Result<LogicalPlan> {
    let columns = plan.schema().columns();
    let columns = columns.into_iter().zip(wanted).map(|(column, wanted)| {
        let (relation, name) = (column.relation.clone(), column.name.clone());
        match wanted {
            Some(wanted) => {
                cast(Expr::Column(column), wanted.clone()).alias_qualified(relation, name)
            }
            None => Expr::Column(column),
        }
    });
    Projection::try_new(columns.collect(), plan).map(LogicalPlan::Projection)
}

/// Makes the keys of a join agree, and the columns of a union or of VALUES.
pub(super) fn agree_in_plan(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Join(join) => Ok(LogicalPlan::Join(keys(join))),
        LogicalPlan::Union(union) => inputs(union),
        LogicalPlan::Values(values) => rows(values),
        other => Ok(other),
    }
}

fn keys(mut join: Join) -> Join {
    for (left, right) in &mut join.on {
        let types = (
            left.get_type(join.left.schema()),
            right.get_type(join.right.schema()),
        );
        let (Ok(left_type), Ok(right_type)) = types else {
            continue;
        };
        if let Some(wanted) = wanted([&left_type, &right_type].into_iter()) {
            for (key, found) in [(left, left_type), (right, right_type)] {
                if differs(&found, &wanted) {
                    replace(key, &wanted);
                }
            }
        }
    }
    join
}

fn inputs(mut union: Union) -> Result<LogicalPlan> {
    let width = union.schema.fields().len();
    let mut widths = union
        .inputs
        .iter()
        .map(|input| input.schema().fields().len());
    if !widths.all(|found| found == width) {
        return Ok(LogicalPlan::Union(union));
    }
    let common: Vec<Option<DataType>> = (0..width)
        .map(|place| {
            let inputs = union.inputs.iter();
            wanted(inputs.map(|input| input.schema().field(place).data_type()))
        })
        .collect();
    for input in &mut union.inputs {
        let fields = input.schema().fields().iter();
        let casts: Vec<Option<DataType>> = fields
            .zip(&common)
            .map(|(field, common)| {
                let common = common.clone();
                common.filter(|common| differs(field.data_type(), common))
            })
            .collect();
        if casts.iter().any(Option::is_some) {
            *input = Arc::new(projected(Arc::clone(input), &casts)?);
        }
    }
    // The types of its plan are no longer those of what it is made of, here or further down, and
    // what reads it has to know them now.
    TypeCoercionRewriter::coerce_union(Union::try_new_with_loose_types(union.inputs)?)
}

/// The rows have been cast to a type of DataFusion's choice when the plan was made.
fn rows(mut values: Values) -> Result<LogicalPlan> {
    let mut fields: Vec<(Option<_>, Arc<Field>)> = values
        .schema
        .iter()
        .map(|(relation, field)| (relation.cloned(), Arc::clone(field)))
        .collect();
    let mut changed = false;
    for (place, (_, field)) in fields.iter_mut().enumerate() {
        let chosen = field.data_type().clone();
        if !chosen.is_decimal() {
            continue;
        }
        let column = || values.values.iter().filter_map(|row| row.get(place));
        let types: Result<Vec<DataType>> = column()
            .map(|value| given(value, &chosen).get_type(&DFSchema::empty()))
            .collect();
        let Ok(types) = types else { continue };
        let by_itself = || type_union_resolution(&types);
        let Some(wanted) = wanted(types.iter()).filter(|_| by_itself() == Some(chosen.clone()))
        else {
            continue;
        };
        for row in &mut values.values {
            if let Some(value) = row.get_mut(place) {
                let given = given(value, &chosen).clone();
                *value = match given.get_type(&DFSchema::empty())? == wanted {
                    true => given,
                    false => convert(given, &wanted),
                };
            }
        }
        *field = Arc::new(field.as_ref().clone().with_data_type(wanted));
        changed = true;
    }
    if changed {
        let metadata = values.schema.metadata().clone();
        values.schema = Arc::new(DFSchema::new_with_metadata(fields, metadata)?);
    }
    Ok(LogicalPlan::Values(values))
}

/// What was written, without the cast to the type that was `chosen` for the column.
fn given<'a>(value: &'a Expr, chosen: &DataType) -> &'a Expr {
    match value {
        Expr::Cast(Cast { expr, data_type }) if data_type == chosen => expr,
        other => other,
    }
}
