//! An auth plugin that knows a list of tokens.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use rat_plugin_sdk::auth::{AuthenticateRequest, AuthenticateResponse};
use rat_plugin_sdk::{Auth, Health, Invalid, Plugin, Server, Status, config, serve};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Users by their token, or by `sha256:` and the token's hash in lower-case hex.
type Tokens = BTreeMap<String, User>;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    tokens: Tokens,
    /// A file with more of them.
    token_file: Option<PathBuf>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct User {
    user_id: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    roles: Vec<String>,
}

struct StaticTokens(Vec<([u8; 32], User)>);

impl Plugin for StaticTokens {
    const NAME: &str = "auth-static";
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    type Config = Config;

    async fn configure(
        Config {
            mut tokens,
            token_file,
        }: Config,
    ) -> Result<Self, Invalid> {
        if let Some(path) = token_file {
            tokens.append(&mut config::read::<Tokens>("token_file", &path)?);
        }
        let mut users = Vec::new();
        for (token, user) in tokens {
            let hash = match token.strip_prefix("sha256:") {
                None => Sha256::digest(&token).into(),
                Some(hex) => hex::decode(hex)
                    .ok()
                    .and_then(|hash| hash.try_into().ok())
                    .ok_or_else(|| {
                        Invalid::new("tokens", "sha256: is not followed by 64 hex digits")
                    })?,
            };
            users.push((hash, user));
        }
        Ok(Self(users))
    }

    async fn health(&self) -> Health {
        Health::healthy(format!("{} tokens", self.0.len()))
    }
}

impl Auth for StaticTokens {
    async fn authenticate(
        &self,
        request: AuthenticateRequest,
    ) -> Result<AuthenticateResponse, Status> {
        let presented = Sha256::digest(&request.token);
        // Looks at every token, so that the time taken tells nothing.
        let found = self.0.iter().fold(None, |found, (hash, user)| {
            if bool::from(hash.ct_eq(&presented)) {
                Some(user)
            } else {
                found
            }
        });
        let user = found.ok_or_else(|| Status::unauthenticated("no such token"))?;
        Ok(AuthenticateResponse {
            user_id: user.user_id.clone(),
            email: user.email.clone(),
            roles: user.roles.clone(),
            ..AuthenticateResponse::default()
        })
    }
}

fn main() -> ExitCode {
    serve(Server::<StaticTokens>::new().auth())
}
