//! Arrow batches to JSON rows.
//!
//! What a JSON number cannot carry is a string: decimals, because a double would round them, and
//! the floats that are none (`NaN`, `Infinity`, `-Infinity`). Binary is base64. Integers are
//! numbers, 64 bits wide; dates and times are ISO 8601, with an offset where the type has one.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::EncoderOptions;
use arrow::json::writer::{Encoder, EncoderFactory, NullableEncoder, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Column {
    /// Name; unique within the answer.
    pub(crate) name: String,
    /// Type, as SQL writes it.
    #[serde(rename = "type")]
    pub(crate) data_type: String,
}

/// The columns of `schema`. A name that comes again gets a number, because rows are objects.
pub(crate) fn columns_of(schema: &Schema) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let taken = |name: &str| columns.iter().any(|column| column.name == name);
        let mut name = field.name().clone();
        let mut number = 1;
        while taken(&name) {
            name = format!("{}_{number}", field.name());
            number += 1;
        }
        columns.push(Column {
            name,
            data_type: type_name(field.data_type()),
        });
    }
    columns
}

/// The type as SQL writes it, with the catalog's names; Arrow's own where SQL has none.
pub(crate) fn type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => {
            "INTEGER"
        }
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "BIGINT",
        DataType::Float16 | DataType::Float32 => "REAL",
        DataType::Float64 => "DOUBLE",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "VARBINARY",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "TIMESTAMP(9)",
        DataType::Timestamp(_, None) => "TIMESTAMP",
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => "TIMESTAMP(9) WITH TIME ZONE",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            return format!("DECIMAL({precision}, {scale})");
        }
        DataType::FixedSizeBinary(length) => return format!("BINARY({length})"),
        DataType::Dictionary(_, values) => return type_name(values),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            return format!("ARRAY<{}>", type_name(item.data_type()));
        }
        DataType::Struct(fields) => {
            let field =
                |field: &FieldRef| format!("{} {}", field.name(), type_name(field.data_type()));
            return format!(
                "STRUCT<{}>",
                fields.iter().map(field).collect::<Vec<_>>().join(", ")
            );
        }
        other => return other.to_string().to_uppercase(),
    };
    name.to_owned()
}

/// Appends the rows of `batch` as JSON objects, separated (and, unless `out` ends in `[`,
/// preceded) by commas, until `out` is longer than `longest`.
///
/// Answers how many rows were written.
pub(crate) fn append_rows(
    out: &mut Vec<u8>,
    batch: &RecordBatch,
    columns: &[Column],
    longest: usize,
) -> Result<usize, ArrowError> {
    let factory: Arc<dyn EncoderFactory> = Arc::new(Exact);
    let options = EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_encoder_factory(factory);
    let schema = batch.schema_ref();
    let encoders = schema.fields().iter().zip(batch.columns());
    let mut encoders: Vec<NullableEncoder<'_>> = encoders
        .map(|(field, array)| make_encoder(field, array.as_ref(), &options))
        .collect::<Result<_, _>>()?;
    let keys: Vec<Vec<u8>> = columns.iter().map(|column| quoted(&column.name)).collect();
    for row in 0..batch.num_rows() {
        if out.len() > longest {
            return Ok(row);
        }
        if out.last() != Some(&b'[') {
            out.push(b',');
        }
        out.push(b'{');
        for (index, (key, encoder)) in keys.iter().zip(&mut encoders).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key);
            out.push(b':');
            match encoder.is_null(row) {
                true => out.extend_from_slice(b"null"),
                false => encoder.encode(row, out),
            }
        }
        out.push(b'}');
    }
    Ok(batch.num_rows())
}

fn quoted(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).unwrap_or_else(|_| b"\"\"".to_vec())
}

/// Replaces the encoders of arrow that lose something.
#[derive(Debug)]
struct Exact;

impl EncoderFactory for Exact {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            data_type if data_type.is_decimal() => {
                let options = FormatOptions::new().with_display_error(true);
                Box::new(Quoted(ArrayFormatter::try_new(array, &options)?))
            }
            DataType::Float32 => Box::new(Float(array.as_primitive::<Float32Type>().values())),
            DataType::Float64 => Box::new(Float(array.as_primitive::<Float64Type>().values())),
            DataType::Binary => Box::new(Base64(|row| array.as_binary::<i32>().value(row))),
            DataType::LargeBinary => Box::new(Base64(|row| array.as_binary::<i64>().value(row))),
            DataType::BinaryView => Box::new(Base64(|row| array.as_binary_view().value(row))),
            DataType::FixedSizeBinary(_) => {
                Box::new(Base64(|row| array.as_fixed_size_binary().value(row)))
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

struct Quoted<'a>(ArrayFormatter<'a>);

impl Encoder for Quoted<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        // Decimals have no character that would need escaping; writing to a Vec cannot fail.
        let _ = write!(out, "\"{}\"", self.0.value(row));
    }
}

