//! One type for the columns of that name in all files.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Fields, TimeUnit};

/// The type that holds the values of both without changing any; `None` where there is none.
pub(super) fn promote(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{
        Binary, BinaryView, Decimal128, Float16, Float32, Float64, LargeBinary, LargeUtf8, List,
        Struct, Timestamp, Utf8, Utf8View,
    };
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (Float16 | Float32 | Float64, Float16 | Float32 | Float64) => {
            let width = a.primitive_width().max(b.primitive_width());
            Some(if width == Some(8) { Float64 } else { Float32 })
        }
        (Decimal128(p, s), Decimal128(q, t)) if *s >= 0 && *t >= 0 => {
            let whole = (i16::from(*p) - i16::from(*s)).max(i16::from(*q) - i16::from(*t));
            let scale = *s.max(t);
            let precision = u8::try_from(whole + i16::from(scale)).ok()?;
            (precision <= DECIMAL128_MAX_PRECISION).then_some(Decimal128(precision, scale))
        }
        (Timestamp(unit, zone), Timestamp(other, same)) if zone == same => {
            Some(Timestamp(finer(*unit, *other), zone.clone()))
        }
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => Some(LargeUtf8),
        (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView) => Some(LargeBinary),
        (List(a), List(b)) => {
            let item = promote(a.data_type(), b.data_type())?;
            Some(List(Arc::new(Field::new(a.name(), item, true))))
        }
        (Struct(a), Struct(b)) => promote_fields(a, b).map(Struct),
        (a, b) => integer(a, b),
    }
}

fn finer(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    let digits = |unit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    if digits(a) >= digits(b) { a } else { b }
}

/// The fields of both in the order of the first, if they have the same names.
fn promote_fields(a: &Fields, b: &Fields) -> Option<Fields> {
    if a.len() != b.len() {
        return None;
    }
    a.iter()
        .map(|field| {
            let (_, other) = b.find(field.name())?;
            let data_type = promote(field.data_type(), other.data_type())?;
            Some(Field::new(field.name(), data_type, true))
        })
        .collect()
}

/// The smallest type of integers that holds both; a sign takes one bit of the next larger type.
fn integer(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    if !a.is_integer() || !b.is_integer() {
        return None;
    }
    let width = |data_type: &DataType| data_type.primitive_width().unwrap_or(usize::MAX);
    let signed = a.is_signed_integer() || b.is_signed_integer();
    let needed = |data_type: &DataType| match signed && data_type.is_unsigned_integer() {
        true => width(data_type).saturating_mul(2),
        false => width(data_type),
    };
    match (needed(a).max(needed(b)), signed) {
        (1, true) => Some(Int8),
        (2, true) => Some(Int16),
        (4, true) => Some(Int32),
        (8, true) => Some(Int64),
        (1, false) => Some(UInt8),
        (2, false) => Some(UInt16),
        (4, false) => Some(UInt32),
        (8, false) => Some(UInt64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_widen_where_no_value_changes() {
        use DataType::{
            Boolean, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8,
            UInt8, UInt32, UInt64, Utf8,
        };
        let time = |unit| DataType::Timestamp(unit, None);
        let list = |item| DataType::List(Arc::new(Field::new("item", item, true)));
        for (a, b, expected) in [
            (Int32, Int64, Some(Int64)),
            (Int8, Int16, Some(Int16)),
            (UInt8, Int8, Some(Int16)),
            (UInt32, Int32, Some(Int64)),
            (UInt32, UInt64, Some(UInt64)),
            (UInt64, Int64, None),
            (Float32, Float64, Some(Float64)),
            (Int32, Float64, None),
            (
                Decimal128(10, 2),
                Decimal128(12, 2),
                Some(Decimal128(12, 2)),
            ),
            (
                Decimal128(10, 2),
                Decimal128(10, 4),
                Some(Decimal128(12, 4)),
            ),
            (Decimal128(38, 0), Decimal128(38, 10), None),
            (
                time(TimeUnit::Millisecond),
                time(TimeUnit::Nanosecond),
                Some(time(TimeUnit::Nanosecond)),
            ),
            (
                time(TimeUnit::Second),
                DataType::Timestamp(TimeUnit::Second, Some("UTC".into())),
                None,
            ),
            (Utf8, LargeUtf8, Some(LargeUtf8)),
            (list(Int32), list(Int64), Some(list(Int64))),
            (Utf8, Int32, None),
            (Boolean, Int8, None),
            (Date32, time(TimeUnit::Second), None),
        ] {
            assert_eq!(promote(&a, &b), expected, "{a} {b}");
            assert_eq!(promote(&b, &a), expected, "{b} {a}");
        }
    }
}
