//! The parts of the project that are not Rust: the NixOS module and the flake.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod flake;
mod module;
mod secrets;
mod sockets;
mod support;
