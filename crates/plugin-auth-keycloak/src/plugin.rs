//! The plugin: tokens in, users out.

use std::time::{SystemTime, UNIX_EPOCH};

use rat_plugin_sdk::auth::{AuthenticateRequest, AuthenticateResponse};
use rat_plugin_sdk::{Auth, Health, Invalid, Plugin, Status};

use crate::config::{Config, Settings};
use crate::keeper::{Keeper, State};
use crate::keys::{Found, Keys};
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::token::Token;
use crate::{cryptography, identity};

/// Calls that are worked on at a time: each takes microseconds, unless a key is looked for.
pub const MAX_CALLS: usize = 2048;

/// The plugin, as it is configured.
#[derive(Debug)]
pub struct Keycloak {
    settings: Settings,
    keeper: Keeper,
}

impl Keycloak {
    fn start(settings: Settings, known: State) -> Result<Self, Invalid> {
        cryptography::install();
        let provider =
            Provider::new(&settings).map_err(|error| Invalid::new("ca_file", error.in_full()))?;
        for url in &settings.issuers {
            if url.starts_with("http://") {
                tracing::debug!(url, "the issuer's tokens travel without encryption");
            }
        }
        let rules = &settings.rules;
        if rules.client.is_none() && rules.parties.is_empty() && rules.audiences.is_empty() {
            tracing::warn!(
                "tokens of every client of the provider are accepted: set client_id, authorized_parties or audiences"
            );
        }
        let keeper = Keeper::start(provider, settings.times.clone(), known);
        Ok(Self { settings, keeper })
    }

    async fn verify(&self, text: &str) -> Result<AuthenticateResponse, Error> {
        let token = Token::read(text)?;
        if !self.settings.algorithms.contains(&token.algorithm) {
            return Err(Refusal::Algorithm.into());
        }
        self.verify_signature(&token).await?;
        let claims = token.claims()?;
        let expires_at = self.settings.rules.check(&claims, now())?;
        Ok(identity::read(
            &claims,
            &self.settings.roles_claim,
            expires_at,
        )?)
    }

    async fn verify_signature(&self, token: &Token<'_>) -> Result<(), Error> {
        let state = self.keeper.state();
        let keys = state.keys().ok_or(Error::NoKeys)?;
        let id = token.key_id.as_deref();
        if let Found::Keys(found) = keys.find(id, token.algorithm)? {
            return is_signed(token, &found);
        }
        let is_known = |keys: &Keys| matches!(keys.find(id, token.algorithm), Ok(Found::Keys(_)));
        self.keeper.look_again(is_known).await;
        let state = self.keeper.state();
        let keys = state.keys().ok_or(Error::NoKeys)?;
        match keys.find(id, token.algorithm)? {
            Found::Keys(found) => is_signed(token, &found),
            Found::Unknown => Err(Refusal::UnknownKey.into()),
        }
    }
}

fn is_signed(token: &Token<'_>, keys: &[&crate::keys::Key]) -> Result<(), Error> {
    let has_signed =
        |key: &&crate::keys::Key| key.has_signed(token.message, token.signature, token.algorithm);
    match keys.iter().any(has_signed) {
        true => Ok(()),
        false => Err(Refusal::Signature.into()),
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().try_into().unwrap_or(i64::MAX))
}

/// Why there is no user.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody can say whether the token is good.
    #[error("the provider's keys are not here yet")]
    NoKeys,
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => Self::unauthenticated(refusal.to_string()),
            Error::NoKeys => Self::unavailable(error.to_string()),
        }
    }
}

impl Plugin for Keycloak {
    const NAME: &'static str = "auth-keycloak";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    type Config = Config;
    const VARIABLES: &'static [(&'static str, &'static str)] = &[
        ("KEYCLOAK_URL", "keycloak_url"),
        ("KEYCLOAK_REALM", "realm"),
        ("ISSUER_URL", "issuer_url"),
    ];
    const PORT: Option<(&'static str, u16)> = Some(("GRPC_PORT", 50060));

    fn check(config: &Config) -> Result<(), Invalid> {
        Settings::read(config).map(|_| ())
    }

    async fn configure(config: Config) -> Result<Self, Invalid> {
        Self::start(Settings::read(&config)?, State::default())
    }

    /// Keys are carried over, so that a change of something else is no outage.
    async fn reconfigure(&self, config: Config) -> Result<Self, Invalid> {
        let settings = Settings::read(&config)?;
        let known = match settings.has_provider_of(&self.settings) {
            true => (*self.keeper.state()).clone(),
            false => State::default(),
        };
        Self::start(settings, known)
    }

    async fn health(&self) -> Health {
        self.keeper.health()
    }
}

impl Auth for Keycloak {
    async fn authenticate(
        &self,
        request: AuthenticateRequest,
    ) -> Result<AuthenticateResponse, Status> {
        let user = self.verify(&request.token).await?;
        tracing::debug!(user = user.user_id, "verified");
        Ok(user)
    }
}
