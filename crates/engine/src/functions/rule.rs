//! How large the result of a function is, from its arguments.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, TimeUnit};
use datafusion::common::{Result, exec_err};

use super::size::Argument;

/// Bytes of a number written as text, of its separator and of what belongs to a value of a list.
const ELEMENT: u64 = 40;
const NANOS_PER_DAY: u64 = 86_400_000_000_000;

/// What makes the result large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Rule {
    /// All arguments, one after the other.
    Sum,
    /// The first, as often as the second says.
    Times,
    /// As many characters as the second says.
    Pad,
    /// The numbers or times from the first to the second, in steps of the third.
    Series,
    /// As many elements as the second says, with the third for those that were missing.
    Resize,
    /// All elements of the first as text, with the second between them.
    Join,
    /// The first, cut at every second.
    Split,
    /// The third in the place of every second in the first.
    Replace,
    /// The third in the place of every match of the second in the first.
    ReplaceMatches,
    /// The third in the place of elements of the first that are the second.
    ReplaceElements,
    /// As many rows as the longest has, with all of them beside each other.
    Zip,
    /// Two characters for every byte.
    Encode,
    /// One time for each.
    Time,
}

impl Rule {
    /// The rule of a function whose result may be larger than its arguments.
    pub(super) fn of(function: &str) -> Option<Self> {
        Some(match function {
            "concat" | "concat_ws" | "overlay" | "make_array" | "array_append"
            | "array_prepend" | "array_concat" | "array_union" | "array_replace"
            | "named_struct" | "struct" | "map" => Self::Sum,
            "repeat" | "array_repeat" => Self::Times,
            "lpad" | "rpad" => Self::Pad,
            "range" | "generate_series" => Self::Series,
            "array_resize" => Self::Resize,
            "array_to_string" => Self::Join,
            "string_to_array" => Self::Split,
            "replace" => Self::Replace,
            "regexp_replace" => Self::ReplaceMatches,
            "array_replace_n" | "array_replace_all" => Self::ReplaceElements,
            "arrays_zip" => Self::Zip,
            "encode" => Self::Encode,
            "date_trunc" | "date_bin" => Self::Time,
            _ => return None,
        })
    }

    /// At least as many bytes as the value of `row` has.
    pub(super) fn bytes(self, given: &[Argument], row: usize) -> Result<u64> {
        let size = |index: usize| given.get(index).map_or(0, |argument| argument.bytes(row));
        let count = |index: usize| given.get(index).map_or(0, |argument| argument.count(row));
        let elements = |index: usize| {
            given
                .get(index)
                .map_or(0, |argument| argument.elements(row))
        };
        let sum = || sum(given, row);
        Ok(match self {
            Self::Sum => sum(),
            Self::Times => times(given, row),
            Self::Pad => pad(given, row),
            Self::Series => return series(given, row),
            Self::Resize => count(1)
                .saturating_mul(size(2).max(8))
                .saturating_add(size(0)),
            Self::Join => {
                let leaves = given.first().map_or(0, |argument| argument.leaves(row));
                let each = ELEMENT + size(1) + size(2);
                leaves.saturating_mul(each).saturating_add(size(0))
            }
            Self::Split => split(given, row),
            Self::Replace => replace(given, row),
            Self::ReplaceMatches => replace_matches(given, row),
            Self::ReplaceElements => {
                let replaced = match given.get(3) {
                    Some(most) => elements(0).min(most.count(row)),
                    None => elements(0),
                };
                size(0).saturating_add(replaced.saturating_mul(size(2)))
            }
            Self::Zip => {
                let longest = (0..given.len()).map(elements).max().unwrap_or(0);
                let beside = (given.len() as u64).saturating_mul(8);
                longest.saturating_mul(beside).saturating_add(sum())
            }
            Self::Encode => size(0).saturating_mul(2),
            Self::Time => 8,
        })
    }
}

fn sum(given: &[Argument], row: usize) -> u64 {
    let sizes = given.iter().map(|argument| argument.bytes(row));
    sizes.fold(0, u64::saturating_add)
}

fn times(given: &[Argument], row: usize) -> u64 {
    let [value, times, ..] = given else { return 0 };
    let each = value
        .text(row)
        .map_or(value.bytes(row), |text| text.len() as u64);
    each.saturating_mul(times.count(row))
}

fn pad(given: &[Argument], row: usize) -> u64 {
    let [value, length, fill @ ..] = given else {
        return 0;
    };
    let widest = match fill.first() {
        Some(fill) => fill.text(row).map_or(0, widest),
        None => 1,
    };
    let padding = length.count(row).saturating_mul(widest);
    padding.saturating_add(value.bytes(row))
}

/// Bytes of the widest character.
fn widest(text: &str) -> u64 {
    text.chars().map(char::len_utf8).max().unwrap_or(0) as u64
}

