//! The command line as its users meet it: the real program, a server of the test's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod apply;
mod dev;
mod examples;
mod help;
mod https;
mod login;
mod output;
mod query;
mod run;
mod support;
mod units;
mod upload;
mod usage;
