//! A login in a browser of this machine: authorization code with PKCE (RFC 6749, 7636, 8252).

use std::borrow::Cow;
use std::time::Duration;

use oauth2::{AuthorizationCode, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl};
use url::Url;

use super::callback::{Listener, Visitor};
use super::provider::{Granted, granted};
use super::{Error, Provider, id_token};
use crate::output::printable::printable;

/// Time that somebody has to log in.
const LOGIN: Duration = Duration::from_secs(600);
const DEVICE_HINT: &str = "; use rat login --device";

/// What the answer has to fit to.
struct Question {
    redirect: RedirectUrl,
    nonce: CsrfToken,
    verifier: PkceCodeVerifier,
}

/// Waits until somebody has logged in at the address that is given to `show`.
///
/// # Errors
/// What kept them from it.
pub async fn log_in(provider: &Provider, show: impl FnOnce(&Url)) -> Result<Granted, Error> {
    let listener = Listener::open().await.map_err(Error::Listen)?;
    let redirect = RedirectUrl::from_url(listener.url().clone());
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let nonce = CsrfToken::new_random();
    let client = provider.client()?;
    let request = client.authorize_url(CsrfToken::new_random);
    let request = request.map_err(|_| provider.missing("authorization endpoint", DEVICE_HINT))?;
    let (url, state) = request
        .add_scopes(provider.scopes())
        .add_extra_param("nonce", nonce.secret().clone())
        .set_pkce_challenge(challenge)
        .set_redirect_uri(Cow::Borrowed(&redirect))
        .url();
    show(&url);
    let question = Question {
        redirect,
        nonce,
        verifier,
    };
    let visitor = tokio::time::timeout(LOGIN, listener.visitor(state.secret())).await;
    let visitor = visitor.map_err(|_| Error::Expired)?;
    let outcome = take(provider, &visitor, question).await;
    visitor.tell(outcome.is_ok()).await;
    outcome
}

async fn take(provider: &Provider, visitor: &Visitor, asked: Question) -> Result<Granted, Error> {
    let parameter = |name| {
        let value = visitor.parameter(name);
        value.map_err(|()| Error::Foreign("a parameter comes twice"))
    };
    // RFC 9207: an answer of another provider may not be taken to this one.
    match parameter("iss")? {
        Some(issuer) if issuer != provider.terms().issuer => {
            return Err(Error::Foreign("the issuer differs"));
        }
        None if provider.says_who_answers() => {
            return Err(Error::Foreign("the issuer is missing"));
        }
        _ => {}
    }
    if let Some(error) = parameter("error")? {
        return Err(match (error, parameter("error_description")?) {
            ("access_denied", _) => Error::Denied,
            (error, None) => Error::Refused(printable(error.to_owned())),
            (error, Some(text)) => Error::Refused(printable(format!("{error}: {text}"))),
        });
    }
    let code = parameter("code")?.ok_or(Error::Foreign("there is no code"))?;
    let client = provider.client()?;
    let send = |request| provider.http().send(request);
    let answer = client
        .exchange_code(AuthorizationCode::new(code.to_owned()))
        .set_pkce_verifier(asked.verifier)
        .set_redirect_uri(Cow::Owned(asked.redirect))
        .request_async(&send);
    let answer = answer.await.map_err(|error| provider.failed(error))?;
    let token = answer.extra_fields().id_token.as_ref();
    let token = token.ok_or(Error::IdToken("there is none"))?;
    id_token::check(token.expose(), provider.terms(), Some(asked.nonce.secret()))?;
    granted(&answer)
}
