//! Bounds of text columns.
//!
//! Parquet shortens long texts in its statistics and marks them as not exact; the `iceberg` crate
//! leaves row groups so marked out of a file's bounds. With several row groups, the bounds are
//! then those of *some* of them, and a scan that trusts them skips a file that has the row. A
//! shortened minimum is still a lower bound and Parquet's shortened maximum an upper one, so the
//! footer has all that is needed to put it right.

use std::collections::HashMap;

use iceberg::arrow::ArrowFileReader;
use iceberg::io::FileIO;
use iceberg::spec::{DataFile, DataFileBuilder, Datum, PrimitiveType, Schema};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

/// Lowest and highest value, as bytes.
type Range = (Vec<u8>, Vec<u8>);

/// Replaces the bounds of text and binary columns by those of all row groups.
pub(super) async fn correct(
    file_io: &FileIO,
    schema: &Schema,
    file: &mut DataFile,
) -> iceberg::Result<()> {
    let single = file
        .split_offsets()
        .is_some_and(|offsets| offsets.len() < 2);
    let texts: Vec<(i32, PrimitiveType)> = schema
        .field_id_to_fields()
        .values()
        .filter_map(|field| Some((field.id, field.field_type.as_primitive_type()?.clone())))
        .filter(|(_, ty)| matches!(ty, PrimitiveType::String | PrimitiveType::Binary))
        .collect();
    if single || texts.is_empty() {
        return Ok(());
    }

    let footer = footer(file_io, file).await?;
    let ranges = ranges(&footer);
    let (mut lower, mut upper) = (file.lower_bounds().clone(), file.upper_bounds().clone());
    for (id, ty) in texts {
        lower.remove(&id);
        upper.remove(&id);
        let Some(Some((min, max))) = ranges.get(&id) else {
            continue;
        };
        let min = Datum::try_from_bytes(min, ty.clone());
        let max = Datum::try_from_bytes(max, ty);
        if let (Ok(min), Ok(max)) = (min, max) {
            lower.insert(id, min);
            upper.insert(id, max);
        }
    }
    *file = rebuilt(file, lower, upper)?;
    Ok(())
}

async fn footer(
    file_io: &FileIO,
    file: &DataFile,
) -> iceberg::Result<std::sync::Arc<ParquetMetaData>> {
    let input = file_io.new_input(file.file_path())?;
    let size = iceberg::io::FileMetadata {
        size: file.file_size_in_bytes(),
    };
    let mut reader = ArrowFileReader::new(size, input.reader().await?);
    reader.get_metadata(None).await.map_err(|source| {
        let message = "failed to read the footer of a data file just written";
        iceberg::Error::new(iceberg::ErrorKind::Unexpected, message).with_source(source)
    })
}

/// The range of each text column over all row groups, by field id. `None`: at least one row group
/// has values and does not say which.
fn ranges(footer: &ParquetMetaData) -> HashMap<i32, Option<Range>> {
    let mut ranges: HashMap<i32, Option<Range>> = HashMap::new();
    for column in footer.row_groups().iter().flat_map(|group| group.columns()) {
        let info = column.column_descr().self_type().get_basic_info().clone();
        if !info.has_id() {
            continue;
        }
        let statistics = match column.statistics() {
            Some(Statistics::ByteArray(statistics)) => Some(statistics),
            _ => None,
        };
        let nulls = statistics.and_then(|statistics| statistics.null_count_opt());
        if nulls == u64::try_from(column.num_values()).ok() {
            continue;
        }
        let known = statistics.and_then(|statistics| {
            Some((
                statistics.min_bytes_opt()?.to_vec(),
                statistics.max_bytes_opt()?.to_vec(),
            ))
        });
        let entry = ranges.entry(info.id()).or_insert_with(|| known.clone());
        *entry = match (entry.take(), known) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            _ => None,
        };
    }
    ranges
}

fn rebuilt(
    file: &DataFile,
    lower: HashMap<i32, Datum>,
    upper: HashMap<i32, Datum>,
) -> iceberg::Result<DataFile> {
    DataFileBuilder::default()
        .content(file.content_type())
        .file_path(file.file_path().to_owned())
        .file_format(file.file_format())
        .partition(file.partition().clone())
        .record_count(file.record_count())
        .file_size_in_bytes(file.file_size_in_bytes())
        .column_sizes(file.column_sizes().clone())
        .value_counts(file.value_counts().clone())
        .null_value_counts(file.null_value_counts().clone())
        .nan_value_counts(file.nan_value_counts().clone())
        .lower_bounds(lower)
        .upper_bounds(upper)
        .split_offsets(file.split_offsets().map(<[i64]>::to_vec))
        .build()
        .map_err(|source| {
            let message = "failed to describe a data file just written";
            iceberg::Error::new(iceberg::ErrorKind::Unexpected, message).with_source(source)
        })
}
