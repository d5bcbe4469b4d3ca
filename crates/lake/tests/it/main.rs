//! The lake's client against the real catalog, over a Unix socket.

mod runs;
mod support;
mod writers;
