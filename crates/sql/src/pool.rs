//! Connections to either database.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgPool};

use crate::error::{beginning, cause};
use crate::sqlite::{self, Pools};
use crate::url::{Target, check_files};
use crate::{Backend, DatabaseUrl, Error, Fault, FromRow, Query, Row, Transaction, sql};

/// How connections are kept. The defaults are right for a daemon.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections to PostgreSQL. Default 10.
    pub postgres_connections: u32,
    /// Connections to SQLite that read; one more writes. Default 4.
    pub sqlite_readers: u32,
    /// How long to wait for a free connection, or for the server to accept one. Default 5 s.
    pub acquire_timeout: Duration,
    /// After how long PostgreSQL stops a statement; a little later we stop waiting for either
    /// database. Default 30 s.
    pub statement_timeout: Duration,
    /// How long to wait while another process migrates. Default 60 s.
    pub migration_lock_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            postgres_connections: 10,
            sqlite_readers: 4,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            migration_lock_timeout: Duration::from_secs(60),
        }
    }
}

/// Connections to a database. Cheap to clone; all clones share them.
///
/// Whoever holds a [`Transaction`] and uses the pool beside it waits for itself on SQLite in
/// memory, which has one connection, and may do so elsewhere: use the transaction.
#[derive(Debug, Clone)]
pub struct Pool {
    pub(crate) inner: Inner,
    pub(crate) options: Options,
}

#[derive(Debug, Clone)]
pub(crate) enum Inner {
    Sqlite(Pools),
    Postgres {
        pool: PgPool,
        connect: Box<PgConnectOptions>,
        url: DatabaseUrl,
    },
}

impl Pool {
    /// Opens `url` with default [`Options`].
    ///
    /// # Errors
    /// The file cannot be created, or the server cannot be reached in time or refuses us.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, Error> {
        Self::open_with(url, Options::default()).await
    }

    /// Opens `url`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(url: &DatabaseUrl, options: Options) -> Result<Self, Error> {
        let inner = match &url.0 {
            Target::SqliteMemory => Inner::Sqlite(
                sqlite::open_memory(&options)
                    .await
                    .map_err(|source| open_error(url, source))?,
            ),
            Target::SqliteFile(path) => {
                Inner::Sqlite(sqlite::open_file(url, path, &options).await?)
            }
            Target::Postgres {
                options: connect,
                files,
                ..
            } => {
                check_files(files)
                    .await
                    .map_err(|source| open_error(url, source))?;
                open_postgres(url, connect, &options).await?
            }
        };
        Ok(Self { inner, options })
    }

    /// Which sort of database this is.
    pub fn backend(&self) -> Backend {
        match &self.inner {
            Inner::Sqlite(_) => Backend::Sqlite,
            Inner::Postgres { .. } => Backend::Postgres,
        }
    }

    /// Executes a statement and answers how many rows it changed.
    ///
    /// # Errors
    /// The database fails, or the values do not match the parameters.
    pub async fn execute(&self, query: Query) -> Result<u64, Error> {
        query.check()?;
        let text = query.text().to_owned();
        let statement = async {
            Ok(match &self.inner {
                Inner::Sqlite(pools) => query
                    .into_sqlite()
                    .execute(&pools.writer)
                    .await?
                    .rows_affected(),
                Inner::Postgres { pool, .. } => {
                    query.into_postgres().execute(pool).await?.rows_affected()
                }
            })
        };
        self.within_deadline(&text, statement).await
    }

    /// Executes a statement and answers its rows. On SQLite, one that begins with SELECT or WITH
    /// runs on a connection that cannot write, beside a writer and without waiting for it.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn fetch_rows(&self, query: Query) -> Result<Vec<Row>, Error> {
        query.check()?;
        let text = query.text().to_owned();
        let statement = async {
            Ok(match &self.inner {
                Inner::Sqlite(pools) => {
                    let pool = if query.reads() {
                        &pools.reader
                    } else {
                        &pools.writer
                    };
                    let rows = query.into_sqlite().fetch_all(pool).await?;
                    rows.into_iter().map(Row::sqlite).collect()
                }
                Inner::Postgres { pool, .. } => {
                    let rows = query.into_postgres().fetch_all(pool).await?;
                    rows.into_iter().map(Row::postgres).collect()
                }
            })
        };
        self.within_deadline(&text, statement).await
    }

    /// [`fetch_rows`](Self::fetch_rows), decoded.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), or a row cannot be decoded.
    pub async fn fetch_all<T: FromRow>(&self, query: Query) -> Result<Vec<T>, Error> {
        self.fetch_rows(query)
            .await?
            .iter()
            .map(T::from_row)
            .collect()
    }

    /// The first row, if there is one. All rows are read: a statement that is left half-way may
    /// not have taken effect.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn fetch_optional_row(&self, query: Query) -> Result<Option<Row>, Error> {
        Ok(self.fetch_rows(query).await?.into_iter().next())
    }

    /// [`fetch_optional_row`](Self::fetch_optional_row), decoded.
    ///
    /// # Errors
    /// As [`fetch_all`](Self::fetch_all).
    pub async fn fetch_optional<T: FromRow>(&self, query: Query) -> Result<Option<T>, Error> {
        self.fetch_optional_row(query)
            .await?
            .as_ref()
            .map(T::from_row)
            .transpose()
    }

    /// The first row, which there must be.
    ///
    /// # Errors
    /// As [`fetch_all`](Self::fetch_all), or [`Error::NoRow`].
    pub async fn fetch_one<T: FromRow>(&self, query: Query) -> Result<T, Error> {
        let statement = beginning(query.text());
        self.fetch_optional(query)
            .await?
            .ok_or(Error::NoRow { statement })
    }

    /// Begins a transaction. On SQLite it holds the write lock from now on, on PostgreSQL its
    /// statements each see what was committed before they began (READ COMMITTED).
    ///
    /// # Errors
    /// The database fails, or no connection gets free in time.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        let begin = async {
            Ok(match &self.inner {
                Inner::Sqlite(pools) => Transaction::sqlite(sqlite::begin(&pools.writer).await?),
                Inner::Postgres { pool, .. } => Transaction::postgres(pool.begin().await?),
            })
        };
        let transaction = self.within_deadline("BEGIN", begin).await?;
        Ok(transaction.with_deadline(self.deadline()))
    }

    /// Asks the database for a sign of life: of the one connection that writes, on SQLite.
    ///
    /// # Errors
    /// It does not answer in time.
    pub async fn ping(&self) -> Result<(), Error> {
        if self.backend() == Backend::Sqlite {
            return self.begin().await?.rollback().await;
        }
        self.fetch_one::<i64>(sql!("SELECT CAST(1 AS BIGINT)"))
            .await?;
        Ok(())
    }

    /// Waits for statements under way and closes every connection. Later calls fail.
    pub async fn close(&self) {
        match &self.inner {
            Inner::Sqlite(pools) => {
                pools.reader.close().await;
                pools.writer.close().await;
            }
            Inner::Postgres { pool, .. } => pool.close().await,
        }
    }

    /// A little more than the server's own limit, so that its answer wins: a statement that we
    /// give up may still take effect.
    fn deadline(&self) -> Duration {
        self.options.acquire_timeout + self.options.statement_timeout + Duration::from_secs(5)
    }

    async fn within_deadline<T>(
        &self,
        text: &str,
        statement: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, Error> {
        within(self.deadline(), text, statement).await
    }
}

