//! RAT as its users meet it: real processes, real sockets, real files.
//!
//! [`Stack`] starts `ratd`, `rat-runner` and `ratq` in a private folder, each of which a test may
//! kill and start again. The tests in `tests/it` and the benchmark program are built on it. It
//! knows nothing about the crates inside: what it cannot do through the processes, users cannot
//! do either.

mod stack;

pub use stack::{Database, Options, Process, Stack, binaries, private_folder, skip, wait_for};
