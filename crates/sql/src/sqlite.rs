//! How an SQLite database is opened.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Sqlite, SqliteConnection, SqlitePool};

use crate::pool::Options;
use crate::{DatabaseUrl, Error};

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The connections to one SQLite database.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    /// One connection. Who writes waits here for its turn, and never for SQLite's lock, unless
    /// another process writes too.
    pub(crate) writer: SqlitePool,
    /// Connections that cannot write. In memory there is one connection for everything.
    pub(crate) reader: SqlitePool,
    /// The file, unless the database is in memory.
    pub(crate) file: Option<PathBuf>,
}

pub(crate) async fn open_memory(options: &Options) -> Result<Pools, sqlx::Error> {
    let connect = connect_options().in_memory(true);
    // A second connection, or a new one after this was closed, would see an empty database.
    let writer = pool_options(options, 1).connect_with(connect).await?;
    Ok(Pools {
        reader: writer.clone(),
        writer,
        file: None,
    })
}

pub(crate) async fn open_file(
    url: &DatabaseUrl,
    path: &Path,
    options: &Options,
) -> Result<Pools, Error> {
    create_private(path).map_err(|source| create_error(path, source))?;
    // Changing to WAL needs the file for oneself and does not wait for its turn: so we do.
    let _lock = FileLock::acquire(path, options.migration_lock_timeout).await?;
    let open_error = |source| crate::pool::open_error(url, source);
    let connect = connect_options().filename(path).create_if_missing(false);
    let writing = connect.clone().journal_mode(SqliteJournalMode::Wal);
    let writer = pool_options(options, 1)
        .before_acquire(|connection, _| Box::pin(is_clean(connection)))
        .connect_with(writing)
        .await
        .map_err(open_error)?;
    let reading = connect.pragma("query_only", "ON");
    let reader = pool_options(options, options.sqlite_readers.max(1))
        .connect_with(reading)
        .await
        .map_err(open_error)?;
    Ok(Pools {
        writer,
        reader,
        file: Some(path.to_owned()),
    })
}

/// Options of every connection.
///
/// `synchronous` is FULL: with WAL, NORMAL leaves out the sync at commit, and a power cut would
/// take back the last transactions. They would not damage the file, but ratd has answered them:
/// a client that was told "committed" would find the table's pointer where it was before. One sync
/// of a few kilobytes per commit is the price.
fn connect_options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .synchronous(SqliteSynchronous::Full)
}

fn pool_options(options: &Options, connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(options.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        // There is no network between us and the file that could have gone away.
        .test_before_acquire(false)
}

/// Whether a connection can begin a transaction; one that cannot is replaced.
///
/// When a COMMIT fails for want of space, SQLite has ended the transaction by itself; the rollback
/// that follows fails, and the driver would think for ever that one is open.
async fn is_clean(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // A rollback that is under way comes first.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Creates the file, readable for its owner only, if there is none. SQLite gives the files beside
/// it (`-wal`, `-shm`) the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

fn create_error(path: &Path, source: io::Error) -> Error {
    Error::Create {
        path: path.to_owned(),
        source,
    }
}

/// A lock between processes: a file beside the database, locked by the kernel, so that it is free
/// again whatever happens to its holder. The file stays: removing it would let two processes lock
/// two files of the same name.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

impl FileLock {
    pub(crate) async fn acquire(database: &Path, timeout: Duration) -> Result<Self, Error> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| create_error(&path, source))?;
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(source)) => return Err(create_error(&path, source)),
                Err(TryLockError::WouldBlock) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::MigrationLock { after: timeout });
                }
            }
        }
    }
}

/// A transaction that takes the write lock at once, instead of when it first writes.
pub(crate) async fn begin(
    writer: &SqlitePool,
) -> Result<sqlx::Transaction<'static, Sqlite>, sqlx::Error> {
    writer.begin_with("BEGIN IMMEDIATE").await
}
