//! Which columns of times have moments, with an offset or a zone, rather than readings of a clock.
//!
//! The parser that guesses types tells times from texts, but not the one from the other; read as
//! readings, moments would be moved to another zone without a word.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema};

use crate::LandingFileError;
use crate::landing::csv::batches::Batches;
use crate::landing::lines::{self, Division};
use crate::landing::quotes::Quotes;
use crate::landing::source::SourceFile;

/// The zone of moments in a table.
const ZONE: &str = "+00:00";
const RECORDS: usize = 1024;

/// What the values of a column say.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    moments: bool,
    readings: bool,
}

/// The columns of `schema`, which was found out from the first `sample` records of `file`, with
/// zones where all values have one. Where only some have one, nobody knows what the others mean:
/// they stay text.
pub(super) fn tell_apart(
    schema: Schema,
    file: &SourceFile,
    format: &Format,
    division: Division,
    sample: usize,
) -> Result<Schema, LandingFileError> {
    let is_time = |field: &Field| matches!(field.data_type(), DataType::Timestamp(_, None));
    let fields = || schema.fields().iter().enumerate();
    let places: Vec<usize> = fields()
        .filter(|(_, field)| is_time(field))
        .map(|(place, _)| place)
        .collect();
    if places.is_empty() {
        return Ok(schema);
    }
    let seen = look(&schema, &places, file, format, division, sample)?;
    let fields = fields().map(|(place, field)| {
        let Some(column) = places.iter().position(|known| *known == place) else {
            return Arc::clone(field);
        };
        let data_type = match (seen[column], field.data_type()) {
            (
                Seen {
                    moments: true,
                    readings: true,
                },
                _,
            ) => DataType::Utf8,
            (Seen { moments: true, .. }, DataType::Timestamp(unit, _)) => {
                DataType::Timestamp(*unit, Some(ZONE.into()))
            }
            (_, data_type) => data_type.clone(),
        };
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

fn look(
    schema: &Schema,
    places: &[usize],
    file: &SourceFile,
    format: &Format,
    division: Division,
    sample: usize,
) -> Result<Vec<Seen>, LandingFileError> {
    let names = schema.fields().iter().map(|field| field.name());
    let texts = names.map(|name| Field::new(name, DataType::Utf8, true));
    let builder = ReaderBuilder::new(Arc::new(Schema::new(texts.collect::<Vec<_>>())))
        .with_format(format.clone())
        .with_batch_size(super::batches::records(schema.fields().len(), RECORDS))
        .with_projection(places.to_vec());
    let text = Quotes::new(lines::open(file)?, file, division);
    let mut seen = vec![Seen::default(); places.len()];
    let mut left = sample;
    for batch in Batches::new(text, builder) {
        // What the file has beyond the sample is no matter here.
        let Ok(batch) = batch else { break };
        let rows = batch.num_rows().min(left);
        for (seen, column) in seen.iter_mut().zip(batch.columns()) {
            let column = column.slice(0, rows);
            for text in column.as_string::<i32>().iter().flatten() {
                match is_moment(text) {
                    true => seen.moments = true,
                    false => seen.readings = true,
                }
            }
        }
        left -= rows;
        if left == 0 {
            break;
        }
    }
    if file.is_faulty() {
        return Err(file.error(None, "the file cannot be read"));
    }
    Ok(seen)
}

/// Whether something follows the seconds of a time.
fn is_moment(text: &str) -> bool {
    let after = text.get("2026-01-01T00:00:00".len()..).unwrap_or_default();
    let fraction = after.strip_prefix('.').unwrap_or(after);
    !fraction
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .trim()
        .is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_or_a_zone_makes_a_moment() {
        for text in [
            "2026-01-01T00:00:00Z",
            "2026-01-01 00:00:00+02:00",
            "2026-01-01T00:00:00.123456-0800",
            "2026-01-01 00:00:00 UTC",
        ] {
            assert!(is_moment(text), "{text}");
        }
        for text in [
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00.5",
            "2026-01-01",
            "",
        ] {
            assert!(!is_moment(text), "{text}");
        }
    }
}
