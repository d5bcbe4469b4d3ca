//! The scheduler on a real database and a real catalog, with an executor that does as told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod cancelling;
mod dispatching;
mod ending;
mod fake;
mod lake;
mod last_line;
mod publishing;
mod restarting;
mod warm_pool;
mod world;
