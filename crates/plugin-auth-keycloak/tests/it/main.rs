//! The plugin against a provider of the tests' own, which can be told to be late, wrong or away.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod algorithms;
mod another_provider;
mod attacks;
mod browser;
mod claims;
mod flood;
mod keycloak;
mod keys;
mod process;
mod provider;
mod stack;
mod support;
mod tls;
