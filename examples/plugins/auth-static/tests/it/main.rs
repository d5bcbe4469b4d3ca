//! The example as a process: what a unit of systemd sees of it, and what callers see.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod configuration;
mod lifecycle;
mod load;
mod support;
