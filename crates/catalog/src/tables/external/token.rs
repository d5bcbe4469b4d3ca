//! ratd's own credentials at the external catalog.

use std::fmt;
use std::time::{Duration, Instant};

use rat_types::Secret;
use reqwest::Client;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::ExternalError;
use super::http::{parse, read, token_uri};

/// For a token of which nobody says how long it is good.
const USUAL_LIFE: Duration = Duration::from_secs(3600);
/// Asked for anew before this part of its life is over.
const USED_LIFE: f64 = 0.8;
/// What catalogs understand as "everything that this client may do".
const USUAL_SCOPE: &str = "catalog";

/// How ratd shows who it is.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// Not at all.
    #[default]
    None,
    /// A bearer token that does not change.
    Token(Secret),
    /// OAuth2 client credentials, for which bearer tokens are given.
    Client {
        /// Where; the catalog's own `/v1/oauth/tokens` if it is not said.
        token_uri: Option<Url>,
        /// Id of the client.
        id: String,
        /// Its secret.
        secret: Secret,
        /// What for; `catalog` if it is not said.
        scope: Option<String>,
    },
}

/// The tokens that the credentials are good for, one at a time.
pub(super) struct Tokens {
    credentials: Credentials,
    token_uri: String,
    granted: Mutex<Option<Granted>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

struct Granted {
    token: Secret,
    until: Instant,
}

/// What a token endpoint answers.
#[derive(Deserialize)]
struct Grant {
    access_token: Secret,
    expires_in: Option<u64>,
}

impl Tokens {
    pub(super) fn new(credentials: Credentials, base: &str) -> Self {
        let token_uri = match &credentials {
            Credentials::Client {
                token_uri: Some(uri),
                ..
            } => uri.to_string(),
            _ => token_uri(base),
        };
        Self {
            credentials,
            token_uri,
            granted: Mutex::new(None),
        }
    }

    /// The token to present.
    pub(super) async fn get(&self, client: &Client) -> Result<Option<Secret>, ExternalError> {
        match &self.credentials {
            Credentials::None => Ok(None),
            Credentials::Token(token) => Ok(Some(token.clone())),
            Credentials::Client {
                id, secret, scope, ..
            } => {
                let form = form(id, secret, scope.as_deref());
                self.current(client, &form, None).await.map(Some)
            }
        }
    }

    /// Another token than the one that was refused, if there can be one.
    pub(super) async fn renew(
        &self,
        client: &Client,
        refused: Option<&Secret>,
    ) -> Result<Option<Secret>, ExternalError> {
        match &self.credentials {
            Credentials::None | Credentials::Token(_) => Ok(None),
            Credentials::Client {
                id, secret, scope, ..
            } => {
                let form = form(id, secret, scope.as_deref());
                self.current(client, &form, refused).await.map(Some)
            }
        }
    }

    /// Of many callers one asks and the others wait.
    async fn current(
        &self,
        client: &Client,
        form: &Form<'_>,
        refused: Option<&Secret>,
    ) -> Result<Secret, ExternalError> {
        let mut granted = self.granted.lock().await;
        if let Some(known) = &*granted
            && known.until > Instant::now()
            && Some(&known.token) != refused
        {
            return Ok(known.token.clone());
        }
        let began = Instant::now();
        let grant = self.ask(client, form).await.map_err(|error| {
            let source = Box::new(error);
            ExternalError::Token { source }
        })?;
        let life = grant.expires_in.map_or(USUAL_LIFE, Duration::from_secs);
        let token = grant.access_token;
        *granted = Some(Granted {
            token: token.clone(),
            until: began + life.min(USUAL_LIFE * 24).mul_f64(USED_LIFE),
        });
        Ok(token)
    }

    async fn ask(&self, client: &Client, form: &Form<'_>) -> Result<Grant, ExternalError> {
        let response = client.post(&self.token_uri).form(form).send().await?;
        parse(&read(response).await?)
    }
}

/// What a token endpoint is asked.
type Form<'a> = [(&'static str, &'a str); 4];

fn form<'a>(id: &'a str, secret: &'a Secret, scope: Option<&'a str>) -> Form<'a> {
    [
        ("grant_type", "client_credentials"),
        ("client_id", id),
        ("client_secret", secret.expose()),
        ("scope", scope.unwrap_or(USUAL_SCOPE)),
    ]
}
