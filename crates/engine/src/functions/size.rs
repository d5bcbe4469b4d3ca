//! How large the values of an array are.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, OffsetSizeTrait};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{ByteArrayType, DataType};
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;

/// Bytes that a value takes beside its content: an offset or a view.
const OVERHEAD: u64 = 16;

/// An argument of a call, asked about row by row.
pub(crate) struct Argument {
    array: ArrayRef,
    scalar: bool,
    sizes: Vec<u64>,
    numbers: Option<Int64Array>,
}

impl Argument {
    pub(crate) fn new(value: &ColumnarValue) -> Result<Self> {
        let scalar = matches!(value, ColumnarValue::Scalar(_));
        let array = match value {
            ColumnarValue::Array(array) => ArrayRef::clone(array),
            ColumnarValue::Scalar(value) => value.to_array_of_size(1)?,
        };
        let numbers = if array.data_type().is_integer() {
            let cast = cast_with_options(&array, &DataType::Int64, &CastOptions::default())?;
            Some(cast.as_primitive().clone())
        } else {
            None
        };
        Ok(Self {
            scalar,
            sizes: sizes(&array),
            numbers,
            array,
        })
    }

    /// Whether all rows have the same value.
    pub(crate) fn is_scalar(&self) -> bool {
        self.scalar
    }

    pub(crate) fn array(&self) -> &ArrayRef {
        &self.array
    }

    /// Where in the array the value of a row is.
    pub(crate) fn index(&self, row: usize) -> usize {
        if self.scalar { 0 } else { row }
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.array.is_null(self.index(row))
    }

    /// Bytes of a row's value.
    pub(crate) fn bytes(&self, row: usize) -> u64 {
        self.sizes.get(self.index(row)).copied().unwrap_or(0)
    }

    /// A row's number; nothing for NULL and for what is no number.
    pub(crate) fn number(&self, row: usize) -> Option<i64> {
        let numbers = self.numbers.as_ref()?;
        let index = self.index(row);
        numbers.is_valid(index).then(|| numbers.value(index))
    }

    /// A row's number as a count of something.
    pub(crate) fn count(&self, row: usize) -> u64 {
        self.number(row)
            .and_then(|number| u64::try_from(number).ok())
            .unwrap_or(0)
    }

    /// A row's text; nothing for NULL and for what is no text.
    pub(crate) fn text(&self, row: usize) -> Option<&str> {
        let index = self.index(row);
        if self.array.is_null(index) {
            return None;
        }
        match self.array.data_type() {
            DataType::Utf8 => Some(self.array.as_string::<i32>().value(index)),
            DataType::LargeUtf8 => Some(self.array.as_string::<i64>().value(index)),
            DataType::Utf8View => Some(self.array.as_string_view().value(index)),
            _ => None,
        }
    }

    /// Elements of a row's list, or 1 where it is no list.
    pub(crate) fn elements(&self, row: usize) -> u64 {
        let index = self.index(row);
        if self.array.is_null(index) {
            return 0;
        }
        let length = match self.array.data_type() {
            DataType::List(_) => self.array.as_list::<i32>().value_length(index) as usize,
            DataType::LargeList(_) => self.array.as_list::<i64>().value_length(index) as usize,
            DataType::FixedSizeList(_, length) => *length as usize,
            DataType::Map(..) => self.array.as_map().value_length(index) as usize,
            _ => 1,
        };
        length as u64
    }

    /// Values at the bottom of a row's list of lists.
    pub(crate) fn leaves(&self, row: usize) -> u64 {
        let row = self.array.slice(self.index(row), 1);
        leaves(&row)
    }
}

fn leaves(array: &ArrayRef) -> u64 {
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (start, end) = ends(list.value_offsets());
            leaves(&list.values().slice(start, end - start))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let (start, end) = ends(list.value_offsets());
            leaves(&list.values().slice(start, end - start))
        }
        DataType::FixedSizeList(..) => leaves(array.as_fixed_size_list().values()),
        _ => array.len() as u64,
    }
}

fn ends<O: OffsetSizeTrait>(offsets: &[O]) -> (usize, usize) {
    match offsets {
        [first, .., last] => (first.as_usize(), last.as_usize()),
        _ => (0, 0),
    }
}

/// Bytes of each value.
fn sizes(array: &ArrayRef) -> Vec<u64> {
    match array.data_type() {
        DataType::Utf8 => of_bytes(array.as_string::<i32>()),
        DataType::LargeUtf8 => of_bytes(array.as_string::<i64>()),
        DataType::Binary => of_bytes(array.as_binary::<i32>()),
        DataType::LargeBinary => of_bytes(array.as_binary::<i64>()),
        DataType::Utf8View => of_views(array.as_string_view().views()),
        DataType::BinaryView => of_views(array.as_binary_view().views()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            of_lists(list.values(), list.value_offsets())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            of_lists(list.values(), list.value_offsets())
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            of_lists(&entries, map.value_offsets())
        }
        DataType::Struct(_) => {
            let mut total = vec![OVERHEAD; array.len()];
            for column in array.as_struct().columns() {
                for (total, size) in total.iter_mut().zip(sizes(column)) {
                    *total = total.saturating_add(size);
                }
            }
            total
        }
        other => {
            let width = match other.primitive_width() {
                Some(width) => width as u64,
                None => average(array),
            };
            vec![width; array.len()]
        }
    }
}

fn average(array: &ArrayRef) -> u64 {
    if array.is_empty() {
        return 0;
    }
    (array.get_array_memory_size() / array.len()) as u64
}

fn of_bytes<T: ByteArrayType>(array: &arrow::array::GenericByteArray<T>) -> Vec<u64> {
    lengths(array.value_offsets())
        .map(|length| length + OVERHEAD)
        .collect()
}

fn lengths<O: OffsetSizeTrait>(offsets: &[O]) -> impl Iterator<Item = u64> {
    offsets
        .iter()
        .zip(offsets.iter().skip(1))
        .map(|(start, end)| (end.as_usize() - start.as_usize()) as u64)
}

/// A view's lower half is the length of what it shows.
fn of_views(views: &[u128]) -> Vec<u64> {
    views
        .iter()
        .map(|view| u64::from(*view as u32) + OVERHEAD)
        .collect()
}

fn of_lists<O: OffsetSizeTrait>(values: &ArrayRef, offsets: &[O]) -> Vec<u64> {
    let mut before = Vec::with_capacity(values.len() + 1);
    let mut total = 0_u64;
    before.push(total);
    for size in sizes(values) {
        total = total.saturating_add(size);
        before.push(total);
    }
    let at = |offset: &O| before.get(offset.as_usize()).copied().unwrap_or(total);
    offsets
        .iter()
        .zip(offsets.iter().skip(1))
        .map(|(start, end)| at(end).saturating_sub(at(start)) + OVERHEAD)
        .collect()
}
