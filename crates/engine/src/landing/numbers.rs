//! Numbers from text, without losing any of it.
//!
//! Arrow's readers cut off what does not fit: the fraction of a number that goes into an integer
//! column, decimal places beyond the scale, and an exponent that is too large becomes infinity.
//! The columns concerned are therefore read as text, and become numbers here or not at all. A
//! value is never rounded to a decimal: whoever wants that writes a cast in the SQL.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, FixedSizeListArray, ListArray, MapArray,
    PrimitiveArray, StructArray,
};
use arrow::compute::kernels::cast_utils::{Parser, parse_decimal};
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, DecimalType, Field, FieldRef, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};

/// Digits before the decimal point of the largest decimal.
const MOST_DIGITS: i64 = 76;

/// A value that is not what its column holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// From 0, in the array.
    pub(super) row: usize,
    pub(super) message: String,
}

/// As what a column of `data_type` is read: the numbers in it as text.
pub(super) fn as_text(data_type: &DataType) -> DataType {
    let field = |field: &FieldRef| -> FieldRef {
        let data_type = as_text(field.data_type());
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::List(item) => DataType::List(field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        number if number.is_integer() || is_fraction(number) => DataType::Utf8,
        other => other.clone(),
    }
}

/// Whether Arrow's CSV reader, which reads integers as they should be, would lose something.
pub(super) fn is_fraction(data_type: &DataType) -> bool {
    use DataType::{Decimal128, Decimal256, Float32, Float64};
    matches!(
        data_type,
        Decimal128(..) | Decimal256(..) | Float32 | Float64
    )
}

/// The column `field` from what was read [`as_text`].
pub(super) fn from_text(array: &ArrayRef, field: &Field) -> Result<ArrayRef, Misfit> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    match field.data_type() {
        DataType::Int8 => integers::<Int8Type>(array, field),
        DataType::Int16 => integers::<Int16Type>(array, field),
        DataType::Int32 => integers::<Int32Type>(array, field),
        DataType::Int64 => integers::<Int64Type>(array, field),
        DataType::UInt8 => integers::<UInt8Type>(array, field),
        DataType::UInt16 => integers::<UInt16Type>(array, field),
        DataType::UInt32 => integers::<UInt32Type>(array, field),
        DataType::UInt64 => integers::<UInt64Type>(array, field),
        DataType::Float32 => floats::<Float32Type>(array, field, f32::is_infinite),
        DataType::Float64 => floats::<Float64Type>(array, field, f64::is_infinite),
        DataType::Decimal128(precision, scale) => {
            decimals::<Decimal128Type>(array, field, *precision, *scale)
        }
        DataType::Decimal256(precision, scale) => {
            decimals::<Decimal256Type>(array, field, *precision, *scale)
        }
        _ => nested(array, field),
    }
}

fn nested(array: &ArrayRef, field: &Field) -> Result<ArrayRef, Misfit> {
    let nulls = array.nulls().cloned();
    let built: Result<ArrayRef, _> = match field.data_type() {
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter().zip(fields);
            let columns = columns.map(|(column, field)| from_text(column, field));
            let columns = columns.collect::<Result<_, _>>()?;
            StructArray::try_new_with_length(fields.clone(), columns, nulls, array.len())
                .map(|array| Arc::new(array) as _)
        }
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let values = inner(list.values(), item)?;
            ListArray::try_new(Arc::clone(item), list.offsets().clone(), values, nulls)
                .map(|array| Arc::new(array) as _)
        }
        DataType::FixedSizeList(item, size) => {
            let values = inner(array.as_fixed_size_list().values(), item)?;
            FixedSizeListArray::try_new(Arc::clone(item), *size, values, nulls)
                .map(|array| Arc::new(array) as _)
        }
        DataType::Map(entries, sorted) => {
            let map = array.as_map();
            let read: ArrayRef = Arc::new(map.entries().clone());
            let values = inner(&read, entries)?.as_struct().clone();
            let offsets = map.offsets().clone();
            MapArray::try_new(Arc::clone(entries), offsets, values, nulls, *sorted)
                .map(|array| Arc::new(array) as _)
        }
        _ => return Ok(Arc::clone(array)),
    };
    built.map_err(|error| Misfit {
        row: 0,
        message: error.to_string(),
    })
}