struct Float<'a, T>(&'a [T]);

impl<T: Copy + Into<f64> + Serialize> Encoder for Float<'_, T> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = self.0[row];
        let wide: f64 = value.into();
        let text: &[u8] = if wide.is_nan() {
            b"\"NaN\""
        } else if wide == f64::INFINITY {
            b"\"Infinity\""
        } else if wide == f64::NEG_INFINITY {
            b"\"-Infinity\""
        } else {
            // Writing to a Vec cannot fail.
            let _ = serde_json::to_writer(out, &value);
            return;
        };
        out.extend_from_slice(text);
    }
}

struct Base64<F>(F);

impl<'a, F: Fn(usize) -> &'a [u8]> Encoder for Base64<F> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let text = BASE64_STANDARD.encode((self.0)(row));
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array,
        Int64Array, ListArray, StringArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::Int32Type;

    use super::*;

    fn rows(fields: Vec<(&str, ArrayRef)>) -> String {
        let batch = RecordBatch::try_from_iter(fields).unwrap();
        let mut out = b"[".to_vec();
        let columns = columns_of(batch.schema_ref());
        append_rows(&mut out, &batch, &columns, usize::MAX).unwrap();
        String::from_utf8(out).unwrap() + "]"
    }

    #[test]
    fn every_type_keeps_what_it_says() {
        let decimal = Decimal128Array::from(vec![Some(12_345_678_901_234_567_890_123_450), None])
            .with_precision_and_scale(38, 2)
            .unwrap();
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
            Some(vec![Some(1), None]),
            None,
        ]);
        let text = rows(vec![
            ("decimal", Arc::new(decimal)),
            (
                "long",
                Arc::new(Int64Array::from(vec![Some(i64::MAX), None])),
            ),
            ("double", Arc::new(Float64Array::from(vec![0.1, f64::NAN]))),
            ("text", Arc::new(StringArray::from(vec!["a\"b\n", "ü"]))),
            ("flag", Arc::new(BooleanArray::from(vec![true, false]))),
            (
                "bytes",
                Arc::new(BinaryArray::from_vec(vec![b"\x00\xff", b""])),
            ),
            ("day", Arc::new(Date32Array::from(vec![20_000, -1]))),
            (
                "at",
                Arc::new(TimestampMicrosecondArray::from(vec![
                    1_700_000_000_123_456,
                    0,
                ])),
            ),
            (
                "at_tz",
                Arc::new(
                    TimestampMicrosecondArray::from(vec![1_700_000_000_123_456, 0])
                        .with_timezone("+00:00"),
                ),
            ),
            ("list", Arc::new(list)),
        ]);
        expect_test::expect![[r#"[{"decimal":"123456789012345678901234.50","long":9223372036854775807,"double":0.1,"text":"a\"b\n","flag":true,"bytes":"AP8=","day":"2024-10-04","at":"2023-11-14T22:13:20.123456","at_tz":"2023-11-14T22:13:20.123456Z","list":[1,null]},{"decimal":null,"long":null,"double":"NaN","text":"ü","flag":false,"bytes":"","day":"1969-12-31","at":"1970-01-01T00:00:00","at_tz":"1970-01-01T00:00:00Z","list":null}]"#]]
        .assert_eq(&text);
        let _: serde_json::Value = serde_json::from_str(&text).unwrap();
    }

    #[test]
    fn columns_of_one_name_stay_apart() {
        let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let fields = ["id", "id", "id_1"]
            .map(|name| arrow::datatypes::Field::new(name, DataType::Int64, true));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let columns = columns_of(&schema);
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "id_1", "id_1_1"]);
        let batch = RecordBatch::try_new(schema, vec![one.clone(), one.clone(), one]).unwrap();
        let mut out = b"[".to_vec();
        append_rows(&mut out, &batch, &columns, usize::MAX).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"[{"id":1,"id_1":1,"id_1_1":1}"#
        );
    }

    #[test]
    fn writing_stops_at_the_bound() {
        let batch = RecordBatch::try_from_iter([(
            "n",
            Arc::new(Int64Array::from((0..1000).collect::<Vec<i64>>())) as ArrayRef,
        )])
        .unwrap();
        let mut out = b"[".to_vec();
        let columns = columns_of(batch.schema_ref());
        let written = append_rows(&mut out, &batch, &columns, 100).unwrap();
        assert!(written < 20, "{written}");
        assert!(out.len() < 120);
    }

    #[test]
    fn types_have_the_names_of_sql() {
        let nested = DataType::Struct(
            vec![arrow::datatypes::Field::new_list(
                "l",
                arrow::datatypes::Field::new_list_field(DataType::Decimal128(12, 2), true),
                true,
            )]
            .into(),
        );
        assert_eq!(type_name(&nested), "STRUCT<l ARRAY<DECIMAL(12, 2)>>");
        assert_eq!(type_name(&DataType::Utf8View), "VARCHAR");
    }
}
