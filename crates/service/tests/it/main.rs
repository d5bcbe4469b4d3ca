//! The servers and channels of this crate against real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod grpc;
mod hostile;
mod http;
mod support;
