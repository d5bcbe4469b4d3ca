//! ratq over gRPC: what it answers, what it refuses, what bounds it.

mod limits;
mod process;
mod query;
mod refused;
mod support;
