//! Executes pipelines and queries with DataFusion.
//!
//! A run goes through the phases render, plan, write, commit and quality; its rows stream from the
//! tables and landing files that it names into the data files of its own branch. Publishing the
//! branch is ratd's part. Queries are read-only, which is decided on their logical plan.
//!
//! Nothing here opens a file or a table that a statement merely names: tables come from the
//! catalog under the run's or query's token, landing files from the run's frozen list.

mod constants;
mod error;
mod functions;
mod lake;
mod landing;
mod limits;
mod literals;
mod observe;
mod panic;
mod planner;
mod progress;
mod quality;
mod read_only;
mod run;
mod samples;
mod session;
mod spill;
mod statement;
mod stop;
mod tables;
mod threads;
mod types;
mod unnest;
mod workers;

#[cfg(test)]
mod fake;

pub use error::{Error, LandingFileError};
pub use observe::{RunObserver, Unobserved};
pub use read_only::{Query, QueryConfig, QueryStream, ReadOnlySession};
pub use run::{Engine, EngineConfig};
pub use threads::{Hold, Threads};
