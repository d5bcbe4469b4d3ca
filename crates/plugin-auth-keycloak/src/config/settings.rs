//! The configuration, checked: all mistakes at once.

use std::path::Path;
use std::time::Duration;

use jsonwebtoken::{Algorithm, AlgorithmFamily};
use rat_plugin_sdk::Invalid;
use url::Url;

use super::Config;
use crate::rules::Rules;

const WELL_KNOWN: &str = "/.well-known/openid-configuration";
const MAX_LEEWAY: Duration = Duration::from_secs(600);
/// A file with authorities is smaller.
const MAX_CA_BYTES: u64 = 4 << 20;

/// A configuration that can be worked with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) discovery: Url,
    /// Issuers that the discovery may name: that of the tokens, and the one that it was asked as.
    pub(crate) issuers: Vec<String>,
    /// Authorities in PEM, instead of the system's.
    pub(crate) authorities: Option<Vec<u8>>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) rules: Rules,
    pub(crate) roles_claim: String,
    pub(crate) times: Times,
}

/// When the provider is asked, and how long it may take.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Times {
    pub(crate) request: Duration,
    pub(crate) prefetch_attempts: u32,
    pub(crate) prefetch: Duration,
    pub(crate) retry: Duration,
    pub(crate) refresh: Duration,
    pub(crate) unknown_key: Duration,
}

impl Settings {
    /// Checks `config`, and reads the file that it names.
    pub(crate) fn read(config: &Config) -> Result<Self, Invalid> {
        let mut mistakes = Mistakes(Vec::new());
        let place = mistakes.place(config);
        let algorithms = mistakes.algorithms(&config.algorithms);
        let leeway = mistakes.time("leeway", &config.leeway);
        if leeway > MAX_LEEWAY {
            mistakes.add("leeway", "must be 10m at most");
        }
        for (key, names) in [
            ("authorized_parties", &config.authorized_parties),
            ("audiences", &config.audiences),
        ] {
            if names.iter().any(String::is_empty) {
                mistakes.add(key, "must hold no empty name");
            }
        }
        if config.roles_claim.is_empty() {
            mistakes.add("roles_claim", "must not be empty");
        }
        let (discovery, issuer, derived) = place.unwrap_or_else(nowhere);
        let mut issuers = vec![issuer.clone()];
        issuers.extend(derived.filter(|derived| *derived != issuer));
        let settings = Self {
            discovery,
            issuers,
            authorities: mistakes.authorities(config.ca_file.as_deref()),
            algorithms,
            rules: Rules {
                issuer,
                audiences: config.audiences.clone(),
                parties: config.authorized_parties.clone(),
                client: mistakes.text("client_id", config.client_id.as_ref()),
                leeway,
            },
            roles_claim: config.roles_claim.clone(),
            times: Times {
                request: mistakes.interval("request_timeout", &config.request_timeout),
                prefetch_attempts: config.prefetch_attempts,
                prefetch: mistakes.interval("prefetch_interval", &config.prefetch_interval),
                retry: mistakes.interval("retry_interval", &config.retry_interval),
                refresh: mistakes.interval("refresh_interval", &config.refresh_interval),
                unknown_key: mistakes
                    .interval("unknown_key_interval", &config.unknown_key_interval),
            },
        };
        // Nothing else being wrong, it may be waited for.
        mistakes.0.extend(missing(config));
        Invalid::unless(mistakes.0, settings)
    }

    /// Whether the keys that were fetched for `other` are good here too.
    pub(crate) fn has_provider_of(&self, other: &Self) -> bool {
        let identity = |settings: &Self| {
            let Self {
                discovery,
                issuers,
                authorities,
                algorithms,
                ..
            } = settings.clone();
            (discovery, issuers, authorities, algorithms)
        };
        identity(self) == identity(other)
    }
}

/// Discovery, issuer of the tokens, and the issuer that the discovery's own address stands for.
type Place = (Url, String, Option<String>);

/// Stands where a mistake was noted.
fn nowhere() -> Place {
    let url = Url::parse("http://localhost").expect("a constant");
    (url, String::new(), None)
}

struct Mistakes(Vec<Invalid>);

impl Mistakes {
    fn add(&mut self, key: &str, message: &str) {
        self.0.push(Invalid::new(key, message));
    }

