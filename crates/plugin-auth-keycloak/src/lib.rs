//! Who is calling, by the tokens of Keycloak or any other OpenID Connect provider.
//!
//! A token is a JWT that the provider signed. The plugin fetches the provider's public keys
//! (discovery, then JWKS), keeps them in memory and judges tokens by itself: no request waits for
//! the provider. So a token that was revoked is good until it expires; a key that the provider
//! dropped is good until the next refresh.
//!
//! | Module | |
//! |---|---|
//! | `config` | what the plugin is told, checked |
//! | `provider` | asking the provider: bounded in time, size and where it may send us |
//! | `keeper` | when it is asked, and what is known meanwhile |
//! | `keys` | the provider's keys, each bound to what it may sign |
//! | `token`, `json` | a token's parts, read without mercy |
//! | `rules`, `identity` | what a token has to say, and whom it names |
//! | `cryptography` | what signatures are verified with |
//!
//! Deliberately without roles of its own: a role is called what the provider calls it. And without
//! `Authorize`: which role may do what is ratd's and the enforcement slot's.

mod config;
mod cryptography;
#[cfg(test)]
mod fuzz;
mod identity;
mod json;
mod keeper;
mod keys;
mod plugin;
mod provider;
mod refusal;
mod rules;
mod token;

pub use config::Config;
pub use plugin::{Keycloak, MAX_CALLS};
