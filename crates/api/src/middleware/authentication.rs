//! Who is calling: layer 9 of the chain, and the place where the auth slot will be plugged in.
//!
//! The layer takes the credential off the request, asks the [`Authenticator`] and puts the
//! [`Identity`] into the extensions. Behind it nothing sees a credential, and headers in which
//! proxies usually name a user are gone too: the only way to be somebody is the authenticator.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};
use rat_types::{Identity, Kind, Secret};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::access::{AccessError, Permission};
use crate::fault::Fault;
use crate::route;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Longest credential that is looked at; a JWT with many roles has a few kilobytes.
const LONGEST_CREDENTIAL: usize = 16 * 1024;
/// Beginnings of headers in which somebody in front could claim to have authenticated a user.
const IDENTITY_HEADERS: [&str; 8] = [
    "x-rat-",
    "x-auth-",
    "x-user",
    "x-email",
    "x-remote-",
    "x-forwarded-user",
    "x-forwarded-email",
    "remote-",
];
const MORE_IDENTITY_HEADERS: [&str; 4] = [
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-authenticated-",
];

/// Who calls, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The caller.
    pub identity: Identity,
    /// How that is known, for the log.
    pub by: Verification,
}

/// How it is known who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// No credential is needed: everybody is the same.
    Open,
    /// The API key was presented.
    ApiKey,
    /// The auth plugin said so, to this request.
    Plugin,
    /// The auth plugin said so, to an earlier request with the same credential, this long ago.
    Cached(Duration),
}

impl Verification {
    /// How, as the log says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::ApiKey => "api_key",
            Self::Plugin => "plugin",
            Self::Cached(_) => "cache",
        }
    }

    /// How old the verification is.
    pub fn age(self) -> Duration {
        match self {
            Self::Open | Self::ApiKey | Self::Plugin => Duration::ZERO,
            Self::Cached(age) => age,
        }
    }
}

/// Why a caller was not recognised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationError {
    /// There was no credential, and one is needed.
    #[error("a credential is needed: send it as \"Authorization: Bearer …\" or \"X-API-Key: …\"")]
    Missing,
    /// There was one, and it is not good.
    #[error("the credential is not valid")]
    Refused,
    /// Nobody is there to say whether the credential is good.
    #[error("authentication is not available: {0}")]
    Unavailable(String),
}

impl From<AuthenticationError> for Fault {
    fn from(error: AuthenticationError) -> Self {
        let (kind, reason) = match error {
            AuthenticationError::Missing => (Kind::Unauthenticated, "CREDENTIAL_MISSING"),
            AuthenticationError::Refused => (Kind::Unauthenticated, "CREDENTIAL_REFUSED"),
            AuthenticationError::Unavailable(_) => {
                (Kind::Unavailable, "AUTHENTICATION_UNAVAILABLE")
            }
        };
        Self::of(kind, reason, &error)
    }
}

/// What everybody is whom the built-in knows.
const BUILTIN_ROLE: &str = "admin";

/// Tells who presents a credential. The built-in one knows an API key; a plugin's stands in its
/// place without the layer noticing.
pub trait Authenticator: Send + Sync + 'static {
    /// The caller that presents `credential`, or presents none.
    fn authenticate<'a>(
        &'a self,
        credential: Option<&'a Secret>,
    ) -> BoxFuture<'a, Result<Verified, AuthenticationError>>;

    /// `Ok` where `identity` has a permission of the platform.
    fn authorize<'a>(
        &'a self,
        identity: &'a Identity,
        permission: Permission,
    ) -> BoxFuture<'a, Result<(), AccessError>> {
        let permitted = permission.of_administrators(identity, &[BUILTIN_ROLE]);
        Box::pin(std::future::ready(permitted))
    }

    /// Whether callers need a credential at all.
    fn is_required(&self) -> bool;
}

/// The built-in authenticator: everybody is `anonymous`, or, with an API key, whoever presents
/// it is `api-key`. Both have the role `admin`.
#[derive(Debug)]
pub struct ApiKey {
    digest: Option<[u8; 32]>,
}

impl ApiKey {
    /// With a key, or open.
    pub fn new(key: Option<&Secret>) -> Self {
        Self {
            digest: key.map(|key| digest_of(key.expose())),
        }
    }

    fn check(&self, credential: Option<&Secret>) -> Result<Verified, AuthenticationError> {
        let Some(expected) = self.digest else {
            return Ok(Verified {
                identity: Identity::anonymous(),
                by: Verification::Open,
            });
        };
        let presented = credential.ok_or(AuthenticationError::Missing)?;
        // Digests have one length, so that the comparison tells nothing about the key's.
        match bool::from(digest_of(presented.expose()).ct_eq(&expected)) {
            true => Ok(Verified {
                identity: Identity::api_key(),
                by: Verification::ApiKey,
            }),
            false => Err(AuthenticationError::Refused),
        }
    }
}

fn digest_of(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl Authenticator for ApiKey {
    fn authenticate<'a>(
        &'a self,
        credential: Option<&'a Secret>,
    ) -> BoxFuture<'a, Result<Verified, AuthenticationError>> {
        Box::pin(std::future::ready(self.check(credential)))
    }

    fn is_required(&self) -> bool {
        self.digest.is_some()
    }
}