/// Gives up waiting for `statement` after `deadline`.
pub(crate) async fn within<T>(
    deadline: Duration,
    text: &str,
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(deadline, statement).await {
        Ok(outcome) => outcome.map_err(|source| Error::statement(text, source)),
        Err(_) => Err(Error::Timeout {
            statement: beginning(text),
            after: deadline,
        }),
    }
}

async fn open_postgres(
    url: &DatabaseUrl,
    connect: &PgConnectOptions,
    options: &Options,
) -> Result<Inner, Error> {
    let limit = format!("{}ms", options.statement_timeout.as_millis());
    let limited = connect.clone().options([
        ("statement_timeout", limit.as_str()),
        ("lock_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "60s"),
    ]);
    let limited = match connect.get_application_name() {
        Some(_) => limited,
        None => limited.application_name("rat"),
    };
    let opened = PgPoolOptions::new()
        .max_connections(options.postgres_connections.max(1))
        .acquire_timeout(options.acquire_timeout)
        .connect_with(limited.clone())
        .await;
    let pool = match opened {
        Err(sqlx::Error::PoolTimedOut) => Err(why_not(&limited).await),
        opened => opened,
    }
    .map_err(|source| open_error(url, source))?;
    let connect = Box::new(connect.clone());
    Ok(Inner::Postgres {
        pool,
        connect,
        url: url.clone(),
    })
}

/// Why there was no connection: the pool tries again where one is refused, and only says at the
/// end that time has run out.
async fn why_not(connect: &PgConnectOptions) -> sqlx::Error {
    match tokio::time::timeout(Duration::from_secs(1), connect.connect()).await {
        Ok(Err(reason)) => reason,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}

pub(crate) fn open_error(url: &DatabaseUrl, source: sqlx::Error) -> Error {
    let fault = Fault::of(&source);
    Error::Open {
        database: url.to_string(),
        fault,
        source: cause(source),
    }
}
