//! Plumbing that every daemon of RAT shares: sockets, servers, signals, logs, systemd.
//!
//! A daemon's `main` parses its arguments and calls [`runtime::start`]; everything that has to
//! behave the same in ratd, rat-runner and ratq is in here: exit codes, what a signal does, how
//! long draining may take, where the configuration file is looked for.
//!
//! Deliberately without any knowledge of what a daemon does.

pub mod config;
pub mod grpc;
pub mod http;
pub mod listen;
pub mod logging;
pub mod runtime;

mod chain;

pub use chain::ErrorChain;
