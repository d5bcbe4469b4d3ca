//! Names of types as SQL writes them.

use arrow::datatypes::{DataType, TimeUnit};

/// The name that a person would write in a `CAST`.
pub(crate) fn sql_name(data_type: &DataType) -> String {
    use DataType as A;
    let name = match data_type {
        A::Boolean => "BOOLEAN",
        A::Int8 => "TINYINT",
        A::Int16 => "SMALLINT",
        A::Int32 => "INTEGER",
        A::Int64 => "BIGINT",
        A::UInt8 => "UTINYINT",
        A::UInt16 => "USMALLINT",
        A::UInt32 => "UINTEGER",
        A::UInt64 => "UBIGINT",
        A::Float16 | A::Float32 => "FLOAT",
        A::Float64 => "DOUBLE",
        A::Utf8 | A::LargeUtf8 | A::Utf8View => "VARCHAR",
        A::Binary | A::LargeBinary | A::BinaryView | A::FixedSizeBinary(_) => "BLOB",
        A::Date32 | A::Date64 => "DATE",
        A::Time32(_) | A::Time64(_) => "TIME",
        A::Interval(_) | A::Duration(_) => "INTERVAL",
        A::Null => "NULL",
        A::Timestamp(unit, zone) => return timestamp(*unit, zone.is_some()),
        A::Decimal32(precision, scale)
        | A::Decimal64(precision, scale)
        | A::Decimal128(precision, scale)
        | A::Decimal256(precision, scale) => return format!("DECIMAL({precision}, {scale})"),
        A::List(item)
        | A::LargeList(item)
        | A::ListView(item)
        | A::LargeListView(item)
        | A::FixedSizeList(item, _) => return format!("{}[]", sql_name(item.data_type())),
        A::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| format!("{} {}", field.name(), sql_name(field.data_type())));
            return format!("STRUCT({})", fields.collect::<Vec<_>>().join(", "));
        }
        A::Dictionary(_, value) => return sql_name(value),
        other => return other.to_string(),
    };
    name.to_owned()
}

fn timestamp(unit: TimeUnit, zone: bool) -> String {
    match (zone, unit) {
        (true, _) => "TIMESTAMPTZ",
        (false, TimeUnit::Nanosecond) => "TIMESTAMP_NS",
        (false, _) => "TIMESTAMP",
    }
    .to_owned()
}
