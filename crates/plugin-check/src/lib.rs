//! The conformance kit: judges a live plugin, in whatever language it is written, by the contract.
mod target;
mod wire;
