//! Rows of either database, read column by column into plain types.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::Error;
use crate::error::Source;

/// A row.
pub struct Row(Inner);

enum Inner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What can be made from a row.
pub trait FromRow: Sized {
    /// Reads the row.
    ///
    /// # Errors
    /// A column is missing, or holds something else than expected.
    fn from_row(row: &Row) -> Result<Self, Error>;
}

/// What can be read from one column. Not to be implemented elsewhere.
pub trait Column: Sized {
    #[doc(hidden)]
    fn read(row: &Row, column: Which<'_>) -> Result<Self, Source>;
}

/// A column by name, or the first.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Which<'a> {
    Named(&'a str),
    First,
}

impl Row {
    pub(crate) fn sqlite(row: SqliteRow) -> Self {
        Self(Inner::Sqlite(row))
    }

    pub(crate) fn postgres(row: PgRow) -> Self {
        Self(Inner::Postgres(row))
    }

    /// The value of `column`.
    ///
    /// # Errors
    /// There is no such column, or it has another type, or NULL where the type has no `None`.
    pub fn get<T: Column>(&self, column: &str) -> Result<T, Error> {
        T::read(self, Which::Named(column)).map_err(|source| Error::column(column, source))
    }

    /// The text in `column`, parsed.
    ///
    /// # Errors
    /// As [`get`](Self::get), or the text cannot be parsed.
    pub fn parse<T>(&self, column: &str) -> Result<T, Error>
    where
        T: FromStr<Err: Into<Source>>,
    {
        let text: String = self.get(column)?;
        text.parse().map_err(|source| Error::column(column, source))
    }

    /// The JSON text in `column`, decoded.
    ///
    /// # Errors
    /// As [`get`](Self::get), or the text is not the JSON of a `T`.
    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, Error> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|source| Error::column(column, source))
    }

    /// The JSON text in `column`, decoded; `None` for NULL.
    ///
    /// # Errors
    /// As [`json`](Self::json).
    pub fn optional_json<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, Error> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|source| Error::column(column, source))
    }
}

const UNEXPECTED_NULL: &str = "unexpected NULL";

macro_rules! native {
    ($($ty:ty),+) => {
        $(
            impl Column for $ty {
                fn read(row: &Row, column: Which<'_>) -> Result<Self, Source> {
                    // Asked for a plain number, the driver of SQLite makes 0 of NULL.
                    Option::<$ty>::read(row, column)?.ok_or_else(|| UNEXPECTED_NULL.into())
                }
            }

            impl Column for Option<$ty> {
                fn read(row: &Row, column: Which<'_>) -> Result<Self, Source> {
                    Ok(match (&row.0, column) {
                        (Inner::Sqlite(row), Which::Named(name)) => row.try_get(name)?,
                        (Inner::Sqlite(row), Which::First) => row.try_get(0)?,
                        (Inner::Postgres(row), Which::Named(name)) => row.try_get(name)?,
                        (Inner::Postgres(row), Which::First) => row.try_get(0)?,
                    })
                }
            }
        )+
    };
}

native!(bool, i64, String, Vec<u8>, DateTime<Utc>);

macro_rules! narrowed {
    ($($ty:ty),+) => {
        $(
            impl Column for $ty {
                fn read(row: &Row, column: Which<'_>) -> Result<Self, Source> {
                    Ok(Self::try_from(i64::read(row, column)?)?)
                }
            }

            impl Column for Option<$ty> {
                fn read(row: &Row, column: Which<'_>) -> Result<Self, Source> {
                    Ok(Option::<i64>::read(row, column)?.map(<$ty>::try_from).transpose()?)
                }
            }
        )+
    };
}

narrowed!(u32, u64);

/// A single value is the first column.
macro_rules! scalar {
    ($($ty:ty),+) => {
        $(
            impl FromRow for $ty {
                fn from_row(row: &Row) -> Result<Self, Error> {
                    Self::read(row, Which::First).map_err(|source| Error::column("1", source))
                }
            }
        )+
    };
}

scalar!(bool, i64, u32, u64, String, Vec<u8>, DateTime<Utc>);
