//! What the plugin is told: as it is written, and checked.

mod settings;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use settings::{Settings, Times};

/// The configuration, as `config` in rat.yaml, a file or the environment has it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Base URL of Keycloak, as in `https://keycloak.example.org`.
    pub keycloak_url: Option<String>,
    /// Realm whose users may come in.
    pub realm: Option<String>,
    /// Where another provider describes itself; default: that of the realm.
    pub discovery_url: Option<String>,
    /// The `iss` of its tokens, to the letter; default: that of the realm, or where the discovery
    /// begins.
    pub issuer_url: Option<String>,
    /// Client that tokens have to be issued to (`azp`) or for (`aud`); default: any of the realm.
    pub client_id: Option<String>,
    /// More clients that tokens may be issued to (`azp`).
    #[serde(default)]
    pub authorized_parties: Vec<String>,
    /// Audiences of which tokens have to name one (`aud`), whoever they were issued to.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Algorithms of signatures: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<String>,
    /// Claim with the roles, as in `policy` or `realm_access.roles`.
    #[serde(default = "roles_claim")]
    pub roles_claim: String,
    /// By how much the provider's clock may differ; 10m at most.
    #[serde(default = "leeway")]
    pub leeway: String,
    /// Authorities of the provider's certificate, a PEM file, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Time within which the provider has to answer.
    #[serde(default = "request_timeout")]
    pub request_timeout: String,
    /// How often keys that could not be fetched are asked for at short intervals.
    #[serde(default = "prefetch_attempts")]
    pub prefetch_attempts: u32,
    /// The short interval.
    #[serde(default = "prefetch_interval")]
    pub prefetch_interval: String,
    /// The interval after that.
    #[serde(default = "minute")]
    pub retry_interval: String,
    /// After how long keys are fetched again: so long lives a key that the provider dropped.
    #[serde(default = "minute")]
    pub refresh_interval: String,
    /// Shortest time between two refreshes for a key that a token names and nobody knows.
    #[serde(default = "minute")]
    pub unknown_key_interval: String,
}

fn algorithms() -> Vec<String> {
    vec!["RS256".to_owned()]
}

fn roles_claim() -> String {
    "policy".to_owned()
}

fn leeway() -> String {
    "60s".to_owned()
}

fn request_timeout() -> String {
    "5s".to_owned()
}

fn prefetch_attempts() -> u32 {
    30
}

fn prefetch_interval() -> String {
    "10s".to_owned()
}

fn minute() -> String {
    "60s".to_owned()
}
