//! Names of types as SQL writes them.

use arrow::datatypes::{DataType, TimeUnit};

/// The name that the catalog and the API give a type; Arrow's own where SQL has none.
pub(crate) fn sql_name(data_type: &DataType) -> String {
    use DataType as A;
    let name = match data_type {
        A::Boolean => "BOOLEAN",
        A::Int8 | A::Int16 | A::Int32 | A::UInt8 | A::UInt16 => "INTEGER",
        A::Int64 | A::UInt32 | A::UInt64 => "BIGINT",
        A::Float16 | A::Float32 => "REAL",
        A::Float64 => "DOUBLE",
        A::Utf8 | A::LargeUtf8 | A::Utf8View => "VARCHAR",
        A::Binary | A::LargeBinary | A::BinaryView => "VARBINARY",
        A::Date32 | A::Date64 => "DATE",
        A::Time32(_) | A::Time64(_) => "TIME",
        A::Timestamp(TimeUnit::Nanosecond, None) => "TIMESTAMP(9)",
        A::Timestamp(_, None) => "TIMESTAMP",
        A::Timestamp(TimeUnit::Nanosecond, Some(_)) => "TIMESTAMP(9) WITH TIME ZONE",
        A::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        A::Decimal32(precision, scale)
        | A::Decimal64(precision, scale)
        | A::Decimal128(precision, scale)
        | A::Decimal256(precision, scale) => return format!("DECIMAL({precision}, {scale})"),
        A::FixedSizeBinary(length) => return format!("BINARY({length})"),
        A::Dictionary(_, values) => return sql_name(values),
        A::List(item)
        | A::LargeList(item)
        | A::ListView(item)
        | A::LargeListView(item)
        | A::FixedSizeList(item, _) => return format!("ARRAY<{}>", sql_name(item.data_type())),
        A::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| format!("{} {}", field.name(), sql_name(field.data_type())));
            return format!("STRUCT<{}>", fields.collect::<Vec<_>>().join(", "));
        }
        other => return other.to_string().to_uppercase(),
    };
    name.to_owned()
}
