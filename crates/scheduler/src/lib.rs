//! From a pending run to a published one: dispatch, watch, publish or discard.
//!
//! The database is the truth and this crate is a set of tasks that move rows along: a ratd that is
//! killed at any point finds every run again, asks its executor and carries on. Waking up is by
//! event (a new run, a callback, a slot that became free), so that a trivial run takes little more
//! than its own work; a slow poll behind each event makes a lost one cost time and nothing else.
//!
//! What is guaranteed: a table has one writer; a run's result is published whole or not at all; a
//! run that an executor refused for lack of room or was not there to take waits, it does not fail.
//!
//! Deliberately not here: SQL of user or platform, HTTP, and the decision who may start a run.

mod access;
mod active;
mod backoff;
mod error;
mod executor;
mod handle;
mod prepare;
mod retry;
mod service;
mod task;
mod token;

pub use access::{ReadAll, ReadError, Reads, RunAccess};
pub use error::Error;
pub use executor::{Error as ExecutorError, Executor, LogStream, Progress, WarmPoolExecutor};
pub use handle::Handle;
pub use service::{Config, Executors, Service};
pub use token::{Asker, NoRandomness, QueryToken, QueryTokens, RunTokens, TooManyQueries};
