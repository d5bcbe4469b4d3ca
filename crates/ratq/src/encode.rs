//! Record batches to pieces of one Arrow IPC stream.
//!
//! A piece holds whole IPC messages and, unless a single row is larger, at most [`MESSAGE_SIZE`]
//! bytes, which is what gRPC clients accept by default. Views and dictionaries are written as the
//! plain types that they stand for: a slice of a view array would carry all of its buffers, and a
//! dictionary would tie batches to each other.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;

use crate::Error;

/// Largest piece that more than one row may make.
pub const MESSAGE_SIZE: usize = 4 << 20;
/// Largest row.
pub const LARGEST_ROW: usize = 32 << 20;
/// gRPC adds the fields of the message around the piece.
const ENVELOPE: usize = 64;

/// Writes one stream.
pub struct Encoder {
    writer: StreamWriter<Vec<u8>>,
    schema: SchemaRef,
    is_plain: bool,
}

impl Encoder {
    /// Begins a stream of batches with `schema`; the first piece is the schema.
    ///
    /// # Errors
    /// [`Error::Encode`] where Arrow IPC has no form for the schema.
    pub fn new(schema: &SchemaRef) -> Result<(Self, Vec<u8>), Error> {
        let plain = Arc::new(Schema::new(plain_fields(schema.fields())));
        let is_plain = plain.fields() == schema.fields();
        let writer = StreamWriter::try_new(Vec::new(), &plain).map_err(Error::Encode)?;
        let mut encoder = Self {
            writer,
            schema: plain,
            is_plain,
        };
        let head = encoder.take();
        Ok((encoder, head))
    }

    /// The pieces that hold the rows of `batch`.
    ///
    /// # Errors
    /// [`Error::RowTooLarge`], or [`Error::Encode`] where a value cannot be written.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<Vec<u8>>, Error> {
        let mut pieces = Vec::new();
        let mut open = vec![batch.clone()];
        while let Some(batch) = open.pop() {
            let rows = batch.num_rows();
            self.writer
                .write(&self.plain(&batch)?)
                .map_err(Error::Encode)?;
            let piece = self.take();
            if piece.len() + ENVELOPE <= MESSAGE_SIZE {
                pieces.push(piece);
            } else if rows > 1 {
                // Written for nothing, but a batch does not depend on those before it.
                let half = rows / 2;
                open.push(batch.slice(half, rows - half));
                open.push(batch.slice(0, half));
            } else if piece.len() <= LARGEST_ROW {
                pieces.push(piece);
            } else {
                return Err(Error::RowTooLarge { bytes: piece.len() });
            }
        }
        Ok(pieces)
    }

    /// An empty batch, for a result without rows: readers then know its columns.
    ///
    /// # Errors
    /// As [`Encoder::batch`].
    pub fn no_rows(&mut self) -> Result<Vec<u8>, Error> {
        let batch = RecordBatch::new_empty(Arc::clone(&self.schema));
        self.writer.write(&batch).map_err(Error::Encode)?;
        Ok(self.take())
    }

    /// Ends the stream; the last piece.
    ///
    /// # Errors
    /// As [`Encoder::batch`].
    pub fn finish(mut self) -> Result<Vec<u8>, Error> {
        self.writer.finish().map_err(Error::Encode)?;
        Ok(self.take())
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.get_mut())
    }

    fn plain(&self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        if self.is_plain {
            return Ok(batch.clone());
        }
        let columns: Vec<ArrayRef> = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(
                |(column, field)| match column.data_type() == field.data_type() {
                    true => Ok(Arc::clone(column)),
                    false => cast(column, field.data_type()),
                },
            )
            .collect::<Result<_, _>>()
            .map_err(Error::Encode)?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(Error::Encode)
    }
}

