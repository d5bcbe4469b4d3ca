//! The client side of the lake: tables of ratd's catalog as DataFusion tables, and their writers.
//!
//! - [`CatalogClient`] speaks the Iceberg REST protocol with ratd, over its internal socket or
//!   over HTTP.
//! - [`LakeTable`] is a table pinned to one snapshot, scanned by all cores.
//! - [`BranchWriter`] (or [`write_branch`]) writes the result of a run to the run's own branch;
//!   [`append_main`] adds rows to `main`, for everybody who is not a run.
//! - [`schema`] maps Arrow schemas to Iceberg's and lets tables evolve.
//!
//! Everything streams: nothing here holds a whole table in memory. Publishing and discarding are
//! not here; ratd does both. Row-level deletes are read and never written.

mod branch;
mod client;
mod commit;
mod error;
mod predicate;
mod scan;
pub mod schema;
mod table;
#[cfg(test)]
mod testing;
mod writer;

pub use branch::{BranchCommit, BranchWriter, WrittenBranch, append_main, write_branch};
pub use client::CatalogClient;
pub use error::Error;
pub use table::{At, LakeTable};
pub use writer::{WriteOptions, WrittenFiles};