/// Items of a list have rows of their own, which mean nothing outside.
fn inner(array: &ArrayRef, field: &Field) -> Result<ArrayRef, Misfit> {
    from_text(array, field).map_err(|misfit| Misfit { row: 0, ..misfit })
}

fn integers<T: ArrowPrimitiveType>(array: &ArrayRef, field: &Field) -> Result<ArrayRef, Misfit>
where
    T::Native: TryFrom<i128>,
{
    convert::<T>(array, field, |text| {
        let value = match text.parse::<i64>() {
            Ok(value) => i128::from(value),
            // 5.0 and 1e3 are integers as well.
            Err(_) => plain(text, 0)?.parse().map_err(|_| Problem::TooLarge)?,
        };
        T::Native::try_from(value).map_err(|_| Problem::TooLarge)
    })
}

fn floats<T: ArrowPrimitiveType + Parser>(
    array: &ArrayRef,
    field: &Field,
    is_infinite: impl Fn(T::Native) -> bool,
) -> Result<ArrayRef, Misfit> {
    convert::<T>(array, field, |text| {
        let value = T::parse(text).ok_or(Problem::NotANumber)?;
        if is_infinite(value) && text.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err(Problem::TooLarge);
        }
        Ok(value)
    })
}

fn decimals<T: DecimalType>(
    array: &ArrayRef,
    field: &Field,
    precision: u8,
    scale: i8,
) -> Result<ArrayRef, Misfit> {
    let places = usize::try_from(scale).unwrap_or(0);
    convert::<T>(array, field, |text| {
        let text = fitting(text, places)?;
        parse_decimal::<T>(&text, precision, scale).map_err(|_| Problem::TooLarge)
    })
}

enum Problem {
    NotANumber,
    TooPrecise,
    TooLarge,
}

fn convert<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    field: &Field,
    parse: impl Fn(&str) -> Result<T::Native, Problem>,
) -> Result<ArrayRef, Misfit> {
    let mut builder = PrimitiveArray::<T>::builder(array.len());
    for (row, text) in array.as_string::<i32>().iter().enumerate() {
        let Some(text) = text else {
            builder.append_null();
            continue;
        };
        let value = parse(text).map_err(|problem| misfit(row, text, field, &problem))?;
        builder.append_value(value);
    }
    let array = builder.finish().with_data_type(field.data_type().clone());
    Ok(Arc::new(array))
}

fn misfit(row: usize, text: &str, field: &Field, problem: &Problem) -> Misfit {
    let problem = match (problem, field.data_type()) {
        (Problem::NotANumber, _) => "is not a number",
        (Problem::TooPrecise, data_type) if data_type.is_integer() => "is not a whole number",
        (Problem::TooPrecise, _) => "has more decimal places than the column",
        (Problem::TooLarge, _) => "is too large for the column",
    };
    let text: String = text.chars().take(80).collect();
    let (name, data_type) = (field.name(), field.data_type());
    Misfit {
        row,
        message: format!("value {text:?} for column {name:?} of type {data_type} {problem}"),
    }
}

/// `text` as Arrow parses it without cutting anything off.
fn fitting(text: &str, places: usize) -> Result<Cow<'_, str>, Problem> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let short = unsigned.len() <= 40 && !fraction.is_empty() && fraction.len() <= places.max(1);
    let cut = fraction.len() > places && fraction != "0";
    if short && !cut && digits(whole) && digits(fraction) && !unsigned.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    plain(text, places).map(Cow::Owned)
}

