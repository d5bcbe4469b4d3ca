//! Column types: declared in SQL, merged between files, and made fit for a table.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::execution::SessionState;
use datafusion::logical_expr::ExprSchemable;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

type Columns = Vec<(String, DataType)>;

/// Reads `a BIGINT, b DECIMAL(15, 2)`.
pub(super) fn parse_list(text: &str, state: &SessionState) -> Result<Columns, String> {
    let parser = Parser::new(&GenericDialect {}).try_with_sql(text);
    let mut parser = parser.map_err(|error| error.to_string())?;
    let mut columns = Vec::new();
    loop {
        let name = parser
            .parse_identifier()
            .map_err(|error| error.to_string())?;
        let declared = parser
            .parse_data_type()
            .map_err(|error| error.to_string())?;
        columns.push((name.value, to_arrow(&declared.to_string(), state)?));
        match parser.next_token().token {
            Token::Comma => {}
            Token::EOF => return unique(columns),
            other => return Err(format!("expected a comma, found {other}")),
        }
    }
}

/// Reads names and types that come in pairs.
pub(super) fn parse_pairs(
    pairs: &[(String, String)],
    state: &SessionState,
) -> Result<Columns, String> {
    let mut columns = Vec::new();
    for (name, declared) in pairs {
        let parser = Parser::new(&GenericDialect {}).try_with_sql(declared);
        let mut parser = parser.map_err(|error| error.to_string())?;
        let parsed = parser
            .parse_data_type()
            .map_err(|error| error.to_string())?;
        if parser.peek_token().token != Token::EOF {
            return Err(format!("{declared:?} is not a type"));
        }
        columns.push((name.clone(), to_arrow(&parsed.to_string(), state)?));
    }
    unique(columns)
}

fn unique(columns: Columns) -> Result<Columns, String> {
    let mut seen = BTreeSet::new();
    match columns.iter().find(|(name, _)| !seen.insert(name.as_str())) {
        Some((name, _)) => Err(format!("column {name} is declared twice")),
        None => Ok(columns),
    }
}

/// The planner knows what a SQL type is in Arrow; a cast is the way to ask it.
fn to_arrow(sql_type: &str, state: &SessionState) -> Result<DataType, String> {
    let schema = DFSchema::empty();
    state
        .create_logical_expr(&format!("CAST(NULL AS {sql_type})"), &schema)
        .and_then(|expr| expr.get_type(&schema))
        .map(|data_type| storable(&data_type))
        .map_err(|error| error.find_root().message().into_owned())
}

/// `data_type` as a landing table has it: timestamps in microseconds, text where nothing is known.
pub(super) fn storable(data_type: &DataType) -> DataType {
    let field =
        |field: &Arc<Field>| Arc::new(Field::new(field.name(), storable(field.data_type()), true));
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::List(item) => DataType::List(field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect::<Fields>()),
        other => other.clone(),
    }
}

/// The type that holds the values of both; `None` where only the author can decide.
pub(super) fn widen(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Date32, Float64, Int64, Null, Timestamp, Utf8};
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (Null, other) | (other, Null) => Some(other.clone()),
        (Int64, Float64) | (Float64, Int64) => Some(Float64),
        (Timestamp(_, zone), Timestamp(_, other)) if zone == other => {
            Some(Timestamp(TimeUnit::Microsecond, zone.clone()))
        }
        (Date32, Timestamp(_, zone)) | (Timestamp(_, zone), Date32) => {
            Some(Timestamp(TimeUnit::Microsecond, zone.clone()))
        }
        // What the sample of one file proves to be no number is text in all of them.
        (Utf8, other) | (other, Utf8) if !other.is_nested() => Some(Utf8),
        (DataType::List(a), DataType::List(b)) => {
            let item = widen(a.data_type(), b.data_type())?;
            Some(DataType::List(Arc::new(Field::new(a.name(), item, true))))
        }
        (DataType::Struct(a), DataType::Struct(b)) => merge_fields(a, b).map(DataType::Struct),
        _ => None,
    }
}

fn merge_fields(a: &Fields, b: &Fields) -> Option<Fields> {
    let mut merged: Vec<Field> = Vec::new();
    for field in a.iter().chain(b.iter()) {
        match merged.iter_mut().find(|known| known.name() == field.name()) {
            Some(known) => {
                let data_type = widen(known.data_type(), field.data_type())?;
                *known = Field::new(known.name().clone(), data_type, true);
            }
            None => merged.push(Field::new(field.name(), field.data_type().clone(), true)),
        }
    }
    Some(merged.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_several_files_are_widened_or_refused() {
        let second = DataType::Timestamp(TimeUnit::Second, None);
        let micro = DataType::Timestamp(TimeUnit::Microsecond, None);
        for (a, b, expected) in [
            (DataType::Int64, DataType::Int64, Some(DataType::Int64)),
            (DataType::Null, DataType::Date32, Some(DataType::Date32)),
            (DataType::Int64, DataType::Float64, Some(DataType::Float64)),
            (DataType::Int64, DataType::Utf8, Some(DataType::Utf8)),
            (second, DataType::Date32, Some(micro)),
            (DataType::Boolean, DataType::Int64, None),
        ] {
            assert_eq!(widen(&a, &b), expected, "{a} {b}");
            assert_eq!(widen(&b, &a), expected, "{b} {a}");
        }
    }
}
