//! `date_trunc()` and `date_bin()` of times far away.
//!
//! Both compute with 64 bits of nanoseconds, whatever the unit of the time, which reach from 1677
//! to 2262. A build without overflow checks answers wrongly beyond that, and 9999-12-31 is what
//! people write for "never ends". The calendar repeats itself every 400 years, weekdays included,
//! so `date_trunc()` is given a time some centuries nearer, and `date_bin()`, whose bins do not
//! repeat, says that it cannot.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

/// Seconds of 400 years.
const CYCLE: i64 = 146_097 * 86_400;
/// Seconds from 1970 within which nothing overflows, and some for what is rounded down.
const NEAR: i64 = 9_000_000_000;

/// Calls `function`.
pub(super) fn invoke(function: &ScalarUDF, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let name = function.name();
    let (true, Some(given)) = (matches!(name, "date_trunc" | "date_bin"), args.args.get(1)) else {
        return function.invoke_with_args(args);
    };
    let data_type = given.data_type();
    let DataType::Timestamp(unit, _) = &data_type else {
        return function.invoke_with_args(args);
    };
    let second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        // Of these, none is too far away.
        TimeUnit::Nanosecond => return function.invoke_with_args(args),
    };
    let (times, is_scalar) = match given {
        ColumnarValue::Array(times) => (Arc::clone(times), false),
        ColumnarValue::Scalar(time) => (time.to_array_of_size(1)?, true),
    };
    let near = -NEAR * second..NEAR * second;
    let times = cast(&times, &DataType::Int64)?;
    let times = times.as_primitive::<Int64Type>();
    if times.iter().flatten().all(|time| near.contains(&time)) {
        return function.invoke_with_args(args);
    }
    if name == "date_bin" {
        return exec_err!("date_bin() takes times from 1684 to 2255, and one is beyond them");
    }
    let nearer = nearer(times, CYCLE * second);
    let moved = cast(&nearer, &data_type)?;
    if let Some(given) = args.args.get_mut(1) {
        *given = ColumnarValue::Array(moved);
    }
    let made = function.invoke_with_args(args)?;
    let made = made.into_array(times.len())?;
    let made_type = made.data_type().clone();
    let made = cast(&made, &DataType::Int64)?;
    let made = moved_back(made.as_primitive::<Int64Type>(), times, &nearer)?;
    let made: ArrayRef = cast(&made, &made_type)?;
    Ok(match is_scalar {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
        false => ColumnarValue::Array(made),
    })
}

/// The times, each moved by whole cycles to within 200 years of 1970.
fn nearer(times: &Int64Array, cycle: i64) -> Int64Array {
    times.unary(|time| {
        let nearer = time.rem_euclid(cycle);
        match nearer >= cycle / 2 {
            true => nearer - cycle,
            false => nearer,
        }
    })
}

/// What was made of the `nearer` times, moved as far as they had been from `times`.
fn moved_back(made: &Int64Array, times: &Int64Array, nearer: &Int64Array) -> Result<Int64Array> {
    let moved = made.iter().zip(times).zip(nearer).map(|row| {
        let ((Some(made), Some(time)), Some(nearer)) = row else {
            return Ok(None);
        };
        match i64::try_from(i128::from(made) + i128::from(time) - i128::from(nearer)) {
            Ok(moved) => Ok(Some(moved)),
            Err(_) => exec_err!("date_trunc() would make a time before the first that there is"),
        }
    });
    moved.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_moved_by_whole_cycles_and_back() {
        let cycle = CYCLE * 1_000_000;
        let times = [
            0,
            1,
            -1,
            cycle / 2,
            i64::MAX,
            i64::MIN,
            253_402_214_400_000_000,
        ];
        let times = Int64Array::from(times.to_vec());
        let nearer = nearer(&times, cycle);
        for (time, nearer) in times.values().iter().zip(nearer.values()) {
            assert!((-cycle / 2..cycle / 2).contains(nearer), "{time}: {nearer}");
            let apart = i128::from(*time) - i128::from(*nearer);
            assert_eq!(apart % i128::from(cycle), 0, "{time}");
        }
        assert_eq!(moved_back(&nearer, &times, &nearer).unwrap(), times);
        let before = Int64Array::from(vec![nearer.value(5) - 1]);
        let first = Int64Array::from(vec![i64::MIN]);
        let moved = moved_back(&before, &first, &nearer.slice(5, 1));
        assert!(moved.is_err());
    }
}
