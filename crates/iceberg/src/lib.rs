//! The pieces of the Iceberg format that ratd's catalog and the lake's clients share.
//!
//! ratd links this crate and not DataFusion: it moves branches and rewrites manifest lists, it
//! never reads rows. What a query engine needs on top (scans, writers of record batches) is in
//! `rat-lake`.

pub mod snapshot;
pub mod storage;
mod warehouse;

pub use warehouse::{Warehouse, is_inside, run_data_folder, run_metadata_folder};
