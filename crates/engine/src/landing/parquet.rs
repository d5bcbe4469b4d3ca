//! Parquet files, through DataFusion's own reader.

use std::any::Any;
use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::landing::files::SourceFile;
use crate::{Error, LandingFileError};

/// Parquet files as one table.
#[derive(Debug)]
pub(super) struct ParquetTable {
    schema: SchemaRef,
    files: Vec<PartitionedFile>,
    rows: usize,
}

/// A table over `files`: the columns of all of them, NULL where a file has none of that name.
pub(super) fn open(files: Vec<SourceFile>) -> std::result::Result<ParquetTable, Error> {
    let mut columns: Vec<(Field, String)> = Vec::new();
    let (mut rows, mut opened) = (0, Vec::with_capacity(files.len()));
    for file in files {
        let (schema, count, meta) = look_at(&file)?;
        for field in schema.fields() {
            match columns
                .iter()
                .find(|(known, _)| known.name() == field.name())
            {
                None => columns.push((clean(field), file.name.clone())),
                Some((known, _)) if known.data_type() == clean(field).data_type() => {}
                Some((known, first)) => {
                    let message = format!(
                        "column {:?} is {} here and {} in {first}",
                        known.name(),
                        field.data_type(),
                        known.data_type()
                    );
                    return Err(file.error(None, message).into());
                }
            }
        }
        rows += count;
        opened.push(PartitionedFile::new_from_meta(meta));
    }
    let fields: Vec<Field> = columns.into_iter().map(|(field, _)| field).collect();
    Ok(ParquetTable {
        schema: Arc::new(Schema::new(fields)),
        files: opened,
        rows,
    })
}

fn look_at(
    file: &SourceFile,
) -> std::result::Result<(SchemaRef, usize, ObjectMeta), LandingFileError> {
    let invalid = |message: String| file.error(None, message);
    let reader = File::open(&file.path)
        .map_err(|error| invalid(format!("the file cannot be opened: {error}")))?;
    let size = reader
        .metadata()
        .map_err(|error| invalid(format!("the file cannot be read: {error}")))?
        .len();
    let metadata = ArrowReaderMetadata::load(&reader, ArrowReaderOptions::new())
        .map_err(|error| invalid(format!("this is not a Parquet file: {error}")))?;
    let rows = usize::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or_default();
    let location = Path::from_absolute_path(&file.path)
        .map_err(|error| invalid(format!("the file's name cannot be used: {error}")))?;
    let last_modified = chrono::DateTime::UNIX_EPOCH;
    let meta = ObjectMeta {
        location,
        last_modified,
        size,
        e_tag: None,
        version: None,
    };
    Ok((Arc::clone(metadata.schema()), rows, meta))
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

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = state.config_options().execution.parquet.clone();
        let source = ParquetSource::new(Arc::clone(&self.schema)).with_table_parquet_options(
            datafusion::config::TableParquetOptions {
                global: options,
                ..Default::default()
            },
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
        Ok(DataSourceExec::from_data_source(config))
    }
}
