//! The catalog as its clients see it: over the router, on a real database and real files.

mod commits;
mod creation;
mod errors;
mod namespaces;
mod publishing;
mod run_scope;
mod support;
mod tables;
mod writers;
