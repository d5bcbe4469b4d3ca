//! Executes pipelines and queries with DataFusion.

mod error;
mod read_only;

pub use error::Error;
pub use read_only::{Query, QueryConfig, QueryStream, ReadOnlySession};
