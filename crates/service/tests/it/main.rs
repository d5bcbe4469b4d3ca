//! The servers and channels of this crate against real sockets.

#![allow(missing_docs, reason = "tests")]

mod grpc;
mod http;
mod support;
