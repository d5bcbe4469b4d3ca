//! The real binary: exit codes, sockets, signals, systemd, the internal listener.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod configuration;
mod internal;
mod plugins;
mod process;
mod support;
mod systemd;
