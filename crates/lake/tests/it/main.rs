//! The lake's client against the real catalog, over a Unix socket.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod runs;
mod support;
mod writers;