/// The number without exponent and superfluous zeros, if it has at most `places` decimal places.
fn plain(text: &str, places: usize) -> Result<String, Problem> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all = format!("{whole}{fraction}");
    let exponent_digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    for digits in [all.as_str(), exponent_digits] {
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Problem::NotANumber);
        }
    }
    let significant = all.trim_start_matches('0');
    let leading = all.len() - significant.len();
    let significant = significant.trim_end_matches('0');
    if significant.is_empty() {
        return Ok("0".to_owned());
    }
    let exponent: i32 = match exponent.parse() {
        Ok(exponent) => exponent,
        Err(_) if exponent.starts_with('-') => return Err(Problem::TooPrecise),
        Err(_) => return Err(Problem::TooLarge),
    };
    // The value is 0.{significant} times ten to the power of `point`.
    let point = as_i64(whole.len()) - as_i64(leading) + i64::from(exponent);
    let count = as_i64(significant.len());
    if count - point > as_i64(places) {
        return Err(Problem::TooPrecise);
    }
    if point > MOST_DIGITS {
        return Err(Problem::TooLarge);
    }
    let sign = if mantissa.starts_with('-') { "-" } else { "" };
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    Ok(match usize::try_from(point) {
        Ok(point) if point < significant.len() && point > 0 => {
            let (whole, fraction) = significant.split_at(point);
            format!("{sign}{whole}.{fraction}")
        }
        Ok(1..) => format!("{sign}{significant}{}", zeros(point - count)),
        _ => format!("{sign}0.{}{significant}", zeros(-point)),
    })
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;
    use arrow::util::display::array_value_to_string;

    use super::*;

    fn parse(text: &str, data_type: &DataType) -> Result<String, String> {
        let array: ArrayRef = Arc::new(StringArray::from(vec![None, Some(text)]));
        let field = Field::new("n", data_type.clone(), true);
        let array = from_text(&array, &field).map_err(|misfit| {
            assert_eq!(misfit.row, 1);
            misfit.message
        })?;
        assert!(array.is_null(0));
        Ok(array_value_to_string(&array, 1).unwrap())
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        let money = DataType::Decimal128(10, 2);
        for (text, expected) in [
            ("1.23", "1.23"),
            ("-1.2", "-1.20"),
            ("+7", "7.00"),
            (".5", "0.50"),
            ("5.", "5.00"),
            ("1.2300", "1.23"),
            ("0", "0.00"),
            ("0.00000", "0.00"),
            ("123e-2", "1.23"),
            ("-1.5e3", "-1500.00"),
            ("5e-2", "0.05"),
            ("0e999999999999", "0.00"),
            ("00000000000000000000000000000000000000000000001", "1.00"),
            ("99999999.99", "99999999.99"),
        ] {
            assert_eq!(parse(text, &money).as_deref(), Ok(expected), "{text}");
        }
        for text in ["1.239", "1e-3", "0.001", "1e-99999999999"] {
            let message = parse(text, &money).unwrap_err();
            assert!(message.ends_with("more decimal places than the column"));
        }
        for text in ["100000000", "1e400", "1e99999999999", &"9".repeat(300)] {
            assert!(parse(text, &money).unwrap_err().contains("too large"));
        }
        for text in ["", "-", ".", "-.", "1e", "e1", "1.2.3", "x", "1 ", "--1"] {
            let message = parse(text, &money).unwrap_err();
            assert!(message.ends_with("is not a number"), "{text:?}: {message}");
        }
        let whole = DataType::Decimal128(5, 0);
        assert_eq!(parse("5.0", &whole).as_deref(), Ok("5"));
        assert!(parse("5.1", &whole).is_err());
    }

    #[test]
    fn integers_are_whole_or_refused() {
        for (text, expected) in [("5", "5"), ("5.0", "5"), ("1e3", "1000"), ("-0.0", "0")] {
            assert_eq!(
                parse(text, &DataType::Int64).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
        for text in ["1.5", "1e-1"] {
            let message = parse(text, &DataType::Int64).unwrap_err();
            assert!(message.ends_with("is not a whole number"), "{message}");
        }
        assert!(parse("128", &DataType::Int8).is_err());
        assert!(parse("-1", &DataType::UInt8).is_err());
        assert!(parse("9223372036854775808", &DataType::Int64).is_err());
        assert_eq!(
            parse("18446744073709551615", &DataType::UInt64).as_deref(),
            Ok("18446744073709551615")
        );
    }

    #[test]
    fn floats_are_finite_unless_infinity_is_written() {
        assert_eq!(parse("1.5e3", &DataType::Float64).as_deref(), Ok("1500.0"));
        assert_eq!(parse("inf", &DataType::Float64).as_deref(), Ok("inf"));
        assert!(parse("1e400", &DataType::Float64).is_err());
        assert!(parse("1e40", &DataType::Float32).is_err());
        assert!(parse("x", &DataType::Float64).is_err());
    }
}
