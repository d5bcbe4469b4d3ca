//! The operator `||` on strings, as a function with a bound.
//!
//! `concat()` ignores NULL, the operator does not: so it cannot be planned as that function.

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::account::Account;
use super::rule::Rule;
use super::size::Argument;

/// Plans `||` where nobody else did.
#[derive(Debug)]
pub(super) struct ConcatPlanner(pub(super) Account);

impl ExprPlanner for ConcatPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        // A chain is one call: each of a thousand calls within each other would be given a name
        // that has those of all others in it.
        let planned = match expr.left {
            Expr::ScalarFunction(mut left) if left.func.inner().as_any().is::<Concat>() => {
                left.args.push(expr.right);
                left
            }
            left => {
                let function = ScalarUDF::new_from_impl(Concat::new(self.0.clone()));
                ScalarFunction::new_udf(Arc::new(function), vec![left, expr.right])
            }
        };
        Ok(PlannerResult::Planned(Expr::ScalarFunction(planned)))
    }
}

#[derive(Debug)]
struct Concat {
    signature: Signature,
    account: Account,
}

impl PartialEq for Concat {
    fn eq(&self, other: &Self) -> bool {
        self.signature == other.signature
    }
}

impl Eq for Concat {}

impl Hash for Concat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.signature.hash(state);
    }
}

impl Concat {
    fn new(account: Account) -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
            account,
        }
    }
}

impl ScalarUDFImpl for Concat {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args
            .iter()
            .map(|arg| arg.schema_name().to_string())
            .collect();
        Ok(names.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if let [left, right] = arg_types {
            let coercer = BinaryTypeCoercer::new(left, &Operator::StringConcat, right);
            let (left, right) = coercer.get_input_types()?;
            return Ok(vec![left, right]);
        }
        Ok(vec![common(arg_types)?; arg_types.len()])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        common(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let given: Vec<Argument> = args.args.iter().map(Argument::new).collect::<Result<_>>()?;
        super::check("||", args.number_rows, &given, &self.account, |row| {
            Rule::Sum.bytes(&given, row)
        })?;
        let mut values = args.args.into_iter();
        let Some(mut text) = values.next() else {
            return plan_err!("|| takes two arguments");
        };
        for value in values {
            text = join(text, value, args.number_rows)?;
        }
        self.account.keep("||", text)
    }
}

/// The type of all texts after each other.
fn common(arg_types: &[DataType]) -> Result<DataType> {
    let mut types = arg_types.iter();
    let Some(first) = types.next() else {
        return plan_err!("|| takes two arguments");
    };
    types.try_fold(first.clone(), |left, right| {
        BinaryTypeCoercer::new(&left, &Operator::StringConcat, right).get_result_type()
    })
}

fn join(left: ColumnarValue, right: ColumnarValue, rows: usize) -> Result<ColumnarValue> {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    let mut side = |value: ColumnarValue| -> Arc<dyn PhysicalExpr> {
        match value {
            ColumnarValue::Scalar(value) => Arc::new(Literal::new(value)),
            ColumnarValue::Array(array) => {
                fields.push(Field::new("side", array.data_type().clone(), true));
                columns.push(array);
                Arc::new(Column::new("side", columns.len() - 1))
            }
        }
    };
    let (left, right) = (side(left), side(right));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
    BinaryExpr::new(left, Operator::StringConcat, right).evaluate(&batch)
}
