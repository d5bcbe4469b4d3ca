//! A few rows, short enough to be shown.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Characters of a cell; longer ones end in an ellipsis.
const CELL: usize = 40;

/// The first `count` rows as JSON objects, columns in their order.
pub(crate) fn rows(batch: &RecordBatch, count: usize) -> Result<Vec<String>, ArrowError> {
    let options = FormatOptions::default();
    let schema = batch.schema();
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()?;
    let row = |index: usize| {
        let cells = columns
            .iter()
            .zip(batch.columns())
            .zip(schema.fields())
            .map(|((formatter, column), field)| {
                let value = if column.is_null(index) {
                    "null".to_owned()
                } else {
                    cell(formatter.value(index).to_string(), field.data_type())
                };
                format!("{}: {value}", quoted(field.name()))
            });
        format!("{{{}}}", cells.collect::<Vec<_>>().join(", "))
    };
    Ok((0..batch.num_rows().min(count)).map(row).collect())
}

fn cell(text: String, data_type: &DataType) -> String {
    let bare = data_type.is_integer() || *data_type == DataType::Boolean;
    if bare {
        return text;
    }
    if text.chars().count() <= CELL {
        return quoted(&text);
    }
    let short: String = text.chars().take(CELL - 1).chain(['…']).collect();
    quoted(&short)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Int64Array, StringArray};

    use super::*;

    #[test]
    fn rows_are_json_with_short_cells() {
        let long = "x".repeat(41);
        let batch = RecordBatch::try_from_iter([
            (
                "id",
                Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])) as Arc<dyn Array>,
            ),
            (
                "na\"me",
                Arc::new(StringArray::from(vec!["a\n", long.as_str(), "c"])),
            ),
            ("ok", Arc::new(BooleanArray::from(vec![true, false, true]))),
        ])
        .unwrap();
        let rows = rows(&batch, 2).unwrap();
        assert_eq!(rows[0], r#"{"id": 1, "na\"me": "a\n", "ok": true}"#);
        assert_eq!(
            rows[1],
            format!(
                r#"{{"id": null, "na\"me": "{}…", "ok": false}}"#,
                "x".repeat(39)
            )
        );
        assert!(serde_json::from_str::<serde_json::Value>(&rows[1]).is_ok());
    }
}
