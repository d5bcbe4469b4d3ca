//! The records of a CSV file, batch by batch.
//!
//! A batch has as many records as the engine wants, but fewer where they are large: what a small
//! file decompresses to must not fill the memory.

use std::io::BufRead;

use arrow::array::RecordBatch;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Decoder;
use arrow::error::ArrowError;

use crate::landing::quotes::Quotes;

/// Bytes of text after which a batch ends with the record that is being read.
const ENOUGH: usize = 16 << 20;
/// Places that the decoder keeps for the fields of a batch.
const FIELDS: usize = 4 << 20;

/// How many records of `columns` fields a batch may have, at most `wanted`.
pub(super) fn records(columns: usize, wanted: usize) -> usize {
    (FIELDS / columns.max(1)).clamp(1, wanted.max(1))
}

/// Batches of the file that `text` is.
pub(super) struct Batches<R> {
    text: Quotes<R>,
    decoder: Decoder,
}

impl<R: BufRead> Batches<R> {
    pub(super) fn new(text: Quotes<R>, builder: ReaderBuilder) -> Self {
        Self {
            text,
            decoder: builder.build_decoder(),
        }
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let mut bytes = 0_usize;
        loop {
            let length = self.text.fill_buf()?.len();
            let whole = self.text.whole_records();
            let is_last = bytes > ENOUGH && whole > 0;
            let end = if is_last { whole } else { length };
            // Without bytes the decoder learns that the file has ended.
            let count = self.decoder.decode(&self.text.fill_buf()?[..end])?;
            self.text.consume(count);
            bytes += count;
            let ends = is_last && count == end;
            if ends || count == 0 || self.decoder.capacity() == 0 {
                return self.decoder.flush();
            }
        }
    }
}

impl<R: BufRead> Iterator for Batches<R> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
