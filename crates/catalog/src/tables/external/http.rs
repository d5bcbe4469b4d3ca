//! Requests to the external catalog: deadline, bounded answers, credentials, prefix.

use std::time::Duration;

use bytes::Bytes;
use rat_types::Secret;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use super::token::Tokens;
use super::{ExternalCatalog, ExternalError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a whole call, with its answer. Shorter than what our own callers wait, so that they are told
/// what it was.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// The metadata of a table with a long history has some megabytes.
const MAX_ANSWER_BYTES: usize = 128 * 1024 * 1024;
const MAX_MESSAGE: usize = 500;

/// A client of one catalog.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    /// Without a slash at the end.
    base: String,
    warehouse: Option<String>,
    tokens: Tokens,
    /// What the catalog wants in front of paths, with a slash at its end, or nothing.
    prefix: OnceCell<String>,
}

impl Http {
    pub(super) fn new(catalog: ExternalCatalog) -> Result<Self, ExternalError> {
        let client = client(&catalog)?;
        let base = catalog.uri.as_str().trim_end_matches('/').to_owned();
        Ok(Self {
            tokens: Tokens::new(catalog.credentials, &base),
            client,
            base,
            warehouse: catalog.warehouse,
            prefix: OnceCell::new(),
        })
    }

    /// What the answer to a request below the prefix says.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, ExternalError> {
        parse(&self.send(method, path, body).await?)
    }

    /// The answer to a request below the prefix, if that is a success.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Bytes, ExternalError> {
        let prefix = self.prefix.get_or_try_init(|| self.configured_prefix());
        let url = format!("{}/v1/{}{path}", self.base, prefix.await?);
        self.exchange(|| {
            let request = self.client.request(method.clone(), &url);
            match body {
                Some(body) => request.json(body),
                None => request,
            }
        })
        .await
    }

    /// Asks for the catalog's configuration. Answers the prefix in it.
    pub(super) async fn configured_prefix(&self) -> Result<String, ExternalError> {
        let url = format!("{}/v1/config", self.base);
        let answer = self.exchange(|| {
            let request = self.client.get(&url);
            match &self.warehouse {
                Some(warehouse) => request.query(&[("warehouse", warehouse)]),
                None => request,
            }
        });
        let answer = answer.await.map_err(|error| match error.status() {
            // So that a slip in the address does not look like an empty catalog.
            Some(301..=399 | 400 | 404 | 405) => ExternalError::NoCatalog {
                source: Box::new(error),
            },
            _ => error,
        })?;
        let Configuration {
            mut overrides,
            mut defaults,
        } = parse(&answer)?;
        let prefix = overrides.remove("prefix").or(defaults.remove("prefix"));
        let prefix = prefix.as_ref().and_then(Value::as_str).unwrap_or_default();
        let prefix = prefix.trim_matches('/');
        let is_path = !prefix.contains(['?', '#', '\\'])
            && !prefix.chars().any(char::is_control)
            && prefix.split('/').all(|segment| segment != "..");
        match (is_path, prefix) {
            (true, "") => Ok(String::new()),
            (true, prefix) => Ok(format!("{prefix}/")),
            (false, prefix) => Err(ExternalError::Prefix {
                prefix: prefix.chars().take(MAX_MESSAGE).collect(),
            }),
        }
    }

    /// Sends a request, and once more if its token has expired.
    async fn exchange(&self, request: impl Fn() -> RequestBuilder) -> Result<Bytes, ExternalError> {
        let with = |token: Option<&Secret>| match token {
            Some(token) => request().bearer_auth(token.expose()),
            None => request(),
        };
        let token = self.tokens.get(&self.client).await?;
        let error = match read(with(token.as_ref()).send().await?).await {
            Err(error) if matches!(error.status(), Some(401 | 419)) => error,
            result => return result,
        };
        // A refused request was not carried out, so it may be repeated whatever it was.
        match self.tokens.renew(&self.client, token.as_ref()).await? {
            Some(renewed) => read(with(Some(&renewed)).send().await?).await,
            None => Err(error),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Configuration {
    #[serde(default)]
    overrides: Map<String, Value>,
    #[serde(default)]
    defaults: Map<String, Value>,
}

fn client(catalog: &ExternalCatalog) -> Result<Client, ExternalError> {
    let failed = |source| ExternalError::Client { source };
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        // Elsewhere our credentials are nobody's business.
        .redirect(Policy::none())
        .user_agent(concat!("rat/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = &catalog.authorities {
        let authorities = reqwest::Certificate::from_pem_bundle(pem).map_err(failed)?;
        if authorities.is_empty() {
            return Err(ExternalError::NoCertificate);
        }
        for authority in authorities {
            builder = builder.add_root_certificate(authority);
        }
    }
    builder.build().map_err(failed)
}

/// Reads a success, or what the refusal says.
pub(super) async fn read(mut response: Response) -> Result<Bytes, ExternalError> {
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            let limit = MAX_ANSWER_BYTES;
            return Err(ExternalError::TooLong { limit });
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body.into());
    }
    Err(ExternalError::Status {
        status: status.as_u16(),
        message: message(&body),
    })
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ExternalError> {
    serde_json::from_slice(body).map_err(|source| ExternalError::Malformed { source })
}

/// The catalog's own words, or the beginning of whatever came instead of them.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        error: Model,
    }
    #[derive(Deserialize)]
    struct Model {
        message: String,
    }
    let text = match serde_json::from_slice::<Body>(body) {
        Ok(body) => body.error.message,
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    let printable = text.chars().filter(|character| !character.is_control());
    printable.take(MAX_MESSAGE).collect()
}

/// Where a token is asked for, if the settings do not say it.
pub(super) fn token_uri(base: &str) -> String {
    format!("{base}/v1/oauth/tokens")
}
