//! Several statements that take effect together or not at all.

use std::time::Duration;

use sqlx::{Postgres, Sqlite};

use crate::error::beginning;
use crate::pool::within;
use crate::{Error, FromRow, Query, Row};

/// A transaction, from [`Pool::begin`](crate::Pool::begin). Dropped without
/// [`commit`](Self::commit) it is rolled back.
///
/// On PostgreSQL a failed statement makes the whole transaction fail: do not go on after an error.
#[derive(Debug)]
pub struct Transaction {
    inner: Inner,
    deadline: Duration,
}

#[derive(Debug)]
enum Inner {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Transaction {
    pub(crate) fn sqlite(transaction: sqlx::Transaction<'static, Sqlite>) -> Self {
        Self {
            inner: Inner::Sqlite(transaction),
            deadline: Duration::MAX,
        }
    }

    pub(crate) fn postgres(transaction: sqlx::Transaction<'static, Postgres>) -> Self {
        Self {
            inner: Inner::Postgres(transaction),
            deadline: Duration::MAX,
        }
    }

    pub(crate) fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Executes a statement and answers how many rows it changed.
    ///
    /// # Errors
    /// The database fails, or the values do not match the parameters.
    pub async fn execute(&mut self, query: Query) -> Result<u64, Error> {
        query.check()?;
        let text = query.text().to_owned();
        let inner = &mut self.inner;
        let statement = async {
            Ok(match inner {
                Inner::Sqlite(tx) => query
                    .into_sqlite()
                    .execute(&mut **tx)
                    .await?
                    .rows_affected(),
                Inner::Postgres(tx) => query
                    .into_postgres()
                    .execute(&mut **tx)
                    .await?
                    .rows_affected(),
            })
        };
        within(self.deadline, &text, statement).await
    }

    /// Executes a statement and answers its rows.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn fetch_rows(&mut self, query: Query) -> Result<Vec<Row>, Error> {
        query.check()?;
        let text = query.text().to_owned();
        let inner = &mut self.inner;
        let statement = async {
            Ok(match inner {
                Inner::Sqlite(tx) => {
                    let rows = query.into_sqlite().fetch_all(&mut **tx).await?;
                    rows.into_iter().map(Row::sqlite).collect()
                }
                Inner::Postgres(tx) => {
                    let rows = query.into_postgres().fetch_all(&mut **tx).await?;
                    rows.into_iter().map(Row::postgres).collect()
                }
            })
        };
        within(self.deadline, &text, statement).await
    }

    /// [`fetch_rows`](Self::fetch_rows), decoded.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), or a row cannot be decoded.
    pub async fn fetch_all<T: FromRow>(&mut self, query: Query) -> Result<Vec<T>, Error> {
        self.fetch_rows(query)
            .await?
            .iter()
            .map(T::from_row)
            .collect()
    }

    /// The first row, if there is one, decoded.
    ///
    /// # Errors
    /// As [`fetch_all`](Self::fetch_all).
    pub async fn fetch_optional<T: FromRow>(&mut self, query: Query) -> Result<Option<T>, Error> {
        self.fetch_rows(query)
            .await?
            .first()
            .map(T::from_row)
            .transpose()
    }

    /// The first row, which there must be.
    ///
    /// # Errors
    /// As [`fetch_all`](Self::fetch_all), or [`Error::NoRow`].
    pub async fn fetch_one<T: FromRow>(&mut self, query: Query) -> Result<T, Error> {
        let statement = beginning(query.text());
        self.fetch_optional(query)
            .await?
            .ok_or(Error::NoRow { statement })
    }

    /// Executes a script of several statements without parameters.
    pub(crate) async fn script(&mut self, text: &'static str) -> Result<(), Error> {
        let inner = &mut self.inner;
        let script = async {
            match inner {
                Inner::Sqlite(tx) => sqlx::raw_sql(text).execute(&mut **tx).await.map(drop),
                Inner::Postgres(tx) => sqlx::raw_sql(text).execute(&mut **tx).await.map(drop),
            }
        };
        within(self.deadline, text, script).await
    }

    /// Makes everything take effect.
    ///
    /// # Errors
    /// The database fails; then nothing took effect, or (after a time-out or a lost connection)
    /// that is unknown.
    pub async fn commit(self) -> Result<(), Error> {
        let Self { inner, deadline } = self;
        let commit = async {
            match inner {
                Inner::Sqlite(tx) => tx.commit().await,
                Inner::Postgres(tx) => tx.commit().await,
            }
        };
        within(deadline, "COMMIT", commit).await
    }

    /// Takes everything back, and says whether that worked. Dropping does the same later.
    ///
    /// # Errors
    /// The database fails.
    pub async fn rollback(self) -> Result<(), Error> {
        let Self { inner, deadline } = self;
        let rollback = async {
            match inner {
                Inner::Sqlite(tx) => tx.rollback().await,
                Inner::Postgres(tx) => tx.rollback().await,
            }
        };
        within(deadline, "ROLLBACK", rollback).await
    }
}
