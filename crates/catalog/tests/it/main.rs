//! The catalog as its clients see it: over the router, on a real database and real files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod commits;
mod creation;
mod errors;
mod external;
mod external_faults;
mod leftovers;
mod namespaces;
mod publishing;
mod run_scope;
mod support;
mod tables;
mod upstream;
mod writers;
