//! Filters, tests and functions of templates, each with a bound on what it makes.
//!
//! The list is closed: what the template engine offers beyond it either makes more of a value
//! than was there (`format`, `indent`, `batch`), nests values without end (`groupby`, `zip`) or
//! can panic (`divisibleby`).

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, filters, tests};

use super::{MAX_TEXT_BYTES, invalid};

/// What the values handed to a filter, and the one it makes, may weigh; see [`weigh`].
const MAX_VALUE: usize = 1 << 20;
/// What all values may weigh that the filters of one rendering make.
const MAX_MADE: usize = 16 << 20;
/// What all values may weigh that the filters of one rendering are given.
const MAX_READ: usize = 512 << 20;
/// Numbers that a `range` may have.
const MAX_RANGE: usize = 10_000;
/// What a value weighs beside its text.
const WEIGHT: usize = 32;

/// Names that are always there and no functions.
pub(super) const TEXTS: [&str; 2] = ["run_started_at", "this"];
/// Functions that ask for the merge strategy.
pub(super) const STRATEGIES: [&str; 5] = [
    "is_append_only",
    "is_delete_insert",
    "is_incremental",
    "is_scd2",
    "is_snapshot",
];
/// All functions.
pub(super) const FUNCTIONS: [&str; 8] = [
    "is_append_only",
    "is_delete_insert",
    "is_incremental",
    "is_scd2",
    "is_snapshot",
    "landing_zone",
    "range",
    "ref",
];
/// Filters whose result can be longer than their input by more than a constant factor.
pub(super) const GROWING: [&str; 3] = ["join", "replace", "string"];
/// Filters that the template engine has but templates have not.
pub(super) const ABSENT: [&str; 15] = [
    "attr",
    "batch",
    "chain",
    "format",
    "groupby",
    "indent",
    "map",
    "reject",
    "rejectattr",
    "select",
    "selectattr",
    "slice",
    "sum",
    "tojson",
    "zip",
];

type Callables = BTreeMap<&'static str, Value>;

/// All filters.
pub(super) static FILTERS: LazyLock<Callables> = LazyLock::new(|| {
    BTreeMap::from([
        ("abs", Value::from_function(filters::abs)),
        ("bool", Value::from_function(filters::bool)),
        ("capitalize", Value::from_function(filters::capitalize)),
        ("count", Value::from_function(filters::length)),
        ("d", Value::from_function(filters::default)),
        ("default", Value::from_function(filters::default)),
        ("dictsort", Value::from_function(filters::dictsort)),
        ("first", Value::from_function(filters::first)),
        ("float", Value::from_function(filters::float)),
        ("int", Value::from_function(filters::int)),
        ("items", Value::from_function(filters::items)),
        ("join", Value::from_function(join)),
        ("last", Value::from_function(filters::last)),
        ("length", Value::from_function(filters::length)),
        ("list", Value::from_function(filters::list)),
        ("lower", Value::from_function(filters::lower)),
        ("max", Value::from_function(filters::max)),
        ("min", Value::from_function(filters::min)),
        ("replace", Value::from_function(replace)),
        ("reverse", Value::from_function(filters::reverse)),
        ("round", Value::from_function(filters::round)),
        ("sort", Value::from_function(filters::sort)),
        ("split", Value::from_function(filters::split)),
        ("string", Value::from_function(string)),
        ("title", Value::from_function(filters::title)),
        ("trim", Value::from_function(filters::trim)),
        ("unique", Value::from_function(filters::unique)),
        ("upper", Value::from_function(filters::upper)),
    ])
});

/// All tests. Those that compare are left out, there are operators for it.
pub(super) static TESTS: LazyLock<Callables> = LazyLock::new(|| {
    BTreeMap::from([
        ("boolean", Value::from_function(tests::is_boolean)),
        ("defined", Value::from_function(tests::is_defined)),
        ("endingwith", Value::from_function(ends_with)),
        ("even", Value::from_function(tests::is_even)),
        ("false", Value::from_function(tests::is_false)),
        ("float", Value::from_function(tests::is_float)),
        ("integer", Value::from_function(tests::is_integer)),
        ("iterable", Value::from_function(tests::is_iterable)),
        ("mapping", Value::from_function(tests::is_mapping)),
        ("none", Value::from_function(tests::is_none)),
        ("number", Value::from_function(tests::is_number)),
        ("odd", Value::from_function(tests::is_odd)),
        ("sequence", Value::from_function(tests::is_sequence)),
        ("startingwith", Value::from_function(starts_with)),
        ("string", Value::from_function(tests::is_string)),
        ("true", Value::from_function(tests::is_true)),
        ("undefined", Value::from_function(tests::is_undefined)),
    ])
});

