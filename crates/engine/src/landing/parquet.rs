//! Parquet files, through DataFusion's own reader.
//!
//! Bytes are fetched here rather than by an object store, which would open a file by its path
//! for each range and not notice that it has become another one.

mod blame;
mod footer;
mod promote;

use std::any::Any;
use std::collections::HashMap;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use object_store::ObjectMeta;
use object_store::path::Path;

use promote::promote;

use crate::landing::source::{Opened, SourceFile};
use crate::{Error, LandingFileError};

/// Parquet files as one table.
#[derive(Debug)]
pub(super) struct ParquetTable {
    schema: SchemaRef,
    files: Vec<PartitionedFile>,
    rows: usize,
    /// Of all pages, before they were compressed.
    bytes: usize,
    sources: Arc<Sources>,
}

/// A table over `files`: the columns of all of them, NULL where a file has none of that name.
pub(super) fn open(files: Vec<SourceFile>) -> std::result::Result<ParquetTable, Error> {
    let mut columns: Vec<(Field, String)> = Vec::new();
    let (mut rows, mut bytes, mut opened) = (0, 0_usize, Vec::with_capacity(files.len()));
    let mut sources = HashMap::with_capacity(files.len());
    for file in files {
        let (metadata, meta) = look_at(&file)?;
        let schema = metadata.schema();
        for field in schema.fields() {
            match columns
                .iter_mut()
                .find(|(known, _)| known.name() == field.name())
            {
                None => columns.push((clean(field), file.name.clone())),
                Some((known, first)) => {
                    let found = clean(field);
                    let (name, before, here) = (known.name(), known.data_type(), found.data_type());
                    let Some(wider) = promote(before, here) else {
                        let message =
                            format!("column {name:?} is {here} here and {before} in {first}");
                        return Err(file.error(None, message).into());
                    };
                    *known = Field::new(name, wider, true);
                }
            }
        }
        let (count, size) = extent(metadata.metadata());
        rows += count;
        bytes = bytes.saturating_add(size);
        sources.insert(meta.location.clone(), file);
        opened.push(PartitionedFile::new_from_meta(meta));
    }
    let fields: Vec<Field> = columns.into_iter().map(|(field, _)| field).collect();
    Ok(ParquetTable {
        schema: Arc::new(Schema::new(fields)),
        files: opened,
        rows,
        bytes,
        sources: Arc::new(Sources {
            files: sources,
            opened: Arc::default(),
        }),
    })
}

fn look_at(
    file: &SourceFile,
) -> std::result::Result<(ArrowReaderMetadata, ObjectMeta), LandingFileError> {
    let invalid = |message: String| file.error(None, message);
    let opened = file.open()?;
    check_footer(file, &opened)?;
    let metadata = ArrowReaderMetadata::load(opened.file(), ArrowReaderOptions::new())
        .map_err(|error| invalid(format!("this is not a Parquet file: {error}")))?;
    let location = Path::from_absolute_path(&file.path)
        .map_err(|error| invalid(format!("the file's name cannot be used: {error}")))?;
    let last_modified = chrono::DateTime::UNIX_EPOCH;
    let meta = ObjectMeta {
        location,
        last_modified,
        size: file.size,
        e_tag: None,
        version: None,
    };
    Ok((metadata, meta))
}

/// Rows of a file, and bytes of its pages before they were compressed.
fn extent(metadata: &ParquetMetaData) -> (usize, usize) {
    let count = |value: i64| usize::try_from(value).unwrap_or_default();
    let groups = metadata.row_groups().iter();
    let bytes = groups.map(|group| count(group.total_byte_size()));
    let rows = count(metadata.file_metadata().num_rows());
    (rows, bytes.fold(0, usize::saturating_add))
}

fn check_footer(file: &SourceFile, opened: &Opened) -> std::result::Result<(), LandingFileError> {
    let invalid = |message: &str| file.error(None, message);
    let unreadable =
        |error: std::io::Error| file.error(None, format!("the file cannot be read: {error}"));
    let mut tail = [0; footer::TAIL];
    let Some(end) = file.size.checked_sub(tail.len() as u64) else {
        return Err(invalid("this is not a Parquet file: it is too short"));
    };
    let handle = opened.file();
    handle.read_exact_at(&mut tail, end).map_err(unreadable)?;
    let length = footer::length(tail, file.size).map_err(invalid)?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    handle
        .read_exact_at(&mut bytes, end - length)
        .map_err(unreadable)?;
    footer::check(&bytes).map_err(invalid)
}

/// Opens the files of a table.
#[derive(Debug)]
struct Sources {
    files: HashMap<Path, SourceFile>,
    opened: Arc<blame::Opened>,
}