/// The layer.
pub(crate) async fn apply(
    State(authenticator): State<Arc<dyn Authenticator>>,
    mut request: Request,
    next: Next,
) -> Response {
    let credential = take_credential(request.headers_mut());
    strip(request.headers_mut());
    if route::is_open(request.uri().path()) {
        request.extensions_mut().insert(Identity::anonymous());
        return next.run(request).await;
    }
    let found = match credential {
        Ok(credential) => authenticator.authenticate(credential.as_ref()).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(Verified { identity, by }) => {
            // With the request's id, which is in the span: every answer can be traced to this.
            tracing::debug!(
                target: "rat::auth",
                user = identity.user_id,
                by = by.as_str(),
                age_ms = u64::try_from(by.age().as_millis()).unwrap_or(u64::MAX),
                "authenticated"
            );
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(error) => refuse(error),
    }
}

fn refuse(error: AuthenticationError) -> Response {
    let challenge = !matches!(error, AuthenticationError::Unavailable(_));
    let mut response = Fault::from(error).into_response();
    if challenge {
        response.headers_mut().insert(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"rat\""),
        );
    }
    response
}

/// The one credential of a request. Two of them are refused: whoever stands in front of us might
/// have looked at the other.
fn take_credential(headers: &mut HeaderMap) -> Result<Option<Secret>, AuthenticationError> {
    let mut found = Vec::new();
    for value in headers.get_all(AUTHORIZATION) {
        let text = value.to_str().map_err(|_| AuthenticationError::Refused)?;
        match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                found.push(token.trim().to_owned());
            }
            _ => return Err(AuthenticationError::Refused),
        }
    }
    for value in headers.get_all(API_KEY) {
        found.push(
            value
                .to_str()
                .map_err(|_| AuthenticationError::Refused)?
                .to_owned(),
        );
    }
    match found.pop() {
        None => Ok(None),
        Some(one) if found.is_empty() && !one.is_empty() && one.len() <= LONGEST_CREDENTIAL => {
            Ok(Some(Secret::new(one)))
        }
        Some(_) => Err(AuthenticationError::Refused),
    }
}

fn strip(headers: &mut HeaderMap) {
    let claims_identity = |name: &HeaderName| {
        let name = name.as_str();
        let mut prefixes = IDENTITY_HEADERS.iter().chain(&MORE_IDENTITY_HEADERS);
        prefixes.any(|prefix| name.starts_with(prefix))
    };
    let foreign: Vec<HeaderName> = headers
        .keys()
        .filter(|name| claims_identity(name))
        .cloned()
        .collect();
    for name in foreign
        .iter()
        .chain(&[AUTHORIZATION, API_KEY, COOKIE, PROXY_AUTHORIZATION])
    {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in list {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    fn taken(list: &[(&str, &str)]) -> Result<Option<String>, AuthenticationError> {
        let credential = take_credential(&mut headers(list))?;
        Ok(credential.map(|secret| secret.expose().to_owned()))
    }

    #[test]
    fn a_credential_is_taken_from_either_header() {
        assert_eq!(taken(&[]), Ok(None));
        assert_eq!(
            taken(&[("authorization", "Bearer k")]),
            Ok(Some("k".into()))
        );
        assert_eq!(
            taken(&[("authorization", "bEARER  k ")]),
            Ok(Some("k".into()))
        );
        assert_eq!(taken(&[("x-api-key", "k")]), Ok(Some("k".into())));
    }

    #[test]
    fn anything_ambiguous_is_refused() {
        let long = "x".repeat(LONGEST_CREDENTIAL + 1);
        for attack in [
            vec![("authorization", "k")],
            vec![("authorization", "Basic azpr")],
            vec![("authorization", "Bearer ")],
            vec![("authorization", "")],
            vec![("authorization", "Bearer k\u{e9}")],
            vec![("x-api-key", "")],
            vec![("x-api-key", &long)],
            vec![("authorization", "Bearer k"), ("authorization", "Bearer k")],
            vec![("authorization", "Bearer k"), ("x-api-key", "k")],
        ] {
            assert_eq!(
                taken(&attack),
                Err(AuthenticationError::Refused),
                "{attack:?}"
            );
        }
    }

    #[test]
    fn only_the_key_itself_opens() {
        let key = Secret::new("correct horse");
        let locked = ApiKey::new(Some(&key));
        let verified = locked.check(Some(&key)).unwrap();
        assert_eq!(verified.identity, Identity::api_key());
        assert_eq!(verified.by, Verification::ApiKey);
        assert_eq!(locked.check(None), Err(AuthenticationError::Missing));
        for wrong in ["", "correct hors", "correct horse ", "Correct horse", "x"] {
            let wrong = Secret::new(wrong);
            assert_eq!(
                locked.check(Some(&wrong)),
                Err(AuthenticationError::Refused)
            );
        }
        let open = ApiKey::new(None).check(Some(&key)).unwrap();
        assert_eq!(open.identity, Identity::anonymous());
        assert_eq!(open.by, Verification::Open);
    }

    #[test]
    fn headers_that_claim_an_identity_do_not_reach_a_handler() {
        let mut map = headers(&[
            ("x-rat-user", "root"),
            ("x-forwarded-user", "root"),
            ("x-forwarded-groups", "admin"),
            ("x-auth-request-email", "root@example.org"),
            ("remote-user", "root"),
            ("x-user-id", "root"),
            ("authorization", "Bearer k"),
            ("cookie", "session=1"),
            ("accept", "application/json"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-request-id", "1"),
        ]);
        strip(&mut map);
        let mut left: Vec<&str> = map.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "x-forwarded-for", "x-request-id"]);
    }
}