/// Adds [`FILTERS`], [`TESTS`] and `range`.
pub(super) fn add(env: &mut Environment<'_>) {
    let budget = Arc::new(Budget {
        read: AtomicUsize::new(MAX_READ),
        made: AtomicUsize::new(MAX_MADE),
    });
    for (name, filter) in FILTERS.iter() {
        let budget = Arc::clone(&budget);
        env.add_filter(
            *name,
            move |state: &mut State, args: Rest<ValueOrKwargs>| {
                apply(name, filter, state, &args.into_values(), &budget)
            },
        );
    }
    for (name, test) in TESTS.iter() {
        env.add_test(
            *name,
            move |state: &mut State, args: Rest<ValueOrKwargs>| {
                test.call(state, &args.into_values())
            },
        );
    }
    env.add_function("range", range);
}

/// What is left for the filters of one rendering.
struct Budget {
    read: AtomicUsize,
    made: AtomicUsize,
}

fn spend(left: &AtomicUsize, weight: usize) -> Result<(), Error> {
    let spend = |left: usize| left.checked_sub(weight);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend)
        .map(|_| ())
        .map_err(|_| invalid("the filters handle more values than one rendering may have"))
}

fn apply(
    name: &str,
    filter: &Value,
    state: &mut State,
    args: &[Value],
    budget: &Budget,
) -> Result<Value, Error> {
    let too_large = || invalid(format!("`{name}`: the value is too large"));
    let mut room = MAX_VALUE;
    for arg in args {
        room = weigh(arg, room).ok_or_else(too_large)?;
    }
    spend(&budget.read, MAX_VALUE - room)?;
    let mut made = filter.call(state, args)?;
    let room = weigh(&made, MAX_VALUE).ok_or_else(too_large)?;
    spend(&budget.made, MAX_VALUE - room)?;
    if made.kind() == ValueKind::Iterable {
        // It may be a view of another value, which may be a view itself, and so on.
        made = made.try_iter()?.collect();
    }
    Ok(made)
}

/// What is left of `room` with `value` and all that is in it; `None` when it is too little, or
/// when there is a text in it that is too long.
fn weigh(value: &Value, room: usize) -> Option<usize> {
    let text = value.as_str().map_or(0, str::len);
    if text > MAX_TEXT_BYTES {
        return None;
    }
    let mut room = room.checked_sub(WEIGHT + text)?;
    let map = value.kind() == ValueKind::Map;
    if map || matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        for item in value.try_iter().ok()? {
            room = weigh(&item, room)?;
            if map && let Ok(entry) = value.get_item(&item) {
                room = weigh(&entry, room)?;
            }
        }
    }
    Some(room)
}

/// A text that refuses to become too long.
#[derive(Default)]
struct Text(String);

impl fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.0.len() + part.len() > MAX_TEXT_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(part);
        Ok(())
    }
}

fn too_long(_: fmt::Error) -> Error {
    invalid(format!(
        "a text within a tag may have at most {MAX_TEXT_BYTES} bytes"
    ))
}

fn ends_with(text: &str, end: &str) -> bool {
    text.ends_with(end)
}

fn starts_with(text: &str, start: &str) -> bool {
    text.starts_with(start)
}

fn join(items: &Value, separator: Option<&str>) -> Result<String, Error> {
    let mut text = Text::default();
    for (position, item) in items.try_iter()?.enumerate() {
        if position > 0 {
            text.write_str(separator.unwrap_or_default())
                .map_err(too_long)?;
        }
        write!(text, "{item}").map_err(too_long)?;
    }
    Ok(text.0)
}

fn string(value: &Value) -> Result<String, Error> {
    let mut text = Text::default();
    write!(text, "{value}").map_err(too_long)?;
    Ok(text.0)
}

fn replace(value: &str, from: &str, to: &str) -> Result<String, Error> {
    let mut text = Text::default();
    let mut rest = 0;
    for (at, found) in value.match_indices(from) {
        text.write_str(&value[rest..at]).map_err(too_long)?;
        text.write_str(to).map_err(too_long)?;
        rest = at + found.len();
    }
    text.write_str(&value[rest..]).map_err(too_long)?;
    Ok(text.0)
}

fn range(first: i64, second: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
    let (start, end) = second.map_or((0, first), |second| (first, second));
    let step = step.unwrap_or(1);
    let distance = i128::from(end) - i128::from(start);
    if step == 0 {
        return Err(invalid("range: the step cannot be 0"));
    }
    let wide = i128::from(step);
    let count = if (distance > 0) == (step > 0) {
        (distance.abs() + wide.abs() - 1) / wide.abs()
    } else {
        0
    };
    let count = usize::try_from(count)
        .ok()
        .filter(|count| *count <= MAX_RANGE)
        .ok_or_else(|| invalid(format!("range: more than {MAX_RANGE} numbers")))?;
    // Every number lies between start and end, so that none of them overflows.
    Ok(Value::make_iterable(move || {
        (0..count).map(move |n| i64::try_from(i128::from(start) + wide * n as i128).unwrap_or(end))
    }))
}
