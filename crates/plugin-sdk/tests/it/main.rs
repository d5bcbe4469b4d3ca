//! A plugin on the SDK, from outside: over gRPC and over HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod calls;
mod configure;
mod connect;
mod connect_errors;
mod services;
mod streams;
mod support;
