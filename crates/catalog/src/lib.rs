//! ratd's Iceberg catalog: the REST protocol over the platform database, or in front of another
//! catalog, and what the scheduler and the API need of it in the same process.
//!
//! Everybody reaches a table through here: runs, queries, PyIceberg, Spark, Trino, DuckDB. What a
//! request may do follows from its [`Caller`], which whoever mounts [`rest::router`] puts into the
//! request's extensions, and from the [`AccessControl`] that it is mounted with.
//!
//! - A pointer in the database says which metadata file of a table is current; moving it is the
//!   commit. Metadata files are written before and never change. Where an external catalog holds
//!   the tables, a commit is one request to it with the requirements that make it the same.
//! - A run writes a branch of its own, or a table that only it sees; [`Catalog::publish`] and
//!   [`Catalog::discard`] end that. Only `publish` moves the `main` of a table for a run.
//! - Every requirement and every update of the specification is applied or refused by name.
//!
//! Deliberately not here: row data (ratd never reads any), tokens, views, multi-table
//! transactions, format version 3, and caching of answers.

mod access;
mod cache;
mod caller;
mod catalog;
mod commit;
mod create;
mod describe;
mod discard;
mod drop;
mod error;
mod files;
mod history;
mod leftovers;
mod lock;
mod name;
mod namespaces;
mod publish;
mod request;
pub mod rest;
mod rules;
mod run_rules;
mod staged;
mod tables;

pub use access::{AccessControl, Deed, Denial, Refusal, Subject, Unrestricted};
pub use caller::{Caller, QueryScope, Readable, RunScope};
pub use catalog::Catalog;
pub use describe::{Column, TableSummary};
pub use discard::{DiscardOutcome, RunBranch};
pub use error::Error;
pub use publish::{Publication, PublishOutcome};
pub use tables::{Credentials, ExternalCatalog, ExternalError};
