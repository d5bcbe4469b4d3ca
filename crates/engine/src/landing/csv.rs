//! CSV files.
//!
//! A file's columns are known by the names in its header, not by their position: files with the
//! same columns in another order are read correctly, and files with other columns are refused
//! instead of being read into the wrong ones.

mod batches;
mod moments;

use std::collections::BTreeSet;
use std::io::BufRead;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use regex::Regex;

use batches::Batches;

use crate::landing::columns::{storable, widen};
use crate::landing::lines::{self, Division};
use crate::landing::numbers;
use crate::landing::quotes::Quotes;
use crate::landing::source::SourceFile;
use crate::landing::table::{Sampled, Sink, TextFile, TextTable};
use crate::{Error, LandingFileError};

/// Files of which types are inferred from a full sample; the sample of more is divided.
const FULL_SAMPLES: usize = 16;
/// Records that tell how large they are.
const SIZED: usize = 100;

/// How to read CSV.
#[derive(Debug, Clone, Default)]
pub(super) struct CsvOptions {
    pub(super) header: bool,
    /// By the file's extension where it is not given.
    pub(super) delimiter: Option<u8>,
    pub(super) escape: Option<u8>,
    pub(super) comment: Option<u8>,
    pub(super) null_regex: Option<Regex>,
    pub(super) all_text: bool,
    pub(super) union_by_name: bool,
    pub(super) sample: usize,
    /// All columns; nothing is inferred.
    pub(super) columns: Option<Vec<(String, DataType)>>,
    /// Types of some columns.
    pub(super) types: Vec<(String, DataType)>,
}

impl CsvOptions {
    fn delimiter(&self, file: &SourceFile) -> u8 {
        let by_extension = if lines::plain_name(file).ends_with(".tsv") {
            b'\t'
        } else {
            b','
        };
        self.delimiter.unwrap_or(by_extension)
    }

    fn format(&self, file: &SourceFile) -> Format {
        let mut format = Format::default()
            .with_header(self.header)
            .with_delimiter(self.delimiter(file));
        if let Some(escape) = self.escape {
            format = format.with_escape(escape);
        }
        if let Some(comment) = self.comment {
            format = format.with_comment(comment);
        }
        if let Some(regex) = &self.null_regex {
            format = format.with_null_regex(regex.clone());
        }
        format
    }
}

/// One file, its columns known.
#[derive(Debug)]
pub(super) struct CsvFile {
    file: SourceFile,
    format: Format,
    division: Division,
    header: bool,
    columns: Vec<String>,
}

/// A table over `files`.
pub(super) fn open(
    files: Vec<SourceFile>,
    options: &CsvOptions,
    partitions: usize,
) -> Result<TextTable<CsvFile>, Error> {
    let sample = options.sample / files.len().div_ceil(FULL_SAMPLES).max(1);
    let infer = options.columns.is_none() && !options.all_text;
    let mut looked_at = Vec::with_capacity(files.len());
    let mut sampled = Sampled::default();
    for file in files {
        let (schema, records) = look_at(&file, options, infer, sample)?;
        sampled += records;
        looked_at.push((file, schema));
    }
    let schema = match &options.columns {
        Some(columns) => declared(columns),
        None => inferred(&looked_at, options)?,
    };
    check_overrides(&schema, options)?;
    let mut opened = Vec::with_capacity(looked_at.len());
    for (file, found) in looked_at {
        opened.push(assign(file, &found, &schema, options)?);
    }
    let schema = Arc::new(schema);
    Ok(TextTable::new(schema, opened, partitions, sampled))
}

