//! What the provider says of itself, and asking it: bounded in time, size and place.

use std::time::Duration;

use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
    BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthType, AuthUrl, ClientId, DeviceAuthorizationUrl, DeviceCodeErrorResponse,
    DeviceCodeErrorResponseType, EndpointMaybeSet, EndpointNotSet, EndpointSet, ErrorResponse,
    ExtraTokenFields, HttpRequest, HttpResponse, RefreshToken, RequestTokenError, Scope,
    StandardErrorResponse, StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
};
use rat_types::Secret;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{StatusCode, redirect};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Error, Terms};
use crate::client::is_loopback;
use crate::output::printable::printable;

/// Time to reach the provider, and for its answer.
const DIAL: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(10);
/// Such documents have some KiB.
const MAX_BYTES: usize = 1 << 20;
const WELL_KNOWN: &str = ".well-known/openid-configuration";

/// An exchange with the provider that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No answer.
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    /// More than such an answer can have.
    #[error("the answer has more than {MAX_BYTES} bytes")]
    TooLong,
    /// The answer cannot be passed on.
    #[error("the answer is not HTTP")]
    Malformed(#[from] oauth2::http::Error),
}

/// An OpenID Connect provider.
#[derive(Debug)]
pub struct Provider {
    http: Http,
    terms: Terms,
    document: Document,
}

/// What there is to know of a provider (OpenID Connect Discovery, RFC 8414).
#[derive(Debug, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<Url>,
    token_endpoint: Option<Url>,
    device_authorization_endpoint: Option<Url>,
    revocation_endpoint: Option<Url>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// What can be given back.
#[derive(Debug)]
pub enum Token<'a> {
    /// What requests carry.
    Access(&'a Secret),
    /// What new access tokens are had for, and the session with it.
    Refresh(&'a Secret),
}

/// What a provider has given.
#[derive(Debug)]
pub struct Granted {
    /// What requests carry.
    pub access_token: Secret,
    /// What new access tokens are had for.
    pub refresh_token: Option<Secret>,
    /// How long the access token is good from now on.
    pub lifetime: Option<Duration>,
}

/// Of a token answer, what OpenID Connect adds to OAuth.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Extra {
    pub(super) id_token: Option<Secret>,
}

impl ExtraTokenFields for Extra {}

pub(super) type TokenAnswer = StandardTokenResponse<Extra, BasicTokenType>;

/// `rat` as the provider knows it; it can always ask for tokens.
pub(super) type Client = oauth2::Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointMaybeSet,
    EndpointMaybeSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl Provider {
    /// Asks the provider for its description.
    ///
    /// # Errors
    /// It cannot be asked, or is another one.
    pub async fn discover(terms: &Terms) -> Result<Self, Error> {
        let issuer = &terms.issuer;
        // The well-known path is appended to the issuer's, which may end with a slash or not.
        let url = format!("{}/{WELL_KNOWN}", issuer.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|error| Error::NoProvider {
            url: issuer.clone(),
            problem: error.to_string(),
        })?;
        let http = Http::new(&url)?;
        let (status, body) = http.get(&url).await.map_err(|source| Error::Unreachable {
            url: issuer.clone(),
            source,
        })?;
        if status != StatusCode::OK {
            let problem = format!("it answered {status}");
            return Err(Error::no_provider(&url, problem));
        }
        let document: Document = serde_json::from_slice(&body)
            .map_err(|error| Error::no_provider(&url, printable(error.to_string())))?;
        if document.issuer != *issuer {
            let found = printable(document.issuer.chars().take(200).collect());
            let problem = format!("it names the issuer {found:?}, not {issuer:?}");
            return Err(Error::no_provider(&url, problem));
        }
        let endpoints = [
            &document.authorization_endpoint,
            &document.token_endpoint,
            &document.device_authorization_endpoint,
            &document.revocation_endpoint,
        ];
        let is_downgrade = |endpoint: &Url| {
            !(endpoint.scheme() == "https"
                || (url.scheme() == "http" && endpoint.scheme() == "http"))
        };
        if endpoints.into_iter().flatten().any(is_downgrade) {
            let problem = "it sends on to an address without encryption";
            return Err(Error::no_provider(&url, problem));
        }
        Ok(Self {
            http,
            terms: terms.clone(),
            document,
        })
    }

    /// What was agreed on with it.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Whether tokens come over the network without encryption.
    pub fn is_in_the_clear(&self) -> bool {
        let url = self.document.token_endpoint.as_ref();
        url.is_some_and(|url| url.scheme() == "http" && !is_loopback(url))
    }

    pub(super) fn says_who_answers(&self) -> bool {
        self.document.authorization_response_iss_parameter_supported
    }

    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    pub(super) fn missing(&self, name: &'static str, hint: &'static str) -> Error {
        Error::NoEndpoint {
            issuer: self.terms.issuer.clone(),
            name,
            hint,
        }
    }

    /// Everything that is asked for.
    pub(super) fn scopes(&self) -> impl Iterator<Item = Scope> {
        let others = self.terms.scopes.iter().filter(|scope| *scope != "openid");
        std::iter::once("openid".to_owned())
            .chain(others.cloned())
            .map(Scope::new)
    }

    pub(super) fn client(&self) -> Result<Client, Error> {
        let document = &self.document;
        let token = document.token_endpoint.clone();
        let token = token.ok_or_else(|| self.missing("token endpoint", ""))?;
        Ok(
            oauth2::Client::new(ClientId::new(self.terms.client_id.clone()))
                .set_auth_type(AuthType::RequestBody)
                .set_auth_uri_option(
                    document
                        .authorization_endpoint
                        .clone()
                        .map(AuthUrl::from_url),
                )
                .set_device_authorization_url_option(
                    document
                        .device_authorization_endpoint
                        .clone()
                        .map(DeviceAuthorizationUrl::from_url),
                )
                .set_token_uri(TokenUrl::from_url(token)),
        )
    }

    /// A new access token for a refresh token.
    ///
    /// # Errors
    /// [`Error::Refused`] when the refresh token is not good any more.
    pub async fn refresh(&self, token: &Secret) -> Result<Granted, Error> {
        let client = self.client()?;
        let token = RefreshToken::new(token.expose().to_owned());
        let send = |request| self.http.send(request);
        let answer = client.exchange_refresh_token(&token).request_async(&send);
        granted(&answer.await.map_err(|error| self.failed(error))?)
    }

    /// Has the provider forget a token, and the session that it belongs to; answers whether it
    /// has a way to do so.
    ///
    /// # Errors
    /// It could not be asked, or refused.
    pub async fn revoke(&self, token: &Token<'_>) -> Result<bool, Error> {
        let Some(url) = self.document.revocation_endpoint.clone() else {
            return Ok(false);
        };
        // By hand: the crate insists on https, which a provider on this machine does not have.
        let (token, hint) = match token {
            Token::Access(token) => (token, "access_token"),
            Token::Refresh(token) => (token, "refresh_token"),
        };
        let form = [
            ("token", token.expose()),
            ("token_type_hint", hint),
            ("client_id", &self.terms.client_id),
        ];
        let request = self.http.client.post(url).form(&form);
        let (status, body) = self
            .http
            .exchange(request)
            .await
            .map_err(|source| self.away(source))?;
        match status {
            // A token that is not known any more is as good as revoked: also 200.
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(true),
            status => Err(Error::Refused(refusal(status, &body))),
        }
    }

    pub(super) fn away(&self, source: HttpError) -> Error {
        Error::Unreachable {
            url: self.terms.issuer.clone(),
            source,
        }
    }

    pub(super) fn failed(&self, error: RequestTokenError<HttpError, BasicErrorResponse>) -> Error {
        match error {
            RequestTokenError::Request(source) => self.away(source),
            RequestTokenError::ServerResponse(answer) => said(&answer, |kind| match kind {
                BasicErrorResponseType::Extension(name) if name == "access_denied" => {
                    Some(Error::Denied)
                }
                _ => None,
            }),
            RequestTokenError::Parse(error, _) => Error::Answer(error.to_string()),
            RequestTokenError::Other(problem) => Error::Answer(printable(problem)),
        }
    }

    pub(super) fn device_failed(
        &self,
        error: RequestTokenError<HttpError, DeviceCodeErrorResponse>,
    ) -> Error {
        match error {
            RequestTokenError::Request(source) => self.away(source),
            RequestTokenError::ServerResponse(answer) => said(&answer, |kind| match kind {
                DeviceCodeErrorResponseType::AccessDenied => Some(Error::Denied),
                DeviceCodeErrorResponseType::ExpiredToken => Some(Error::Expired),
                _ => None,
            }),
            RequestTokenError::Parse(error, _) => Error::Answer(error.to_string()),
            RequestTokenError::Other(problem) => Error::Answer(printable(problem)),
        }
    }
}

