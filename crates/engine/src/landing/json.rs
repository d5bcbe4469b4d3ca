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
            if let Err(message) = decode(&mut decoder, &line, schema) {
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
mod tests {
    use arrow::array::RecordBatch;
    use arrow::util::pretty::pretty_format_batches;
    use datafusion::catalog::TableProvider as _;
    use expect_test::expect;

    use super::*;

    fn read(files: &[(&str, &str)], options: &JsonOptions) -> Result<Vec<RecordBatch>, String> {
        let folder = tempfile::tempdir().unwrap();
        let sources = files.iter().map(|(name, text)| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            SourceFile::new((*name).to_owned(), path, text.len() as u64)
        });
        let table = open(sources.collect(), options, 1).map_err(|error| error.to_string())?;
        let all: Vec<usize> = (0..table.schema().fields().len()).collect();
        let mut batches = Vec::new();
        for file in table.files() {
            let mut sink = |batch| {
                batches.push(batch);
                true
            };
            file.read(&table.schema(), &all, 100, &mut sink)
                .map_err(|error| error.to_string())?;
        }
        Ok(batches)
    }

    fn columns(text: &[(&str, DataType)]) -> JsonOptions {
        let columns = text.iter().map(|(n, t)| ((*n).to_owned(), t.clone()));
        JsonOptions {
            sample: 1,
            columns: Some(columns.collect()),
        }
    }

    const INFER: JsonOptions = JsonOptions {
        sample: 100,
        columns: None,
    };

    #[test]
    fn lines_and_arrays_are_read_and_merged_by_name() {
        let batches = read(
            &[
                (
                    "a.json",
                    "{\"id\": 1, \"tags\": [\"x\", \"y\"]}\n{\"id\": 2.5}\n",
                ),
                (
                    "b.json",
                    "[\n  {\"id\": 3,\n   \"name\": \"a, [b] \\\" c\"}, {\"id\": 4}\n]",
                ),
            ],
            &INFER,
        );
        expect![[r#"
            +-----+--------+------------+
            | id  | tags   | name       |
            +-----+--------+------------+
            | 3.0 |        | a, [b] " c |
            | 4.0 |        |            |
            | 1.0 | [x, y] |            |
            | 2.5 |        |            |
            +-----+--------+------------+
        "#]]
        .assert_eq(&format!(
            "{}\n",
            pretty_format_batches(&batches.unwrap()).unwrap()
        ));
    }

    #[test]
    fn malformed_text_is_named_with_its_line() {
        let error = read(&[("a.json", "{\"id\": 1}\n{\"id\": \n")], &INFER).unwrap_err();
        assert!(error.starts_with("a.json, line 2: "), "{error}");
        let error = read(&[("a.json", "[{\"id\": 1}, {\"id\" 2}]")], &INFER).unwrap_err();
        assert!(
            error.starts_with("a.json: element 2 of the array: "),
            "{error}"
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_with_its_line() {
        let options = JsonOptions {
            sample: 1,
            columns: Some(vec![("id".to_owned(), DataType::Int64)]),
        };
        let error = read(&[("a.json", "{\"id\": 1}\n{\"id\": \"x\"}\n")], &options).unwrap_err();
        assert!(error.starts_with("a.json, line 2: "), "{error}");
    }

    #[test]
    fn a_field_that_the_sample_did_not_have_is_no_silent_loss() {
        let options = JsonOptions {
            sample: 1,
            columns: None,
        };
        let error = read(
            &[("a.json", "{\"id\": 1}\n{\"id\": 2, \"x\": 3}\n")],
            &options,
        )
        .unwrap_err();
        assert!(error.starts_with("a.json, line 2: "), "{error}");
        assert!(error.contains('x'), "{error}");
    }

    #[test]
    fn a_number_that_would_lose_digits_is_named_with_its_line() {
        let options = columns(&[
            ("n", DataType::Int64),
            ("price", DataType::Decimal128(10, 2)),
        ]);
        for (value, expected) in [
            (
                "\"n\": 1.9",
                "value \"1.9\" for column \"n\" of type Int64 is not a whole number",
            ),
            (
                "\"price\": 1.239",
                "value \"1.239\" for column \"price\" of type Decimal128(10, 2) has more decimal places than the column",
            ),
        ] {
            let text = format!("{{\"n\": 1}}\n\n{{\"n\":\n 2.0}}\n{{{value}}}\n");
            let error = read(&[("a.json", &text)], &options).unwrap_err();
            assert_eq!(error, format!("a.json, line 5: {expected}"));
        }
        let mut text = String::new();
        for row in 0..30_000 {
            text.push_str(&format!("{{\"n\": {row}}}\n"));
        }
        text.push_str("{\"n\": 1.5}\n");
        let error = read(&[("a.json", &text)], &INFER).unwrap_err();
        assert!(
            error.starts_with("a.json, line 30001: value \"1.5\""),
            "{error}"
        );
    }

    #[test]
    fn numbers_within_lists_and_objects_are_looked_at_too() {
        let text = "{\"a\": {\"b\": [1, null, 3]}, \"c\": null}\n{\"a\": null, \"c\": [1.5]}\n";
        let batches = read(&[("a.json", text)], &INFER).unwrap();
        expect![[r#"
            +---------------+-------+
            | a             | c     |
            +---------------+-------+
            | {b: [1, , 3]} |       |
            |               | [1.5] |
            +---------------+-------+
        "#]]
        .assert_eq(&format!("{}\n", pretty_format_batches(&batches).unwrap()));
        let options = JsonOptions { sample: 1, ..INFER };
        let text = "{\"a\": {\"b\": [1]}}\n{\"a\": {\"b\": [1, 2.5]}}\n";
        let error = read(&[("a.json", text)], &options).unwrap_err();
        assert!(
            error.starts_with("a.json, line 2: value \"2.5\""),
            "{error}"
        );
    }

    #[test]
    fn an_array_that_is_cut_off_is_refused() {
        for text in [
            "[{\"id\":1},\n{\"id\":2}",
            "[{\"id\":1},\n]",
            "[\n{\"id\":1}}",
        ] {
            let error = read(&[("a.json", text)], &INFER).unwrap_err();
            assert!(error.starts_with("a.json, line 2: "), "{error}");
        }
    }

    #[test]
    fn a_file_without_objects_is_named() {
        for text in ["", "[]", " \n"] {
            let error = read(&[("a.json", text)], &INFER).unwrap_err();
            assert!(error.starts_with("a.json: "), "{error}");
            let options = columns(&[("id", DataType::Int64)]);
            assert_eq!(read(&[("a.json", text)], &options).unwrap().len(), 0);
        }
    }
}
