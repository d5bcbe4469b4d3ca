//! The plugin of `docs/how-to/write-a-plugin.md`, word for word.

use std::collections::BTreeMap;
use std::process::ExitCode;

use rat_plugin_sdk::auth::{AuthenticateRequest, AuthenticateResponse};
use rat_plugin_sdk::{Auth, Health, Invalid, Plugin, Server, Status, serve};
use schemars::JsonSchema;
use serde::Deserialize;

/// What `config` in rat.yaml may hold. Unknown keys and wrong types are refused for you.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Users by their token.
    tokens: BTreeMap<String, String>,
}

struct MyAuth(Config);

impl Plugin for MyAuth {
    const NAME: &str = "my-auth";
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    type Config = Config;

    async fn configure(config: Config) -> Result<Self, Invalid> {
        Ok(Self(config))
    }

    async fn health(&self) -> Health {
        Health::healthy(format!("{} tokens", self.0.tokens.len()))
    }
}

impl Auth for MyAuth {
    async fn authenticate(
        &self,
        request: AuthenticateRequest,
    ) -> Result<AuthenticateResponse, Status> {
        match self.0.tokens.get(&request.token) {
            Some(user) => Ok(AuthenticateResponse {
                user_id: user.clone(),
                roles: vec!["admin".to_owned()],
                ..Default::default()
            }),
            None => Err(Status::unauthenticated("no such token")),
        }
    }
}

fn main() -> ExitCode {
    serve(Server::<MyAuth>::new().auth())
}
