//! JSON files: one object a line, or one array of objects.

mod sample;

use std::io::{BufRead, BufReader};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use arrow::json::reader::Decoder;
use memchr::memrchr;

use crate::landing::columns::{storable, widen};
use crate::landing::elements::Elements;
use crate::landing::lines;
use crate::landing::numbers;
use crate::landing::source::SourceFile;
use crate::landing::table::{Sampled, Sink, TextFile, TextTable};
use crate::{Error, LandingFileError};

const BUFFER: usize = 128 * 1024;
/// Objects that tell how large they are.
const SIZED: usize = 100;
/// Bytes of text after which a batch ends with the object that is being read.
const ENOUGH: usize = 16 << 20;

/// How to read JSON.
#[derive(Debug, Clone)]
pub(super) struct JsonOptions {
    pub(super) sample: usize,
    /// The columns that are wanted; nothing is inferred, and others are ignored.
    pub(super) columns: Option<Vec<(String, DataType)>>,
}

/// One file.
#[derive(Debug)]
pub(super) struct JsonFile {
    file: SourceFile,
    /// An array, rather than one object a line.
    array: bool,
    /// A field that is no column is an error.
    strict: bool,
}

/// A table over `files`: the columns of all of them, NULL where a file has none of that name.
pub(super) fn open(
    files: Vec<SourceFile>,
    options: &JsonOptions,
    partitions: usize,
) -> Result<TextTable<JsonFile>, Error> {
    let strict = options.columns.is_none();
    let mut opened = Vec::with_capacity(files.len());
    for file in files {
        let array = is_array(&file)?;
        opened.push(JsonFile {
            file,
            array,
            strict,
        });
    }
    let mut sampled = Sampled::default();
    let columns = match &options.columns {
        Some(columns) => {
            if let Some(first) = opened.first() {
                // What is wrong with it is told when it is read.
                sampled = first.look_at(SIZED).map_or(sampled, |(_, found)| found);
            }
            columns.clone()
        }
        None => infer(&opened, options.sample, &mut sampled)?,
    };
    let fields: Vec<Field> = columns
        .into_iter()
        .map(|(n, t)| Field::new(n, t, true))
        .collect();
    Ok(TextTable::new(
        Arc::new(Schema::new(fields)),
        opened,
        partitions,
        sampled,
    ))
}

fn infer(
    files: &[JsonFile],
    sample: usize,
    sampled: &mut Sampled,
) -> Result<Vec<(String, DataType)>, LandingFileError> {
    let mut columns: Vec<(String, DataType)> = Vec::new();
    for file in files {
        let (schema, records) = file.look_at(sample)?;
        *sampled += records;
        for field in schema.fields() {
            match columns.iter_mut().find(|(name, _)| name == field.name()) {
                None => columns.push((field.name().clone(), field.data_type().clone())),
                Some((name, known)) => {
                    *known = widen(known, field.data_type()).ok_or_else(|| {
                        let found = field.data_type();
                        let message = format!(
                            "field {name:?} looks like {found} here and like {known} in another file, declare the columns with columns => {{…}}"
                        );
                        file.file.error(None, message)
                    })?;
                }
            }
        }
    }
    if let (Some(first), true) = (files.first(), columns.is_empty()) {
        let message = "there is no object to infer columns from, declare them with columns => {…}";
        return Err(first.file.error(None, message));
    }
    Ok(columns
        .into_iter()
        .map(|(name, found)| (name, storable(&found)))
        .collect())
}

fn is_array(file: &SourceFile) -> Result<bool, LandingFileError> {
    let mut text = lines::open(file)?;
    loop {
        let buffer = text.fill_buf().map_err(|error| lines::io(file, &error))?;
        if buffer.is_empty() {
            return Ok(false);
        }
        if let Some(first) = buffer.iter().find(|byte| !byte.is_ascii_whitespace()) {
            return Ok(*first == b'[');
        }
        let length = buffer.len();
        text.consume(length);
    }
}

impl JsonFile {
    /// One object after the other; those of an array one a line.
    fn text(&self) -> Result<Box<dyn BufRead + Send>, LandingFileError> {
        let text = lines::open(&self.file)?;
        let elements = Elements::new(text, &self.file, self.array);
        Ok(Box::new(BufReader::with_capacity(BUFFER, elements)))
    }

    /// The columns of the first `sample` objects.
    fn look_at(&self, sample: usize) -> Result<(Schema, Sampled), LandingFileError> {
        sample::infer(self.text()?, sample).map_err(|error| self.invalid(plain(&error), None))
    }

