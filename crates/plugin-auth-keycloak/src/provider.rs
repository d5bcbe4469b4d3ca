//! Asking the provider: for so long, so much, and only where it was meant to be asked.

use std::error::Error as _;
use std::sync::Mutex;

use jsonwebtoken::Algorithm;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use url::Url;

use crate::config::Settings;
use crate::json;
use crate::keys::{self, Keys};

/// Keycloak's documents have some KiB.
const MAX_BYTES: usize = 1 << 20;
const MAX_REDIRECTS: usize = 3;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to ask {url}")]
    Request { url: Url, source: reqwest::Error },
    #[error("{url} answered {status}")]
    Status { url: Url, status: StatusCode },
    #[error("{url} answered with more than {MAX_BYTES} bytes")]
    TooLong { url: Url },
    #[error("{url} answered with something else than JSON")]
    NotJson { url: Url, source: serde_json::Error },
    #[error("{url} names another issuer, {found:?}")]
    Issuer { url: Url, found: String },
    #[error("{url} names no address of keys that could be asked")]
    NoKeys { url: Url },
    #[error("the keys at {url} cannot be read")]
    Keys { url: Url, source: keys::Error },
    #[error("failed to set up TLS")]
    Client { source: reqwest::Error },
}

impl Error {
    /// With all reasons, in one line.
    pub(crate) fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let reason = error.to_string();
            // reqwest says the address again.
            if !reason.starts_with("error sending request") {
                text.push_str(": ");
                text.push_str(&reason);
            }
            source = error.source();
        }
        text
    }
}

/// The provider, as it was configured.
#[derive(Debug)]
pub(crate) struct Provider {
    client: Client,
    pub(crate) discovery: Url,
    issuers: Vec<String>,
    algorithms: Vec<Algorithm>,
    /// Where the keys are, once the provider has said it.
    keys: Mutex<Option<Url>>,
}

impl Provider {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let client_error = |source| Error::Client { source };
        let mut builder = Client::builder()
            .timeout(settings.times.request)
            .redirect(Policy::custom(same_origin))
            .user_agent(concat!(
                "rat-plugin-auth-keycloak/",
                env!("CARGO_PKG_VERSION")
            ));
        if let Some(pem) = &settings.authorities {
            builder = builder.tls_built_in_root_certs(false);
            for authority in reqwest::Certificate::from_pem_bundle(pem).map_err(client_error)? {
                builder = builder.add_root_certificate(authority);
            }
        }
        Ok(Self {
            client: builder.build().map_err(client_error)?,
            discovery: settings.discovery.clone(),
            issuers: settings.issuers.clone(),
            algorithms: settings.algorithms.clone(),
            keys: Mutex::new(None),
        })
    }

    /// The keys as they are now.
    pub(crate) async fn fetch(&self) -> Result<Keys, Error> {
        let known = self.keys.lock().expect("nobody panics with it").clone();
        let url = match known {
            Some(url) => url,
            None => self.discover().await?,
        };
        let fetched = self.fetch_from(&url).await;
        // Where that fails it may have moved.
        let kept = fetched.is_ok().then_some(url);
        *self.keys.lock().expect("nobody panics with it") = kept;
        fetched
    }

    async fn fetch_from(&self, url: &Url) -> Result<Keys, Error> {
        let document = self.get(url).await?;
        Keys::read(&document, &self.algorithms).map_err(|source| Error::Keys {
            url: url.clone(),
            source,
        })
    }

    /// Asks where the keys are.
    async fn discover(&self) -> Result<Url, Error> {
        let url = &self.discovery;
        let document = self.get(url).await?;
        let document = json::parse_object(&document).map_err(|source| Error::NotJson {
            url: url.clone(),
            source,
        })?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        let found = text("issuer").unwrap_or_default();
        if !self.issuers.iter().any(|issuer| issuer == found) {
            return Err(Error::Issuer {
                url: url.clone(),
                found: found.chars().take(200).collect(),
            });
        }
        let keys = text("jwks_uri").and_then(|text| Url::parse(text).ok());
        keys.filter(|keys| can_follow(url, keys))
            .ok_or_else(|| Error::NoKeys { url: url.clone() })
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, Error> {
        let failed = |source: reqwest::Error| Error::Request {
            url: url.clone(),
            source: source.without_url(),
        };
        let request = self
            .client
            .get(url.clone())
            .header("accept", "application/json");
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status != StatusCode::OK {
            let url = url.clone();
            return Err(Error::Status { url, status });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(Error::TooLong { url: url.clone() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The keys may be on another host, as Google's are, but not without the encryption that the
/// discovery had.
fn can_follow(from: &Url, to: &Url) -> bool {
    matches!(
        (from.scheme(), to.scheme()),
        (_, "https") | ("http", "http")
    )
}

/// Whoever can send us elsewhere decides whose keys we trust.
fn same_origin(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let is_near = attempt.previous().len() <= MAX_REDIRECTS
        && attempt
            .previous()
            .iter()
            .all(|before| before.origin() == attempt.url().origin());
    match is_near {
        true => attempt.follow(),
        false => attempt.error("it redirects to another origin, or too often"),
    }
}
