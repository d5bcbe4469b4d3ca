//! The plugin against a provider of the tests' own, which can be told to be late, wrong or away.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod algorithms;
mod attacks;
mod claims;
mod keycloak;
mod keys;
mod process;
mod provider;
mod support;
