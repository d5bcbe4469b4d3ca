//! The runner as its callers see it: the gRPC service with a stand-in for the engine, and the
//! binary.

mod once;
mod service;
mod support;
