//! Integration tests of `rat-pipeline`.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod bombs;
mod examples;
mod memory;
