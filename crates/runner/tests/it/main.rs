//! The runner as its callers see it: the gRPC service with a stand-in for the engine, and the
//! binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod busy;
mod once;
mod service;
mod support;
