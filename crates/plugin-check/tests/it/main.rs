//! The judge before good plugins and bad ones: every check has to be able to fail.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod documented;
mod examples;
mod fake;
mod faults;
mod good;
mod process;
mod tls;
