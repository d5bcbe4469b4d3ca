//! Integration tests of `rat-pipeline`.

mod bombs;
mod memory;