impl ParquetFileReaderFactory for Sources {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let location = &file.object_meta.location;
        let source = self.files.get(location).ok_or_else(|| {
            DataFusionError::External(format!("{location} is no file of this table").into())
        })?;
        self.opened.add(partition, source);
        Ok(Box::new(Reader {
            source: source.clone(),
            opened: None,
        }))
    }
}

/// One file, opened when its first bytes are wanted.
struct Reader {
    source: SourceFile,
    opened: Option<Arc<Opened>>,
}

impl AsyncFileReader for Reader {
    fn get_bytes(
        &mut self,
        range: Range<u64>,
    ) -> BoxFuture<'_, std::result::Result<Bytes, ParquetError>> {
        async move {
            let (source, opened) = (self.source.clone(), self.opened.clone());
            let fetch = tokio::task::spawn_blocking(move || fetch(&source, opened, range));
            let fetched = fetch.await.map_err(external)?;
            let (opened, bytes) = fetched.map_err(external)?;
            self.opened = Some(opened);
            Ok(bytes)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, std::result::Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let (column, offset) = options
                .map_or((PageIndexPolicy::Skip, PageIndexPolicy::Skip), |options| {
                    (options.column_index_policy(), options.offset_index_policy())
                });
            let size = self.source.size;
            let metadata = ParquetMetaDataReader::new()
                .with_metadata_options(options.map(|options| options.metadata_options().clone()))
                .with_column_index_policy(column)
                .with_offset_index_policy(offset)
                .load_and_finish(self, size)
                .await?;
            Ok(Arc::new(metadata))
        }
        .boxed()
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// Reads a range; what it read counts only if the file has not been rewritten meanwhile.
fn fetch(
    source: &SourceFile,
    opened: Option<Arc<Opened>>,
    range: Range<u64>,
) -> std::result::Result<(Arc<Opened>, Bytes), LandingFileError> {
    let opened = match opened {
        Some(opened) => opened,
        None => Arc::new(source.open()?),
    };
    let invalid = |message: &str| source.error(None, message);
    // A file that lies about where its parts are must not make us allocate more than it has.
    if range.start > range.end || range.end > source.size {
        return Err(invalid("the file refers to bytes after its end"));
    }
    let length = usize::try_from(range.end - range.start)
        .map_err(|_| invalid("a part of the file is too large"))?;
    let mut bytes = vec![0; length];
    let read = opened.file().read_exact_at(&mut bytes, range.start);
    opened.check()?;
    read.map_err(|error| source.error(None, format!("the file cannot be read: {error}")))?;
    Ok((opened, bytes.into()))
}

/// The field without what its writer noted about it, nested ones included.
fn clean(field: &Field) -> Field {
    let inner = |field: &Arc<Field>| Arc::new(clean(field));
    let data_type = match field.data_type() {
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(entries, sorted) => DataType::Map(Arc::new(clean_entries(entries)), *sorted),
        other => other.clone(),
    };
    Field::new(field.name(), data_type, true)
}

/// The entries of a map and their keys cannot be NULL.
fn clean_entries(entries: &Field) -> Field {
    let DataType::Struct(fields) = entries.data_type() else {
        return entries.clone();
    };
    let fields = fields.iter().map(|field| {
        let nullable = field.is_nullable();
        Arc::new(
            clean(field)
                .with_nullable(nullable)
                .with_metadata(HashMap::new()),
        )
    });
    Field::new(entries.name(), DataType::Struct(fields.collect()), false)
}

#[async_trait]
impl TableProvider for ParquetTable {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Exact(self.rows);
        statistics.total_byte_size = Precision::Inexact(self.bytes);
        Some(statistics)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut options = state.config_options().execution.parquet.clone();
        // Nothing is sought in landing files: whatever else they have beside their pages can only
        // be wrong.
        (options.enable_page_index, options.bloom_filter_on_read) = (false, false);
        let source = ParquetSource::new(Arc::clone(&self.schema))
            .with_table_parquet_options(datafusion::config::TableParquetOptions {
                global: options,
                ..Default::default()
            })
            .with_parquet_file_reader_factory(
                Arc::clone(&self.sources) as Arc<dyn ParquetFileReaderFactory>
            );
        let groups = FileGroup::new(self.files.clone())
            .split_files(state.config_options().execution.target_partitions);
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Exact(self.rows);
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
                .with_file_groups(groups)
                .with_statistics(statistics)
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .build();
        let blaming = blame::Blaming {
            inner: Arc::new(config),
            opened: Arc::clone(&self.sources.opened),
        };
        Ok(DataSourceExec::from_data_source(blaming))
    }
}
