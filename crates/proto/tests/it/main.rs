//! The contracts themselves: what may change in them, and how they are written.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod compatibility;
mod style;
mod support;
