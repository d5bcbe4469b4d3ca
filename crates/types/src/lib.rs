//! Names, ids and plain data that every RAT crate speaks: what a pipeline is called, what a run
//! is asked to do and what became of it.
//!
//! Pure: no I/O, no async, no clock. Everything that crosses a process border as JSON (the run
//! callback, `rat-runner once` files) is one of these types; gRPC messages convert to and from
//! them in `rat-proto`.

mod error;
mod identity;
mod name;
mod run;
mod secret;
mod text;

pub use error::{Kind, RunFailure};
pub use identity::Identity;
pub use name::{
    InvalidName, Layer, NamespaceName, RunId, TableIdent, TableName, ZoneIdent, ZoneName,
};
pub use run::{
    LandingFile, LogEntry, LogLevel, MergeStrategy, Phase, QualityResult, QualityStatus,
    RunOutcome, RunRequest, RunState, RunStatus, Severity,
};
pub use secret::Secret;
pub use text::{is_direction_mark, is_reserved_in_landing};