    /// Numbers are decoded as text, so that they can be looked at.
    fn builder(&self, schema: &Schema) -> ReaderBuilder {
        let fields = schema.fields().iter().map(|field| {
            let data_type = numbers::as_text(field.data_type());
            Field::new(field.name(), data_type, true)
        });
        ReaderBuilder::new(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
            .with_coerce_primitive(true)
            .with_strict_mode(self.strict)
    }

    /// The decoder tells no position: decode object by object until it fails again.
    fn invalid(&self, message: String, schema: Option<&SchemaRef>) -> LandingFileError {
        // What has been found out already is known better than by trying again.
        let known = self.file.error(None, message);
        let (Ok(text), false) = (self.text(), self.file.is_faulty()) else {
            return known;
        };
        let empty = Arc::new(Schema::empty());
        let is_sample = schema.is_none();
        let strict = self.strict && schema.is_some();
        let schema = schema.unwrap_or(&empty);
        let builder = self.builder(schema).with_strict_mode(strict);
        let Ok(mut decoder) = builder.with_batch_size(1).build_decoder() else {
            return known;
        };
        let mut start = None;
        for (number, line) in (1..).zip(text.split(b'\n')) {
            let Ok(mut line) = line else { break };
            line.push(b'\n');
            let first = *start.get_or_insert(number);
            let read = decode(&mut decoder, &line, schema).and_then(|()| match is_sample {
                true => check(&line),
                false => Ok(()),
            });
            if let Err(message) = read {
                if self.array {
                    let message = format!("element {number} of the array: {message}");
                    return self.file.error(None, message);
                }
                return self.file.error(Some(first), message);
            }
            if !decoder.has_partial_record() {
                start = None;
            }
        }
        self.file.error(None, known.message)
    }
}

/// The next batch; it has fewer objects where they are large, so that what a small file
/// decompresses to does not fill the memory.
fn next(text: &mut impl BufRead, decoder: &mut Decoder) -> Result<Option<RecordBatch>, ArrowError> {
    let mut bytes = 0;
    loop {
        let buffer = text.fill_buf()?;
        if buffer.is_empty() {
            return decoder.flush();
        }
        let line = match bytes > ENOUGH {
            true => memrchr(b'\n', buffer).map(|at| at + 1),
            false => None,
        };
        let end = line.unwrap_or(buffer.len());
        let count = decoder.decode(&buffer[..end])?;
        text.consume(count);
        bytes += count;
        let ends = line.is_some() && !decoder.has_partial_record();
        if count < end || ends {
            return decoder.flush();
        }
    }
}

/// All objects that end in `line`.
fn decode(decoder: &mut Decoder, mut line: &[u8], schema: &Schema) -> Result<(), String> {
    while !line.is_empty() {
        let count = decoder.decode(line).map_err(|error| plain(&error))?;
        line = &line[count..];
        if decoder.has_partial_record() {
            continue;
        }
        if let Some(batch) = decoder.flush().map_err(|error| plain(&error))? {
            let all: Vec<usize> = (0..schema.fields().len()).collect();
            convert(&batch, schema, &all)?;
        } else if count == 0 {
            break;
        }
    }
    Ok(())
}

/// What the parser of the sample says of the object in `line`; the decoder lets some things pass.
fn check(line: &[u8]) -> Result<(), String> {
    let line = line.trim_ascii_end();
    if line.is_empty() {
        return Ok(());
    }
    let error = match serde_json::from_slice::<serde_json::Value>(line) {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let text = error.to_string();
    let told = text.split(" at line ").next().unwrap_or_default();
    let column = error.column();
    Err(format!("not valid JSON: {told} (column {column})"))
}

/// The columns `projection` of the table with `schema`.
fn convert(
    batch: &RecordBatch,
    schema: &Schema,
    projection: &[usize],
) -> Result<RecordBatch, String> {
    let columns = projection.iter().map(|place| {
        numbers::from_text(batch.column(*place), schema.field(*place))
            .map_err(|misfit| misfit.message)
    });
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
    let schema = schema.project(projection).map_err(|error| plain(&error))?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)
        .map_err(|error| plain(&error))
}

fn plain(error: &ArrowError) -> String {
    let message = error.to_string();
    let kinds = [
        "Json error: ",
        "Parser error: ",
        "Io error: ",
        "Schema error: ",
    ];
    let text = kinds
        .iter()
        .find_map(|kind| message.strip_prefix(kind))
        .unwrap_or(&message);
    let mut chars = text.chars().take(600);
    chars
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(chars)
        .collect()
}

impl TextFile for JsonFile {
    fn size(&self) -> u64 {
        self.file.size
    }

    fn read(
        &self,
        schema: &SchemaRef,
        projection: &[usize],
        batch_size: usize,
        sink: Sink<'_>,
    ) -> Result<(), LandingFileError> {
        // Unknown fields can only be told from known ones with all columns at hand.
        let invalid = |message| self.invalid(message, Some(schema));
        let decoder = self.builder(schema).with_batch_size(batch_size);
        let mut decoder = decoder
            .build_decoder()
            .map_err(|error| invalid(plain(&error)))?;
        let mut text = self.text()?;
        while let Some(batch) =
            next(&mut text, &mut decoder).map_err(|error| invalid(plain(&error)))?
        {
            let batch = convert(&batch, schema, projection).map_err(invalid)?;
            if !sink(batch) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
