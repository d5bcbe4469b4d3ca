//! Integration tests of `rat-pipeline`.

mod bombs;
mod examples;
mod memory;
