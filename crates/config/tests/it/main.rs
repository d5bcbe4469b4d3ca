//! `rat-config` from outside: texts and environments in, settings or messages out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod defaults;
mod documentation;
mod dumping;
mod environment;
mod examples;
mod mutations;
mod problems;
mod schema;
mod structure;
mod support;
mod warnings;
