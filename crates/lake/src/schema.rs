//! Arrow schemas and Iceberg schemas: mapping, evolution, and casting batches from one to the
//! other.
//!
//! | Arrow | Iceberg |
//! |---|---|
//! | `Boolean` | boolean |
//! | `Int8`, `Int16`, `Int32`, `UInt8`, `UInt16` | int |
//! | `Int64`, `UInt32` | long |
//! | `UInt64` | decimal(20, 0) |
//! | `Float16`, `Float32` / `Float64` | float / double |
//! | `Decimal32`, `64`, `128`, `256` up to 38 digits | decimal |
//! | `Date32`, `Date64` | date |
//! | `Time32`, `Time64` | time (microseconds) |
//! | `Timestamp` without / with zone, any unit | timestamp / timestamptz (microseconds, UTC) |
//! | `Utf8` and its kin, `Null` | string |
//! | `Binary` and its kin / `FixedSizeBinary` | binary / fixed |
//! | lists, maps, structs, dictionaries | list, map, struct, the dictionary's values |
//!
//! Everything else (intervals, durations, unions, longer decimals) is an error that names the
//! column. Every field is optional: a query's literals and `CASE`s are never null *today*, and a
//! required column would refuse tomorrow's rows.
//!
//! Timestamps become microseconds because Iceberg's format version 2 knows no other unit.

mod coerce;
mod evolve;
mod mapping;
mod shape;

pub use coerce::Coercion;
pub use evolve::{Evolution, evolve};
pub use mapping::{table_schema, type_of, without_ids};
pub(crate) use shape::{Shape, Source};

use rat_types::Kind;

/// A query's columns do not fit Iceberg or the table.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A query without columns makes no table.
    #[error("the query has no columns")]
    NoColumns,
    /// Cast the column in the query to a type that tables can hold.
    #[error("column {column:?} has type {arrow}, which a table cannot hold; cast it in the query")]
    UnsupportedType {
        /// Path of the column, with dots.
        column: String,
        /// Its Arrow type.
        arrow: String,
    },
    /// Rename one of the two in the query. Iceberg readers do not all tell upper from lower case.
    #[error("columns {first:?} and {second:?} have the same name, apart from case")]
    DuplicateColumn {
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// Rename the column in the query.
    #[error("column name {column:?} is reserved by Iceberg or empty")]
    ReservedName {
        /// The name.
        column: String,
    },
    /// Cast the column in the query, or replace the table by a full refresh.
    #[error("column {column:?} has type {incoming}, but the table's column has {existing}")]
    Incompatible {
        /// Path of the column.
        column: String,
        /// Type of the table's column.
        existing: String,
        /// Type that the query's column maps to.
        incoming: String,
    },
    /// The table, which something else created, demands a value in every row.
    #[error("column {column:?} is required by the table, but the query does not have it")]
    MissingRequired {
        /// The column.
        column: String,
    },
    /// A value does not fit the column, for example a timestamp out of range, or a null in a
    /// required column.
    #[error("the values of column {column:?} do not fit type {target}")]
    Cast {
        /// The column.
        column: String,
        /// Type of the table's column.
        target: String,
        /// Why.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// The schema is not one that Iceberg allows.
    #[error("the columns make no valid table schema")]
    Invalid {
        /// Why.
        #[source]
        source: Box<iceberg::Error>,
    },
}

impl SchemaError {
    /// The sort of failure.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoColumns
            | Self::UnsupportedType { .. }
            | Self::DuplicateColumn { .. }
            | Self::ReservedName { .. }
            | Self::Incompatible { .. }
            | Self::MissingRequired { .. }
            | Self::Cast { .. }
            | Self::Invalid { .. } => Kind::InvalidArgument,
        }
    }

    /// The stable name of the failure.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoColumns => "SCHEMA_EMPTY",
            Self::UnsupportedType { .. } => "SCHEMA_TYPE_UNSUPPORTED",
            Self::DuplicateColumn { .. } => "SCHEMA_DUPLICATE_COLUMN",
            Self::ReservedName { .. } => "SCHEMA_RESERVED_NAME",
            Self::Incompatible { .. } | Self::MissingRequired { .. } => "SCHEMA_INCOMPATIBLE",
            Self::Cast { .. } => "SCHEMA_VALUE_OUT_OF_RANGE",
            Self::Invalid { .. } => "SCHEMA_INVALID",
        }
    }
}

fn invalid(source: iceberg::Error) -> SchemaError {
    SchemaError::Invalid {
        source: Box::new(source),
    }
}