/// An error of the provider in its own words, unless we have better ones.
fn said<T>(answer: &StandardErrorResponse<T>, ours: impl Fn(&T) -> Option<Error>) -> Error
where
    T: oauth2::ErrorResponseType + std::fmt::Display + 'static,
    StandardErrorResponse<T>: ErrorResponse,
{
    ours(answer.error()).unwrap_or_else(|| Error::Refused(printable(answer.to_string())))
}

fn refusal(status: StatusCode, body: &[u8]) -> String {
    match serde_json::from_slice::<BasicErrorResponse>(body) {
        Ok(answer) => printable(answer.to_string()),
        Err(_) => format!("it answered {status}"),
    }
}

pub(super) fn granted(answer: &TokenAnswer) -> Result<Granted, Error> {
    if *answer.token_type() != BasicTokenType::Bearer {
        let problem = "the token is not one that is sent as it is (Bearer)";
        return Err(Error::Answer(problem.to_owned()));
    }
    let is_sendable = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    let access = answer.access_token().secret();
    if !is_sendable(access) {
        return Err(Error::Answer(
            "the token has characters that tokens do not have".to_owned(),
        ));
    }
    Ok(Granted {
        access_token: Secret::new(access),
        refresh_token: answer
            .refresh_token()
            .map(|token| Secret::new(token.secret())),
        lifetime: answer.expires_in(),
    })
}

/// Asks the provider, and nobody to whom it redirects.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
}

impl Http {
    fn new(url: &Url) -> Result<Self, Error> {
        let accept = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("rat/", env!("CARGO_PKG_VERSION")))
            .default_headers(accept)
            .connect_timeout(DIAL)
            .timeout(DEADLINE)
            .redirect(redirect::Policy::none());
        if is_loopback(url) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|source| Error::Unreachable {
            url: url.to_string(),
            source: source.into(),
        })?;
        Ok(Self { client })
    }

    async fn get(&self, url: &Url) -> Result<(StatusCode, Vec<u8>), HttpError> {
        self.exchange(self.client.get(url.clone())).await
    }

    /// For the crate that knows the protocol.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let request = self
            .client
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .body(body);
        let (status, body) = self.exchange(request).await?;
        let answer = oauth2::http::Response::builder().status(status);
        Ok(answer.body(body)?)
    }

    async fn exchange(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<(StatusCode, Vec<u8>), HttpError> {
        let mut response = request.send().await.map_err(reqwest::Error::without_url)?;
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(reqwest::Error::without_url)?
        {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(HttpError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status(), body))
    }
}