fn plain_fields(fields: &Fields) -> Fields {
    fields.iter().map(plain_field).collect()
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let plain = plain_type(field.data_type());
    match plain == *field.data_type() {
        true => Arc::clone(field),
        false => Arc::new(Field::new(field.name(), plain, field.is_nullable())),
    }
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(item) => DataType::List(plain_field(item)),
        DataType::LargeList(item) => DataType::LargeList(plain_field(item)),
        DataType::FixedSizeList(item, length) => {
            DataType::FixedSizeList(plain_field(item), *length)
        }
        DataType::Struct(fields) => DataType::Struct(plain_fields(fields)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{DictionaryArray, Int64Array, StringArray, StringViewArray};
    use arrow::datatypes::Int32Type;
    use arrow::ipc::reader::StreamReader;

    fn read(pieces: &[Vec<u8>]) -> Vec<RecordBatch> {
        let stream: Vec<u8> = pieces.concat();
        StreamReader::try_new(stream.as_slice(), None)
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    fn encode(batch: &RecordBatch) -> Result<Vec<Vec<u8>>, Error> {
        let (mut encoder, head) = Encoder::new(&batch.schema())?;
        let mut pieces = vec![head];
        pieces.extend(encoder.batch(batch)?);
        pieces.push(encoder.finish()?);
        Ok(pieces)
    }

    fn one_column(column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([("a", column)]).unwrap()
    }

    #[test]
    fn a_large_batch_is_split_in_order_and_no_piece_is_too_large() {
        let rows: Vec<String> = (0..3000).map(|n| format!("{n:05}").repeat(2000)).collect();
        let batch = one_column(Arc::new(StringArray::from_iter_values(&rows)));
        let pieces = encode(&batch).unwrap();
        assert!(pieces.len() > 8);
        assert!(
            pieces
                .iter()
                .all(|piece| piece.len() + ENVELOPE <= MESSAGE_SIZE)
        );
        let read: Vec<String> = read(&pieces)
            .iter()
            .flat_map(|batch| {
                let column = batch
                    .column(0)
                    .as_any()
                    .downcast_ref::<StringArray>()
                    .unwrap();
                column
                    .iter()
                    .map(|text| text.unwrap().to_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(read, rows);
    }

    #[test]
    fn a_slice_of_a_view_carries_only_its_own_text() {
        let all: Vec<String> = (0..1000).map(|n| format!("{n}").repeat(1000)).collect();
        let view = StringViewArray::from_iter_values(&all);
        let batch = one_column(Arc::new(view)).slice(500, 1);
        let pieces = encode(&batch).unwrap();
        assert!(pieces.concat().len() < 8192, "{}", pieces.concat().len());
        assert_eq!(
            read(&pieces)[0].schema().field(0).data_type(),
            &DataType::Utf8
        );
    }

    #[test]
    fn dictionaries_become_their_values() {
        let column: DictionaryArray<Int32Type> = ["x", "y", "x"].into_iter().collect();
        let batches = read(&encode(&one_column(Arc::new(column))).unwrap());
        let column = batches[0]
            .column(0)
            .as_any()
            .downcast_ref::<StringArray>()
            .unwrap();
        assert_eq!(column, &StringArray::from(vec!["x", "y", "x"]));
    }

    #[test]
    fn a_row_beyond_the_limit_is_refused_and_a_merely_large_one_is_not() {
        let text = |bytes: usize| one_column(Arc::new(StringArray::from(vec!["x".repeat(bytes)])));
        assert_eq!(read(&encode(&text(5 << 20)).unwrap())[0].num_rows(), 1);
        let error = encode(&text(LARGEST_ROW + 1)).unwrap_err();
        assert!(matches!(error, Error::RowTooLarge { .. }), "{error}");
    }

    #[test]
    fn a_result_without_columns_keeps_its_rows_and_one_without_rows_its_columns() {
        let options = RecordBatchOptions::new().with_row_count(Some(3));
        let schema = Arc::new(Schema::empty());
        let batch = RecordBatch::try_new_with_options(schema, vec![], &options).unwrap();
        assert_eq!(read(&encode(&batch).unwrap())[0].num_rows(), 3);

        let empty = one_column(Arc::new(Int64Array::from(Vec::<i64>::new())));
        let (mut encoder, head) = Encoder::new(&empty.schema()).unwrap();
        let rows = encoder.no_rows().unwrap();
        let batches = read(&[head, rows, encoder.finish().unwrap()]);
        assert_eq!((batches[0].num_rows(), batches[0].num_columns()), (0, 1));
    }
}
