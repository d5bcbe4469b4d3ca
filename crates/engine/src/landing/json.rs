//! JSON files: one object a line, or one array of objects.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use arrow::json::reader::infer_json_schema;

use crate::landing::columns::{storable, widen};
use crate::landing::lines;
use crate::landing::source::SourceFile;
use crate::landing::table::{Sink, TextFile, TextTable};
use crate::{Error, LandingFileError};

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
    let columns = match &options.columns {
        Some(columns) => columns.clone(),
        None => infer(&opened, options.sample)?,
    };
    let fields: Vec<Field> = columns
        .into_iter()
        .map(|(n, t)| Field::new(n, t, true))
        .collect();
    Ok(TextTable::new(
        Arc::new(Schema::new(fields)),
        opened,
        partitions,
    ))
}

fn infer(files: &[JsonFile], sample: usize) -> Result<Vec<(String, DataType)>, LandingFileError> {
    let mut columns: Vec<(String, DataType)> = Vec::new();
    for file in files {
        let (schema, _) = infer_json_schema(file.text()?, Some(sample))
            .map_err(|error| file.invalid(&error, None))?;
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
    /// One object a line.
    fn text(&self) -> Result<Box<dyn BufRead + Send>, LandingFileError> {
        let text = lines::open(&self.file)?;
        Ok(if self.array {
            Box::new(BufReader::new(Elements::new(text)))
        } else {
            text
        })
    }

    fn builder(&self, schema: &SchemaRef) -> ReaderBuilder {
        ReaderBuilder::new(Arc::clone(schema))
            .with_coerce_primitive(true)
            .with_strict_mode(self.strict)
    }

    /// The decoder tells no position: decode line by line until it fails again.
    fn invalid(&self, error: &ArrowError, schema: Option<&SchemaRef>) -> LandingFileError {
        let message = plain(error);
        let Ok(text) = self.text() else {
            return self.file.error(None, message);
        };
        let empty = Arc::new(Schema::empty());
        let builder = self
            .builder(schema.unwrap_or(&empty))
            .with_strict_mode(false);
        let Ok(mut decoder) = builder.with_batch_size(1).build_decoder() else {
            return self.file.error(None, message);
        };
        for (number, line) in (1..).zip(text.split(b'\n')) {
            let Ok(line) = line else { break };
            let decoded = decoder.decode(&line).and_then(|_| {
                if decoder.has_partial_record() {
                    return Err(ArrowError::JsonError("the object does not end".to_owned()));
                }
                decoder.flush()
            });
            if let Err(error) = decoded {
                let message = plain(&error);
                if self.array {
                    let message = format!("element {number} of the array: {message}");
                    return self.file.error(None, message);
                }
                return self.file.error(Some(number), message);
            }
        }
        self.file.error(None, message)
    }
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
        let reader = self
            .builder(schema)
            .with_batch_size(batch_size)
            .build(self.text()?)
            .map_err(|error| self.invalid(&error, Some(schema)))?;
        for batch in reader {
            let batch = batch.map_err(|error| self.invalid(&error, Some(schema)))?;
            let batch = batch
                .project(projection)
                .map_err(|error| self.invalid(&error, Some(schema)))?;
            if !sink(batch) {
                break;
            }
        }
        Ok(())
    }
}

/// Turns `[{…}, {…}]` into one element a line, without holding more than a buffer of it.
struct Elements<R> {
    text: R,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl<R: BufRead> Elements<R> {
    fn new(text: R) -> Self {
        Self {
            text,
            depth: 0,
            in_string: false,
            escaped: false,
        }
    }

    fn translate(&mut self, byte: u8) -> u8 {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return byte;
        }
        match byte {
            b'"' => self.in_string = true,
            b'[' | b'{' => {
                self.depth += 1;
                if self.depth == 1 {
                    return b' ';
                }
            }
            b']' | b'}' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    return b' ';
                }
            }
            b',' if self.depth == 1 => return b'\n',
            b'\n' | b'\r' => return b' ',
            _ => {}
        }
        byte
    }
}

impl<R: BufRead> Read for Elements<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(out)?;
        for byte in &mut out[..count] {
            *byte = self.translate(*byte);
        }
        Ok(count)
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
        );
        assert!(error.unwrap_err().contains('x'));
    }
}