fn split(given: &[Argument], row: usize) -> u64 {
    let [value, delimiter, ..] = given else {
        return 0;
    };
    let Some(text) = value.text(row) else {
        return 0;
    };
    let parts = match delimiter.text(row) {
        Some("") => 1,
        Some(delimiter) => text.matches(delimiter).count() + 1,
        None => text.len(),
    };
    (parts as u64)
        .saturating_mul(16)
        .saturating_add(value.bytes(row))
}

fn replace(given: &[Argument], row: usize) -> u64 {
    let [value, from, to] = given else { return 0 };
    let (Some(text), Some(from), Some(to)) = (value.text(row), from.text(row), to.text(row)) else {
        return 0;
    };
    let grows = to.len().saturating_sub(from.len()) as u64;
    let matches = if grows == 0 {
        0
    } else {
        text.matches(from).count() as u64
    };
    matches
        .saturating_mul(to.len() as u64)
        .saturating_add(value.bytes(row))
}

fn replace_matches(given: &[Argument], row: usize) -> u64 {
    let [value, _, replacement, flags @ ..] = given else {
        return 0;
    };
    let (Some(text), Some(replacement)) = (value.text(row), replacement.text(row)) else {
        return 0;
    };
    let everywhere = flags
        .first()
        .and_then(|flags| flags.text(row))
        .is_some_and(|flags| flags.contains('g'));
    let length = text.len() as u64;
    let matches = if everywhere { length + 1 } else { 1 };
    // Matches do not overlap: each mention of a group is worth at most the whole text.
    let mentions = replacement.matches(['\\', '$']).count() as u64;
    matches
        .saturating_mul(replacement.len() as u64)
        .saturating_add(mentions.saturating_add(1).saturating_mul(length))
}

fn series(given: &[Argument], row: usize) -> Result<u64> {
    if given.iter().any(|argument| argument.is_null(row)) {
        return Ok(0);
    }
    let (start, stop, step) = match given {
        [stop] => (None, stop, None),
        [start, stop] => (Some(start), stop, None),
        [start, stop, step] => (Some(start), stop, Some(step)),
        _ => return Ok(0),
    };
    if let Some(stop) = stop.number(row) {
        let start = start.and_then(|start| start.number(row)).unwrap_or(0);
        let step = step.and_then(|step| step.number(row)).unwrap_or(1);
        if (stop < start) != (step < 0) {
            return Ok(0);
        }
        let steps = stop.abs_diff(start) / step.unsigned_abs().max(1);
        return Ok(steps.saturating_add(1).saturating_mul(8));
    }
    let (Some(start), Some(step)) = (start, step) else {
        return Ok(0);
    };
    let step = step_nanos(step, row)?;
    let distance = nanos(stop, row)?.abs_diff(nanos(start, row)?);
    let steps = u64::try_from(distance / u128::from(step.max(1))).unwrap_or(u64::MAX);
    Ok(steps.saturating_add(1).saturating_mul(8))
}

/// The shortest time that an interval may stand for.
fn step_nanos(step: &Argument, row: usize) -> Result<u64> {
    let interval = DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano);
    let array = cast(step.array(), &interval)?;
    let value = array
        .as_primitive::<IntervalMonthDayNanoType>()
        .value(step.index(row));
    let signs = [
        i64::from(value.months).signum(),
        i64::from(value.days).signum(),
        value.nanoseconds.signum(),
    ];
    if signs.contains(&1) && signs.contains(&-1) {
        return exec_err!("a step must not go forwards and backwards at the same time");
    }
    // A day has 23 hours when the clocks are put forward.
    let days = u64::from(value.months.unsigned_abs()) * 28 + u64::from(value.days.unsigned_abs());
    Ok(days
        .saturating_mul(NANOS_PER_DAY / 24 * 23)
        .saturating_add(value.nanoseconds.unsigned_abs()))
}

fn nanos(time: &Argument, row: usize) -> Result<i128> {
    let value = time.array().slice(time.index(row), 1);
    Ok(match value.data_type() {
        DataType::Date32 => {
            let days = cast(&value, &DataType::Int32)?;
            let days = cast(&days, &DataType::Int64)?;
            i128::from(days.as_primitive::<Int64Type>().value(0)) * i128::from(NANOS_PER_DAY)
        }
        DataType::Timestamp(unit, _) => {
            let scale = match unit {
                TimeUnit::Second => 1_000_000_000,
                TimeUnit::Millisecond => 1_000_000,
                TimeUnit::Microsecond => 1000,
                TimeUnit::Nanosecond => 1,
            };
            let ticks = cast(&value, &DataType::Int64)?;
            i128::from(ticks.as_primitive::<Int64Type>().value(0)) * scale
        }
        other => return exec_err!("a series cannot be made of {other}"),
    })
}
