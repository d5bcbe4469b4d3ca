//! A plugin on the SDK, from outside: over gRPC and over HTTP.

mod calls;
mod configure;
mod connect;
mod connect_errors;
mod services;
mod streams;
mod support;
