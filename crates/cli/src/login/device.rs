//! A login in any browser, with a code that is typed in there (RFC 8628).

use std::time::Duration;

use oauth2::{PkceCodeChallenge, StandardDeviceAuthorizationResponse};

use super::provider::{Granted, granted};
use super::{Error, Provider, id_token};
use crate::output::printable::printable;

/// Time that somebody has to log in, whatever the provider allows.
const LOGIN: Duration = Duration::from_secs(1800);

/// Where to go, and what to type in there.
#[derive(Debug)]
pub struct Invitation {
    /// The address for people to type.
    pub url: String,
    /// The code.
    pub code: String,
    /// The address with the code in it.
    pub complete: Option<String>,
}

/// Waits until somebody has typed in the code that is given to `show`.
///
/// # Errors
/// What kept them from it.
pub async fn log_in(provider: &Provider, show: impl FnOnce(&Invitation)) -> Result<Granted, Error> {
    let client = provider.client()?;
    let send = |request| provider.http().send(request);
    let missing = |_| provider.missing("device authorization endpoint", "; leave --device away");
    let asked = client.exchange_device_code().map_err(missing)?;
    // The specification knows no PKCE here. Keycloak asks for it where the client has to use it, and
    // others do not mind.
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let asked = asked
        .add_scopes(provider.scopes())
        .add_extra_param("code_challenge", challenge.as_str())
        .add_extra_param("code_challenge_method", challenge.method().as_str())
        .request_async(&send);
    let details: StandardDeviceAuthorizationResponse =
        asked.await.map_err(|error| provider.failed(error))?;
    show(&Invitation {
        url: printable(details.verification_uri().to_string()),
        code: printable(details.user_code().secret().clone()),
        complete: details
            .verification_uri_complete()
            .map(|url| printable(url.secret().clone())),
    });
    let limit = details.expires_in().min(LOGIN);
    let answer = client
        .exchange_device_access_token(&details)
        .add_extra_param("code_verifier", verifier.secret())
        .request_async(&send, tokio::time::sleep, Some(limit));
    let answer = answer
        .await
        .map_err(|error| provider.device_failed(error))?;
    // There is no way to send a nonce along.
    if let Some(token) = &answer.extra_fields().id_token {
        id_token::check(token.expose(), provider.terms(), None)?;
    }
    granted(&answer)
}
