//! What the functions of a statement make, on account.
//!
//! A call says how large its result is before it makes it, but a statement may have thousands of
//! calls, all of whose results are there at the same time. So results are counted until the last
//! of those who hold them lets go. They have a limit of their own: operators hold on to what they
//! are given until they spill, and must not keep functions from making what they wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array as _, ArrayData, make_array};
use arrow::buffer::Buffer;
use bytes::Bytes;
use datafusion::common::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::ColumnarValue;

use crate::constants::{MAX_CONSTANT_BYTES, MAX_TEXT_BYTES, ValueTooLarge};

/// Bytes of a result that is not worth counting.
const SMALL: usize = 128 << 10;

/// What one statement's functions make.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// Bytes of the constants that it has had computed.
    constants: Arc<AtomicU64>,
    results: Arc<dyn MemoryPool>,
}

impl Account {
    pub(super) fn new(results: Arc<dyn MemoryPool>) -> Self {
        Self {
            constants: Arc::default(),
            results,
        }
    }

    /// Counts a constant. Small ones are not: where a call is not computed once and for all, but
    /// for each batch, they would add up.
    pub(super) fn add_constant(&self, name: &str, bytes: u64) -> Result<()> {
        if bytes <= MAX_TEXT_BYTES as u64 {
            return Ok(());
        }
        let total = self.constants.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if total <= MAX_CONSTANT_BYTES as u64 {
            return Ok(());
        }
        let message = format!(
            "{name}() would make a constant of {bytes} bytes, and with it all constants of the \
             statement would take {total}; at most {MAX_CONSTANT_BYTES} are allowed"
        );
        Err(ValueTooLarge(message).into())
    }

    /// The same value, counted as long as somebody holds it.
    pub(super) fn keep(&self, name: &str, value: ColumnarValue) -> Result<ColumnarValue> {
        let ColumnarValue::Array(array) = value else {
            return Ok(value);
        };
        let bytes = array.get_buffer_memory_size();
        if bytes <= SMALL {
            return Ok(ColumnarValue::Array(array));
        }
        let reservation = MemoryConsumer::new(format!("{name}()")).register(&self.results);
        reservation.try_grow(bytes)?;
        let kept = keep_data(&array.to_data(), &Arc::new(reservation))?;
        Ok(ColumnarValue::Array(make_array(kept)))
    }
}

/// A buffer, and what lets go of its reservation when it is dropped.
struct Kept {
    buffer: Buffer,
    _reservation: Arc<MemoryReservation>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

fn keep_data(data: &ArrayData, reservation: &Arc<MemoryReservation>) -> Result<ArrayData> {
    let keep = |buffer: &Buffer| {
        Buffer::from(Bytes::from_owner(Kept {
            buffer: buffer.clone(),
            _reservation: Arc::clone(reservation),
        }))
    };
    let buffers = data.buffers().iter().map(keep).collect();
    let children = data.child_data().iter();
    let children = children.map(|child| keep_data(child, reservation));
    let kept = data
        .clone()
        .into_builder()
        .buffers(buffers)
        .child_data(children.collect::<Result<_>>()?);
    Ok(kept.build()?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray as _, StringArray, StringViewArray};
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    fn texts(rows: usize) -> Vec<String> {
        (0..rows).map(|row| format!("{row:0>1000}")).collect()
    }

    #[test]
    fn results_are_counted_until_nobody_holds_them() {
        let arrays: [ArrayRef; 2] = [
            Arc::new(StringArray::from(texts(600))),
            Arc::new(StringViewArray::from_iter_values(texts(600))),
        ];
        for array in arrays {
            let bytes = array.get_buffer_memory_size();
            let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(bytes + bytes / 2));
            let account = Account::new(Arc::clone(&pool));
            let value = ColumnarValue::Array(Arc::clone(&array));
            let ColumnarValue::Array(kept) = account.keep("f", value.clone()).unwrap() else {
                panic!("an array stays one");
            };
            assert_eq!(&kept, &array);
            assert!(pool.reserved() > 600_000, "{}", pool.reserved());
            assert!(account.keep("f", value).is_err(), "there is no more room");
            let part = kept.slice(3, 1);
            drop(kept);
            assert!(pool.reserved() > 600_000, "a part keeps the whole");
            drop(part);
            assert_eq!(pool.reserved(), 0);
        }
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(0));
        let account = Account::new(Arc::clone(&pool));
        let small: ArrayRef = Arc::new(StringArray::from(texts(3)));
        let value = account.keep("f", ColumnarValue::Array(small)).unwrap();
        let ColumnarValue::Array(small) = value else {
            panic!("an array stays one");
        };
        assert_eq!(small.as_string::<i32>().value(0).len(), 1000);
    }
}