/// Column names from the header, and types from the first `sample` records if wanted.
fn look_at(
    file: &SourceFile,
    options: &CsvOptions,
    infer: bool,
    sample: usize,
) -> Result<(Schema, Sampled), LandingFileError> {
    let sample = if infer { sample.max(1) } else { 0 };
    let mut text = Quotes::new(lines::open(file)?, file, division(file, options));
    if text
        .fill_buf()
        .map_err(|error| lines::io(file, &error))?
        .is_empty()
    {
        return Err(file.error(None, "the file is empty"));
    }
    let format = options.format(file);
    let inferred = format.infer_schema(&mut text, Some(sample));
    let (schema, records) = inferred.map_err(|error| {
        let message = plain(&error);
        // The parser that takes samples counts lines, unlike the decoder.
        match cut(&message, " at line ") {
            Some((line, message)) => file.error(Some(line), message),
            None => file.error(None, message),
        }
    })?;
    let mut sampled = Sampled {
        records,
        bytes: text.bytes(),
    };
    let schema = if infer {
        moments::tell_apart(schema, file, &format, division(file, options), sample)?
    } else {
        // What is wrong with those records is told when they are read.
        if let Ok((_, records)) = format.infer_schema(&mut text, Some(SIZED)) {
            let bytes = text.bytes();
            sampled = Sampled { records, bytes };
        }
        schema
    };
    let mut seen = BTreeSet::new();
    for field in schema.fields() {
        if field.name().is_empty() {
            return Err(file.error(Some(1), "a column in the header has no name"));
        }
        if !seen.insert(field.name()) {
            let message = format!("column {:?} stands twice in the header", field.name());
            return Err(file.error(Some(1), message));
        }
    }
    Ok((schema, sampled))
}

fn division(file: &SourceFile, options: &CsvOptions) -> Division {
    let (escape, comment) = (options.escape, options.comment);
    Division {
        delimiter: options.delimiter(file),
        escape,
        comment,
    }
}

fn declared(columns: &[(String, DataType)]) -> Schema {
    Schema::new(
        columns
            .iter()
            .map(|(n, t)| Field::new(n, t.clone(), true))
            .collect::<Vec<_>>(),
    )
}