    fn place(&mut self, config: &Config) -> Option<Place> {
        let base = self.url("keycloak_url", config.keycloak_url.as_deref());
        let realm = self.realm(config.realm.as_ref());
        let discovery = self.url("discovery_url", config.discovery_url.as_deref());
        let issuer = self.url("issuer_url", config.issuer_url.as_deref());
        let discovery = match discovery {
            Some(discovery) => discovery,
            None => of_realm(base?, &realm?)?,
        };
        let derived = discovery.strip_suffix(WELL_KNOWN).map(str::to_owned);
        let Some(issuer) = issuer.or_else(|| derived.clone()) else {
            self.add(
                "issuer_url",
                "is needed where discovery_url does not end with /.well-known/openid-configuration",
            );
            return None;
        };
        let url = Url::parse(&discovery).ok()?;
        Some((url, issuer, derived))
    }

    fn realm(&mut self, given: Option<&String>) -> Option<String> {
        let realm = self.text("realm", given)?;
        if realm.contains(['/', '?', '#', '%']) || realm == "." || realm == ".." {
            self.add("realm", "must be the realm's name");
            return None;
        }
        Some(realm)
    }

    /// An address that can be asked, as it was written.
    fn url(&mut self, key: &str, given: Option<&str>) -> Option<String> {
        let given = given?;
        let problem = match Url::parse(given) {
            Err(_) => "must be a URL",
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                "must begin with https:// or http://"
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "must hold no user and no password"
            }
            Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                "must have no ? and no #"
            }
            Ok(_) if given.contains(char::is_whitespace) => "must have no spaces",
            Ok(_) => return Some(given.to_owned()),
        };
        self.add(key, problem);
        None
    }

    fn text(&mut self, key: &str, given: Option<&String>) -> Option<String> {
        let given = given?;
        if given.is_empty() || given.contains(char::is_control) {
            self.add(key, "must be a name");
            return None;
        }
        Some(given.clone())
    }

    fn algorithms(&mut self, names: &[String]) -> Vec<Algorithm> {
        let mut algorithms = Vec::new();
        for (position, name) in names.iter().enumerate() {
            match name.parse::<Algorithm>() {
                // With a secret that we would have to share with the provider.
                Ok(algorithm) if algorithm.family() != AlgorithmFamily::Hmac => {
                    algorithms.push(algorithm);
                }
                Ok(_) | Err(_) => self.add(
                    &format!("algorithms[{position}]"),
                    "must be one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA",
                ),
            }
        }
        if names.is_empty() {
            self.add("algorithms", "must not be empty");
        }
        algorithms
    }

    fn time(&mut self, key: &str, text: &str) -> Duration {
        humantime::parse_duration(text).unwrap_or_else(|_| {
            self.add(key, "must be a time, as in 30s or 5m");
            Duration::ZERO
        })
    }

    fn interval(&mut self, key: &str, text: &str) -> Duration {
        let before = self.0.len();
        let time = self.time(key, text);
        if time.is_zero() && self.0.len() == before {
            self.add(key, "must not be 0");
        }
        time
    }

    fn authorities(&mut self, path: Option<&Path>) -> Option<Vec<u8>> {
        let path = path?;
        let problem = match std::fs::metadata(path) {
            Ok(file) if file.len() > MAX_CA_BYTES => "is too large".to_owned(),
            Ok(_) => match std::fs::read(path) {
                Ok(pem) => match reqwest::Certificate::from_pem_bundle(&pem) {
                    Ok(certificates) if !certificates.is_empty() => return Some(pem),
                    Ok(_) | Err(_) => "holds no certificate in PEM".to_owned(),
                },
                Err(error) => format!("cannot be read: {error}"),
            },
            Err(error) => format!("cannot be read: {error}"),
        };
        self.add("ca_file", &problem);
        None
    }
}

/// Where Keycloak describes a realm.
fn of_realm(base: String, realm: &str) -> Option<String> {
    // A name with spaces is in the issuer as it is in the address.
    let mut encoded = Url::parse("http://localhost").expect("a constant");
    encoded.path_segments_mut().ok()?.push(realm);
    let base = base.trim_end_matches('/');
    Some(format!("{base}/realms{}{WELL_KNOWN}", encoded.path()))
}

/// What ratd may still send.
fn missing(config: &Config) -> Option<Invalid> {
    if config.discovery_url.is_some() {
        return None;
    }
    let keys = [
        ("keycloak_url", config.keycloak_url.is_none()),
        ("realm", config.realm.is_none()),
    ];
    keys.into_iter()
        .filter(|(_, is_missing)| *is_missing)
        .map(|(key, _)| Invalid::missing(key, "is missing"))
        .reduce(Invalid::and)
}
