//! Writes TPC-H data into files, in a stream: no table is ever in memory.
//!
//! A file has its final name only when it is complete and on disk, so whatever has its final name
//! need not be made again. The folder carries the scale: another scale is other data.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use arrow::csv::ReaderBuilder;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tokio::task::JoinSet;

use super::tables::{FileFormat, NextRow, TABLES, Table};
use crate::output::{Console, Tone, bytes};
use crate::progress::{Counter, Task, Unit};

/// Rows that are converted at a time.
const BATCH: usize = 8192;
/// Rows of a Parquet row group.
const ROW_GROUP: usize = 128 * 1024;
/// CSV text that is produced ahead of whoever reads it.
const CHUNK: usize = 256 * 1024;

/// A file with data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produced {
    /// Table whose rows it has.
    pub table: &'static str,
    /// The file.
    pub path: PathBuf,
}

/// Makes the files of all tables below `folder`, except those that are there.
///
/// # Errors
/// A file cannot be written.
pub async fn generate(console: &Console, folder: &Path, scale: f64) -> Result<Vec<Produced>> {
    let folder = folder.join(format!("tpch-{scale}"));
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create folder {}", folder.display()))?;
    let stop = StopOnDrop::default();
    let mut produced = Vec::new();
    for table in TABLES {
        let files: Vec<PathBuf> = table.files().iter().map(|name| folder.join(name)).collect();
        let missing: Vec<(usize, PathBuf)> = files
            .iter()
            .cloned()
            .enumerate()
            .filter(|(_, file)| !file.exists())
            .collect();
        produced.extend(files.iter().map(|path| Produced {
            table: table.name,
            path: path.clone(),
        }));
        let task = Task::sized(console, table.name, table.estimated_rows(scale), Unit::Rows);
        if missing.is_empty() {
            task.end(
                Tone::Dim,
                "up to date",
                &format!("{:>12}", bytes(size_of(&files)?)),
            );
            continue;
        }
        task.set(
            (files.len() - missing.len()) as u64 * table.estimated_rows(scale) / files.len() as u64,
        );
        write_parts(table, scale, files.len(), missing, &task, &stop).await?;
        task.end(
            Tone::Good,
            "generated",
            &format!("{:>12}", bytes(size_of(&files)?)),
        );
    }
    Ok(produced)
}

fn size_of(files: &[PathBuf]) -> Result<u64> {
    files.iter().try_fold(0, |sum, file| {
        let meta = fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(sum + meta.len())
    })
}

/// Writes the missing parts of a table, as many at a time as there are processors.
async fn write_parts(
    table: Table,
    scale: f64,
    parts: usize,
    missing: Vec<(usize, PathBuf)>,
    task: &Task,
    stop: &StopOnDrop,
) -> Result<()> {
    let parallel = std::thread::available_parallelism().map_or(1, usize::from);
    let mut missing = missing.into_iter();
    let mut active = JoinSet::new();
    loop {
        while active.len() < parallel
            && let Some((index, path)) = missing.next()
        {
            let (counter, stop) = (task.counter(), Arc::clone(&stop.0));
            let part = i32::try_from(index + 1).context("too many parts")?;
            let parts = i32::try_from(parts).context("too many parts")?;
            active.spawn_blocking(move || {
                let (header, next) = table.rows(scale, part, parts);
                let rows = Rows::new(header, next, counter, stop);
                write_file(table, rows, &path)
                    .with_context(|| format!("cannot write {}", path.display()))
            });
        }
        match active.join_next().await {
            None => return Ok(()),
            Some(written) => written.context("the generator failed")??,
        }
    }
}

/// Whoever generates stops when nobody waits for the result any more.
#[derive(Debug, Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn write_file(table: Table, rows: Rows, path: &Path) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let temporary = path.with_file_name(name);
    let file = File::create(&temporary)?;
    let file = match table.format {
        FileFormat::Csv => write_csv(rows, file)?,
        FileFormat::Parquet => write_parquet(table, rows, file)?,
    };
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    Ok(())
}

fn write_csv(mut rows: Rows, file: File) -> Result<File> {
    let mut out = BufWriter::with_capacity(CHUNK, file);
    io::copy(&mut rows, &mut out)?;
    out.flush()?;
    out.into_inner().map_err(|error| error.into_error().into())
}

fn write_parquet(table: Table, rows: Rows, file: File) -> Result<File> {
    let schema = Arc::new(table.schema());
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .build();
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?;
    let reader = ReaderBuilder::new(schema)
        .with_header(true)
        .with_batch_size(BATCH)
        .build_buffered(BufReader::with_capacity(CHUNK, rows))?;
    for batch in reader {
        writer.write(&batch?)?;
    }
    Ok(writer.into_inner()?)
}

/// CSV text with a header line, made while it is read.
struct Rows {
    next: NextRow,
    buffer: Vec<u8>,
    position: usize,
    counter: Counter,
    stop: Arc<AtomicBool>,
}

impl Rows {
    fn new(header: &str, next: NextRow, counter: Counter, stop: Arc<AtomicBool>) -> Self {
        Self {
            next,
            buffer: format!("{header}\n").into_bytes(),
            position: 0,
            counter,
            stop,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("it was interrupted"));
        }
        self.buffer.clear();
        self.position = 0;
        let mut rows = 0;
        while self.buffer.len() < CHUNK && (self.next)(&mut self.buffer) {
            rows += 1;
        }
        self.counter.add(rows);
        Ok(())
    }
}

impl Read for Rows {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.position == self.buffer.len() {
            self.refill()?;
        }
        let length = out.len().min(self.buffer.len() - self.position);
        out[..length].copy_from_slice(&self.buffer[self.position..self.position + length]);
        self.position += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Settings;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    fn console() -> Console {
        Console::new(Settings {
            colour_out: false,
            colour_err: false,
            bars: false,
            width: None,
        })
    }

    #[tokio::test]
    async fn all_tables_are_generated_completely_and_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = generate(&console(), folder.path(), 0.001).await.unwrap();
        assert_eq!(files.len(), 6 + 4 + 4);
        let rows = |name: &str| -> usize {
            files
                .iter()
                .filter(|file| file.table == name)
                .map(
                    |file| match file.path.extension().unwrap().to_str().unwrap() {
                        "csv" => fs::read_to_string(&file.path).unwrap().lines().count() - 1,
                        _ => {
                            let file = File::open(&file.path).unwrap();
                            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
                            reader
                                .build()
                                .unwrap()
                                .map(|batch| batch.unwrap().num_rows())
                                .sum()
                        }
                    },
                )
                .sum()
        };
        let counts: Vec<usize> = TABLES.iter().map(|table| rows(table.name)).collect();
        assert_eq!(counts, [5, 25, 10, 150, 200, 800, 1500, 6005]);

        let first = fs::metadata(&files[13].path).unwrap().modified().unwrap();
        fs::remove_file(&files[0].path).unwrap();
        generate(&console(), folder.path(), 0.001).await.unwrap();
        assert!(files[0].path.exists(), "what is missing is made again");
        let again = fs::metadata(&files[13].path).unwrap().modified().unwrap();
        assert_eq!(first, again, "what is there is left alone");
    }
}
