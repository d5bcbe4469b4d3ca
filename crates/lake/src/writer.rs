//! Writing streams of batches as data files.
//!
//! Every input stream has a task and a file of its own, which is closed and followed by another
//! when it is large enough. A stream with little to write opens no file: what it has is put
//! together with the leftovers of the others, so that the small result of a wide plan is one file
//! and not one per core.
//!
//! Files that are written and not kept are deleted, whether the writer failed, was cancelled or
//! its result was dropped. Deletion happens on drop, so it works for local files only.

mod bounds;
mod files;

use arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use iceberg::io::FileIO;
use iceberg::spec::{DataFile, SchemaRef};
use iceberg::table::Table;
use iceberg::writer::base_writer::data_file_writer::{DataFileWriter, DataFileWriterBuilder};
use iceberg::writer::file_writer::ParquetWriterBuilder;
use iceberg::writer::file_writer::rolling_writer::RollingFileWriterBuilder;
use iceberg::writer::{IcebergWriter, IcebergWriterBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rat_types::TableIdent;
use tokio::task::JoinSet;

use crate::Error;
use crate::schema::Coercion;
use files::{Names, Written};

/// How data files are written.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// Size in bytes at which a file is closed and another begun.
    pub target_file_size: usize,
    /// Rows of a row group. Row groups are what several cores share a file by.
    pub row_group_rows: usize,
    /// Encoded bytes of a row group, which bounds the memory that wide rows need.
    pub row_group_bytes: usize,
    /// Bytes of batches that a stream collects before it opens a file of its own.
    pub small_stream_bytes: usize,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            target_file_size: 256 * 1024 * 1024,
            row_group_rows: 128 * 1024,
            row_group_bytes: 64 * 1024 * 1024,
            small_stream_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Data files that no snapshot refers to yet. Dropping this deletes them.
#[derive(Debug)]
pub struct WrittenFiles {
    data_files: Vec<DataFile>,
    written: Written,
}

impl WrittenFiles {
    /// The files.
    pub fn data_files(&self) -> &[DataFile] {
        &self.data_files
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.data_files.iter().map(DataFile::record_count).sum()
    }

    /// Bytes of the files.
    pub fn bytes(&self) -> u64 {
        self.data_files
            .iter()
            .map(DataFile::file_size_in_bytes)
            .sum()
    }

    /// Leaves the files where they are: a snapshot refers to them, or may do so.
    pub fn keep(mut self) {
        self.written.keep();
    }
}

/// Writes data files of one table.
#[derive(Debug, Clone)]
pub(crate) struct TableWriter {
    table: TableIdent,
    file_io: FileIO,
    folder: String,
    schema: SchemaRef,
    options: WriteOptions,
}

type FileWriter = DataFileWriter<ParquetWriterBuilder, Names, Names>;

/// What the task of one stream hands back.
struct Part {
    data_files: Vec<DataFile>,
    written: Written,
    leftover: Vec<RecordBatch>,
}

impl TableWriter {
    /// Writes rows of `schema` below `subfolder` of the table's `data` folder.
    pub(crate) fn new(
        ident: &TableIdent,
        table: &Table,
        subfolder: Option<&str>,
        schema: SchemaRef,
        options: WriteOptions,
    ) -> Self {
        let mut folder = format!("{}/data", table.metadata().location().trim_end_matches('/'));
        if let Some(subfolder) = subfolder {
            folder = format!("{folder}/{subfolder}");
        }
        let file_io = table.file_io().clone();
        Self {
            table: ident.clone(),
            file_io,
            folder,
            schema,
            options,
        }
    }

    /// Writes all rows of `streams`, which are read at the same time.
    ///
    /// # Errors
    /// A stream fails, a value does not fit, or the storage fails. No file is left then.
    pub(crate) async fn write(
        &self,
        streams: Vec<SendableRecordBatchStream>,
    ) -> Result<WrittenFiles, Error> {
        let names = Names::new(self.folder.clone());
        let mut tasks = JoinSet::new();
        let count = streams.len();
        for (index, stream) in streams.into_iter().enumerate() {
            let coercion = Coercion::new(&stream.schema(), &self.schema)?;
            let (writer, names) = (self.clone(), names.clone());
            let task = async move { writer.write_stream(stream, coercion, names).await };
            tasks.spawn(async move { (index, task.await) });
        }

        let mut parts: Vec<Option<Part>> = (0..count).map(|_| None).collect();
        while let Some(joined) = tasks.join_next().await {
            // A task is only cancelled by dropping the set, so this is a panic to pass on.
            let (index, part) =
                joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            parts[index] = Some(part?);
        }
        self.combine(parts.into_iter().flatten().collect(), names)
            .await
    }

    /// Puts the parts together and writes their leftovers.
    async fn combine(&self, parts: Vec<Part>, names: Names) -> Result<WrittenFiles, Error> {
        let mut written = Written::default();
        let mut data_files = Vec::new();
        let mut leftovers = Vec::new();
        for part in parts {
            written.absorb(part.written);
            data_files.extend(part.data_files);
            leftovers.extend(part.leftover);
        }
        if !leftovers.is_empty() {
            let mut file = self.open(&names, &mut written).await?;
            for batch in leftovers {
                file.write(batch)
                    .await
                    .map_err(|source| self.failed(source))?;
            }
            data_files.extend(self.close(file).await?);
        }
        Ok(WrittenFiles {
            data_files,
            written,
        })
    }

    async fn write_stream(
        self,
        mut stream: SendableRecordBatchStream,
        coercion: Coercion,
        names: Names,
    ) -> Result<Part, Error> {
        let mut written = Written::default();
        let mut file: Option<FileWriter> = None;
        let (mut leftover, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|source| Error::Input {
                table: self.table.clone(),
                source,
            })?;
            if batch.num_rows() == 0 {
                continue;
            }
            let batch = coercion.apply(&batch)?;
            if let Some(file) = &mut file {
                file.write(batch)
                    .await
                    .map_err(|source| self.failed(source))?;
                continue;
            }
            bytes += memory_of(&batch);
            leftover.push(batch);
            if bytes > self.options.small_stream_bytes {
                let mut opened = self.open(&names, &mut written).await?;
                for batch in leftover.drain(..) {
                    opened
                        .write(batch)
                        .await
                        .map_err(|source| self.failed(source))?;
                }
                file = Some(opened);
            }
        }
        let data_files = match file {
            Some(file) => self.close(file).await?,
            None => Vec::new(),
        };
        Ok(Part {
            data_files,
            written,
            leftover,
        })
    }

    async fn open(&self, names: &Names, written: &mut Written) -> Result<FileWriter, Error> {
        let names = names.recorded_by(written);
        let parquet = ParquetWriterBuilder::new(self.properties(), self.schema.clone());
        let rolling = RollingFileWriterBuilder::new(
            parquet,
            self.options.target_file_size,
            self.file_io.clone(),
            names.clone(),
            names,
        );
        let builder = DataFileWriterBuilder::new(rolling);
        builder
            .build(None)
            .await
            .map_err(|source| self.failed(source))
    }

    async fn close(&self, mut file: FileWriter) -> Result<Vec<DataFile>, Error> {
        let mut data_files = file.close().await.map_err(|source| self.failed(source))?;
        for file in &mut data_files {
            bounds::correct(&self.file_io, &self.schema, file)
                .await
                .map_err(|source| self.failed(source))?;
        }
        Ok(data_files)
    }

    fn properties(&self) -> WriterProperties {
        WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(self.options.row_group_rows))
            .set_max_row_group_bytes(Some(self.options.row_group_bytes))
            .set_created_by(concat!("rat version ", env!("CARGO_PKG_VERSION")).to_owned())
            .build()
    }

    fn failed(&self, source: iceberg::Error) -> Error {
        Error::write(&self.table, source)
    }
}

/// Bytes of the rows themselves; batches often are slices of something much larger.
fn memory_of(batch: &RecordBatch) -> usize {
    let size = |column: &ArrayRef| {
        let slice = column.to_data().get_slice_memory_size();
        slice.unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(size).sum()
}

#[cfg(test)]
mod tests;
