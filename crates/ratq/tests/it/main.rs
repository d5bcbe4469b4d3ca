//! ratq over gRPC: what it answers, what it refuses, what bounds it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod busy;
mod limits;
mod process;
mod query;
mod refused;
mod support;
