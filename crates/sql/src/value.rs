//! Values of parameters, in the few types that both databases have.

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArguments};

/// A value for a parameter; `None` is NULL of that type.
///
/// Texts lose zero characters (U+FFFD takes their place), which PostgreSQL cannot store. Times are
/// cut to microseconds, which is what PostgreSQL stores. Integers above `i64::MAX` become that.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// BOOLEAN.
    Bool(Option<bool>),
    /// BIGINT.
    Integer(Option<i64>),
    /// TEXT.
    Text(Option<String>),
    /// BYTEA or BLOB.
    Bytes(Option<Vec<u8>>),
    /// TIMESTAMPTZ, or DATETIME as RFC 3339 text that sorts by time.
    Time(Option<DateTime<Utc>>),
}

macro_rules! from {
    ($variant:ident: $($ty:ty => |$value:ident| $convert:expr,)+) => {
        $(
            impl From<$ty> for Value {
                fn from($value: $ty) -> Self {
                    Self::$variant(Some($convert))
                }
            }
            impl From<Option<$ty>> for Value {
                fn from(value: Option<$ty>) -> Self {
                    Self::$variant(value.map(|$value| $convert))
                }
            }
        )+
    };
}

from! { Bool: bool => |value| value, }
from! { Integer:
    i64 => |value| value,
    i32 => |value| i64::from(value),
    u32 => |value| i64::from(value),
    u64 => |value| i64::try_from(value).unwrap_or(i64::MAX),
}
from! { Text:
    &str => |value| text(value.to_owned()),
    &String => |value| text(value.clone()),
    String => |value| text(value),
}
from! { Bytes:
    &[u8] => |value| value.to_vec(),
    Vec<u8> => |value| value,
}
from! { Time: DateTime<Utc> => |value| value.trunc_subsecs(6), }

fn text(value: String) -> String {
    if value.contains('\0') {
        value.replace('\0', "\u{fffd}")
    } else {
        value
    }
}

type SqliteQuery = sqlx::query::Query<'static, Sqlite, SqliteArguments>;
type PostgresQuery = sqlx::query::Query<'static, Postgres, PgArguments>;

impl Value {
    pub(crate) fn bind_sqlite(self, query: SqliteQuery) -> SqliteQuery {
        match self {
            Self::Bool(value) => query.bind(value),
            Self::Integer(value) => query.bind(value),
            Self::Text(value) => query.bind(value),
            Self::Bytes(value) => query.bind(value),
            // The driver would leave out trailing zeros; a fixed width compares like the time.
            Self::Time(value) => {
                query.bind(value.map(|time| time.to_rfc3339_opts(SecondsFormat::Micros, true)))
            }
        }
    }

    pub(crate) fn bind_postgres(self, query: PostgresQuery) -> PostgresQuery {
        match self {
            Self::Bool(value) => query.bind(value),
            Self::Integer(value) => query.bind(value),
            Self::Text(value) => query.bind(value),
            Self::Bytes(value) => query.bind(value),
            Self::Time(value) => query.bind(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_brought_into_a_form_that_both_databases_keep() {
        assert_eq!(
            Value::from("a\0b"),
            Value::Text(Some("a\u{fffd}b".to_owned()))
        );
        assert_eq!(Value::from(u64::MAX), Value::Integer(Some(i64::MAX)));
        assert_eq!(Value::from(None::<&str>), Value::Text(None));
        let nanoseconds = DateTime::from_timestamp(1, 123_456_789).unwrap();
        let microseconds = DateTime::from_timestamp(1, 123_456_000).unwrap();
        assert_eq!(Value::from(nanoseconds), Value::Time(Some(microseconds)));
    }
}
