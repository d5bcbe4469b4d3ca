//! The columns of a JSON file, from its first objects.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufRead, Read};

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::json::reader::{ValueIter, infer_json_schema_from_iterator};
use serde_json::Value;

use crate::landing::table::Sampled;

/// Fields of all objects together, those of nested ones among them. Objects that have values in
/// the place of names have any number.
const FIELDS: usize = 10_000;

/// The columns of the first `sample` objects of `text`, which has one a line.
pub(super) fn infer(text: impl BufRead, sample: usize) -> Result<(Schema, Sampled), ArrowError> {
    let mut text = Counted { text, bytes: 0 };
    let (mut records, mut fields) = (0, HashSet::new());
    let objects = ValueIter::new(&mut text, Some(sample)).map(|object| {
        let object = object?;
        records += 1;
        add(&object, 0, &mut fields);
        if fields.len() > FIELDS {
            let message = format!(
                "the objects have more than {FIELDS} different fields; declare the wanted ones \
                 with columns => {{…}}"
            );
            return Err(ArrowError::JsonError(message));
        }
        Ok(object)
    });
    let schema = infer_json_schema_from_iterator(objects)?;
    let bytes = text.bytes;
    Ok((schema, Sampled { records, bytes }))
}

/// Adds the fields of `value`, which is at the place that `path` stands for. The parser does not
/// nest values deeper than a recursion may go.
fn add(value: &Value, path: u64, fields: &mut HashSet<u64>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let mut hasher = DefaultHasher::new();
                (path, name).hash(&mut hasher);
                let path = hasher.finish();
                fields.insert(path);
                if fields.len() > FIELDS {
                    return;
                }
                add(value, path, fields);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| add(item, path, fields)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Text that is counted as it is read.
struct Counted<R> {
    text: R,
    bytes: usize,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(buffer)?;
        self.bytes = self.bytes.saturating_add(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.text.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.bytes = self.bytes.saturating_add(count);
        self.text.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_with_values_in_the_place_of_names_are_refused() {
        let object = |from: usize| {
            let fields: Vec<String> = (from..from + 100).map(|n| format!("\"k{n}\":1")).collect();
            format!("{{\"a\":{{{}}}}}\n", fields.join(","))
        };
        let same = object(0).repeat(1_000);
        let (schema, sampled) = infer(same.as_bytes(), 2_000).unwrap();
        assert_eq!((schema.fields().len(), sampled.records), (1, 1_000));
        assert_eq!(sampled.bytes, same.len());
        let different: String = (0..1_000).map(|n| object(n * 100)).collect();
        let error = infer(different.as_bytes(), 2_000).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("more than 10000 different fields")
        );
    }
}
