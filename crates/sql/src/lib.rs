//! One SQL text, two databases: SQLite for the embedded default, PostgreSQL for the appliance.
//!
//! ```no_run
//! # async fn example() -> Result<(), rat_sql::Error> {
//! use rat_sql::{Pool, sql};
//!
//! let pool = Pool::open(&"sqlite:/var/lib/example/example.db".parse()?).await?;
//! let name: Option<String> =
//!     pool.fetch_optional(sql!("SELECT name FROM things WHERE id = $1", 7_i64)).await?;
//! # Ok(()) }
//! ```
//!
//! - [`sql!`] makes a [`Query`] from a text with `$n` parameters and its values. SQLite reads a
//!   parameter without a value as NULL and says nothing, so both are counted: by the compiler for
//!   a constant text, and again when any query is executed ([`Error::Binds`]).
//! - [`Pool`] runs queries on either database. On SQLite there is one connection that writes,
//!   whose transactions begin with BEGIN IMMEDIATE, and a few that can only read: nobody ever has
//!   to turn a read lock into a write lock, which is what SQLITE_BUSY is made of.
//! - [`Pool::migrate`] applies numbered [`Migration`]s under a lock.
//!
//! What both databases understand alike, and what the queries therefore use: `$n` parameters,
//! `ON CONFLICT … DO UPDATE SET x = excluded.x`, `RETURNING`, `CAST(x AS BIGINT)`,
//! `LOWER(x) LIKE … ESCAPE '\'` ([`like_contains`]), `NULLS LAST`, row values, partial indexes.
//! Not `FOR UPDATE`, `ILIKE`, `::casts`, arrays or JSON operators. A row is locked by updating it.
//!
//! The crate deliberately is no query builder and no mapper, and shows no type of its driver.
//!
//! | Feature | Gives |
//! |---|---|
//! | `test-util` | `test_util`: a private PostgreSQL server for tests |

mod error;
mod migrate;
mod pool;
mod query;
mod retry;
mod row;
mod sqlite;
#[cfg(feature = "test-util")]
pub mod test_util;
mod transaction;
mod url;
mod value;

pub use error::{Error, Fault};
pub use migrate::Migration;
pub use pool::{Options, Pool};
pub use query::{Builder, Query, like_contains, parameters};
pub use retry::{Transient, retry};
pub use row::{Column, FromRow, Row};
pub use transaction::Transaction;
pub use url::{Backend, DatabaseUrl};
pub use value::Value;
