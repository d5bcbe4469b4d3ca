//! The engine on a real catalog: ratd's, over SQLite, on a Unix socket.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bombs;
mod failures;
mod landing;
mod mistakes;
mod numbers;
mod queries;
mod runs;
mod sql;
mod support;
