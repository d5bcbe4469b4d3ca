//! An auth plugin that knows a list of tokens.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::Utc;
use rat_plugin_sdk::auth::{AuthenticateRequest, AuthenticateResponse};
use rat_plugin_sdk::{Auth, Health, Invalid, Plugin, Server, Status, config, serve};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Users by their token, or by `sha256:` and the token's hash in hex.
    #[serde(default)]
    tokens: BTreeMap<String, User>,
    /// A file with more of them.
    token_file: Option<PathBuf>,
    /// For how many seconds ratd may use an answer without asking again; 0 forbids it.
    #[serde(default)]
    cache_seconds: u32,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct User {
    #[schemars(length(min = 1))]
    user_id: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    roles: Vec<String>,
}

struct StaticTokens {
    users: Vec<([u8; 32], AuthenticateResponse)>,
    cache: u32,
}

impl Plugin for StaticTokens {
    const NAME: &str = "auth-static";
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    type Config = Config;

    async fn configure(mut config: Config) -> Result<Self, Invalid> {
        if let Some(path) = config.token_file {
            config
                .tokens
                .extend(config::read::<BTreeMap<_, _>>("token_file", &path)?);
        }
        let users = config.tokens.into_iter().map(|(token, user)| {
            let mut hash: [u8; 32] = Sha256::digest(&token).into();
            if let Some(digits) = token.strip_prefix("sha256:") {
                hex::decode_to_slice(digits, &mut hash)
                    .map_err(|_| Invalid::new("tokens", "sha256: needs 64 hex digits after it"))?;
            }
            let (user_id, email, roles) = (user.user_id, user.email, user.roles);
            Ok((
                hash,
                AuthenticateResponse {
                    user_id,
                    email,
                    roles,
                    ..Default::default()
                },
            ))
        });
        Ok(Self {
            users: users.collect::<Result<_, _>>()?,
            cache: config.cache_seconds,
        })
    }

    async fn health(&self) -> Health {
        Health::healthy(format!("{} tokens", self.users.len()))
    }
}

impl Auth for StaticTokens {
    async fn authenticate(
        &self,
        request: AuthenticateRequest,
    ) -> Result<AuthenticateResponse, Status> {
        let presented = Sha256::digest(&request.token);
        // Every hash is looked at, so that the time taken tells nothing.
        let mut found = None;
        for (hash, user) in &self.users {
            if hash.ct_eq(&presented).into() {
                found = Some(user.clone());
            }
        }
        let mut user = found.ok_or_else(|| Status::unauthenticated("no such token"))?;
        if self.cache > 0 {
            user.expires_at = Utc::now().timestamp() + i64::from(self.cache);
        }
        tracing::debug!(user = user.user_id, "verified");
        Ok(user)
    }
}

fn main() -> ExitCode {
    serve(Server::<StaticTokens>::new().auth())
}

#[cfg(test)]
mod tests;
