//! The lock under which migrations are applied.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::pool::{Inner, open_error, within};
use crate::sqlite::FileLock;
use crate::{DatabaseUrl, Error};

/// Key of the advisory lock, the bytes of "rat". PostgreSQL keeps such locks per database.
const KEY: i64 = 0x0072_6174;
const PAUSE: Duration = Duration::from_millis(20);
const DEADLINE: Duration = Duration::from_secs(10);

/// Held while migrating. Whatever happens to its holder, the kernel or the server frees it.
pub(super) enum Lock {
    /// Nobody else can reach a database in memory.
    Memory,
    File(FileLock),
    Advisory(PgConnection),
}

impl Lock {
    pub(super) async fn acquire(inner: &Inner, timeout: Duration) -> Result<Self, Error> {
        match inner {
            Inner::Sqlite(pools) => match &pools.file {
                None => Ok(Self::Memory),
                Some(file) => Ok(Self::File(FileLock::acquire(file, timeout).await?)),
            },
            Inner::Postgres { connect, url, .. } => advisory(url, connect, timeout).await,
        }
    }

    pub(super) async fn release(self) {
        match self {
            Self::Memory => {}
            Self::File(lock) => drop(lock),
            // The lock ends with its session.
            Self::Advisory(connection) => {
                let closing = connection.close();
                if let Err(error) = within(DEADLINE, "close", closing).await {
                    tracing::warn!(%error, "failed to close the connection of the migration lock");
                }
            }
        }
    }
}

/// Asks again and again instead of waiting in the server, so that no time limit of a session or
/// of a proxy in between ends the wait.
async fn advisory(
    url: &DatabaseUrl,
    connect: &PgConnectOptions,
    timeout: Duration,
) -> Result<Lock, Error> {
    const TRY: &str = "SELECT pg_try_advisory_lock($1)";
    let connection = tokio::time::timeout(DEADLINE, connect.connect()).await;
    let mut connection = connection
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
        .map_err(|source| open_error(url, source))?;
    let deadline = tokio::time::Instant::now() + timeout;
    loop {
        let attempt = sqlx::query_scalar::<_, bool>(TRY)
            .bind(KEY)
            .fetch_one(&mut connection);
        if within(DEADLINE, TRY, attempt).await? {
            return Ok(Lock::Advisory(connection));
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(Error::MigrationLock { after: timeout });
        }
        tokio::time::sleep(PAUSE).await;
    }
}
