//! The engine on a real catalog: ratd's, over SQLite, on a Unix socket.

mod failures;
mod queries;
mod runs;
mod support;