fn inferred(files: &[(SourceFile, Schema)], options: &CsvOptions) -> Result<Schema, Error> {
    let mut fields: Vec<(String, DataType)> = Vec::new();
    for (file, schema) in files {
        for field in schema.fields() {
            let Some((_, known)) = fields.iter_mut().find(|(name, _)| name == field.name()) else {
                fields.push((field.name().clone(), field.data_type().clone()));
                continue;
            };
            let Some(wider) = widen(known, field.data_type()) else {
                let message = format!(
                    "column {:?} looks like {} here and like {known} in another file, declare it with types => {{'{}': '…'}}",
                    field.name(),
                    field.data_type(),
                    field.name()
                );
                return Err(file.error(None, message).into());
            };
            *known = wider;
        }
    }
    let overridden = |name: &str| options.types.iter().find(|(known, _)| known == name);
    let fields = fields.into_iter().map(|(name, found)| {
        let data_type = match overridden(&name) {
            Some((_, data_type)) => data_type.clone(),
            None if options.all_text => DataType::Utf8,
            None => storable(&found),
        };
        Field::new(name, data_type, true)
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

fn check_overrides(schema: &Schema, options: &CsvOptions) -> Result<(), Error> {
    for (name, _) in &options.types {
        if schema.field_with_name(name).is_err() {
            let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            return Err(Error::sql(format!(
                "read_csv(): option types names column {name:?}, the files have {}",
                names.join(", ")
            )));
        }
    }
    if let Some(field) = schema
        .fields()
        .iter()
        .find(|field| field.data_type().is_nested())
    {
        let (name, data_type) = (field.name(), field.data_type());
        return Err(Error::sql(format!(
            "read_csv(): column {name:?} cannot be {data_type}"
        )));
    }
    Ok(())
}

/// Which column of the table each column of the file is.
fn assign(
    file: SourceFile,
    found: &Schema,
    table: &Schema,
    options: &CsvOptions,
) -> Result<CsvFile, Error> {
    let names = |schema: &Schema| -> Vec<String> {
        schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect()
    };
    let (mut columns, expected) = (names(found), names(table));
    if !options.header && columns.len() == expected.len() {
        // Without a header the position is all there is.
        columns.clone_from(&expected);
    }
    let missing: Vec<&String> = expected
        .iter()
        .filter(|name| !columns.contains(name))
        .collect();
    let extra: Vec<&String> = columns
        .iter()
        .filter(|name| !expected.contains(name))
        .collect();
    if !extra.is_empty() || (!missing.is_empty() && !options.union_by_name) {
        let list = |names: &[&String]| {
            names
                .iter()
                .map(|name| name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut message = format!(
            "the file has other columns than expected ({})",
            expected.join(", ")
        );
        if !missing.is_empty() {
            message.push_str(&format!("; missing: {}", list(&missing)));
        }
        if !extra.is_empty() {
            message.push_str(&format!("; not expected: {}", list(&extra)));
        }
        if extra.is_empty() {
            message.push_str("; union_by_name => true reads missing columns as NULL");
        }
        return Err(file.error(Some(1), message).into());
    }
    let (format, division) = (options.format(&file), division(&file, options));
    Ok(CsvFile {
        file,
        format,
        division,
        header: options.header,
        columns,
    })
}

impl TextFile for CsvFile {
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
        let data_type = |name: &String| match schema.field_with_name(name) {
            Ok(field) if !numbers::is_fraction(field.data_type()) => field.data_type().clone(),
            _ => DataType::Utf8,
        };
        let fields = self
            .columns
            .iter()
            .map(|name| Field::new(name, data_type(name), true));
        let own = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let output: SchemaRef = Arc::new(
            schema
                .project(projection)
                .map_err(|error| self.invalid(&error))?,
        );
        // For each wanted column its place in the file; `None` where the file lacks it.
        let places: Vec<Option<usize>> = output
            .fields()
            .iter()
            .map(|field| self.columns.iter().position(|name| name == field.name()))
            .collect();
        let text = Quotes::new(lines::open(&self.file)?, &self.file, self.division);
        let builder = ReaderBuilder::new(own)
            .with_format(self.format.clone())
            .with_batch_size(batches::records(self.columns.len(), batch_size))
            .with_projection(places.iter().flatten().copied().collect());
        let mut rows = 0;
        for batch in Batches::new(text, builder) {
            let batch = batch.map_err(|error| self.invalid(&error))?;
            let count = batch.num_rows() as u64;
            let batch = self.finish(&batch, &output, &places, rows)?;
            rows += count;
            if !sink(batch) {
                break;
            }
        }
        Ok(())
    }
}

impl CsvFile {
    /// The columns of the table from those that were read after `before` rows.
    fn finish(
        &self,
        batch: &RecordBatch,
        output: &SchemaRef,
        places: &[Option<usize>],
        before: u64,
    ) -> Result<RecordBatch, LandingFileError> {
        let mut read = batch.columns().iter();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(places.len());
        for (place, field) in places.iter().zip(output.fields()) {
            let column = match place.and_then(|_| read.next()) {
                Some(column) => numbers::from_text(column, field).map_err(|misfit| {
                    let header = u64::from(self.header);
                    let line = self.line(before + misfit.row as u64 + header + 1);
                    self.file.error(line, misfit.message)
                })?,
                None => new_null_array(field.data_type(), batch.num_rows()),
            };
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(output), columns, &options)
            .map_err(|error| self.invalid(&error))
    }

    /// Where a record, from 1 and the header among them, starts.
    fn line(&self, record: u64) -> Option<u64> {
        let text = lines::open(&self.file).ok()?;
        lines::line_of_record(text, self.division, record)
    }

    fn invalid(&self, error: &ArrowError) -> LandingFileError {
        let message = self.name_column(plain(error));
        // Two conventions: "for line" counts records from 1, "at line" those before it.
        let (record, message) = if let Some((record, rest)) = cut(&message, " for line ") {
            (record, rest)
        } else if let Some((before, rest)) = cut(&message, " at line ") {
            (before + 1, rest)
        } else {
            return self.file.error(None, message);
        };
        self.file.error(self.line(record), message)
    }

    fn name_column(&self, message: String) -> String {
        let marker = " for column ";
        let name = |number: u64| self.columns.get(usize::try_from(number).ok()?);
        match cut(&message, marker) {
            Some((number, _)) => match name(number) {
                Some(name) => message.replacen(
                    &format!("{marker}{number}"),
                    &format!("{marker}{name:?}"),
                    1,
                ),
                None => message,
            },
            None => message,
        }
    }
}

/// The text of an error without the kinds that Arrow puts before it.
fn plain(error: &ArrowError) -> String {
    let kinds = [
        "Csv error: ",
        "Parser error: ",
        "Cast error: ",
        "Io error: ",
    ];
    let message = error.to_string();
    let mut text = message.as_str();
    while let Some(rest) = kinds.iter().find_map(|kind| text.strip_prefix(kind)) {
        text = rest;
    }
    let mut chars = text.chars().take(600);
    chars
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(chars)
        .collect()
}

/// Cuts `{marker}{number}` out of a message; the line that we find out says it better.
fn cut(message: &str, marker: &str) -> Option<(u64, String)> {
    let (before, after) = message.split_once(marker)?;
    let digits = after
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(after.len());
    let number = after[..digits].parse().ok()?;
    Some((number, format!("{before}{}", &after[digits..])))
}

#[cfg(test)]
mod tests;
