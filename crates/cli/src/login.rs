//! Logins with an OpenID Connect provider, and the tokens that come of them.
//!
//! `rat` is a public client (RFC 8252): it has no secret, so that every code is bound to this
//! process by PKCE (RFC 7636), and comes back on a port of loopback that is open for that time
//! only. Where no browser can reach this machine, the device flow (RFC 8628) takes its place.
//!
//! | Module | |
//! |---|---|
//! | `provider` | what the provider says of itself, and asking it |
//! | `code`, `callback` | a login in the browser of this machine |
//! | `device` | a login in any browser |
//! | `id_token` | whether the answer is to our question |
//! | `store` | one file per server, which only its user can read |
//! | `session` | a token that is good now, for whoever sends requests |
//!
//! What a token says is the server's business: it is never looked into here. The exception is the
//! ID token, which is meant for us, and is thrown away once it was checked.

mod callback;
mod code;
mod device;
mod error;
mod id_token;
mod provider;
mod session;
mod store;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rat_types::Secret;
use serde::{Deserialize, Serialize};

pub use error::Error;
pub use provider::{Granted, Provider, Token};
pub use session::Session;
pub use store::{Lock, Store};

pub use code::log_in as log_in_with_browser;
pub use device::{Invitation, log_in as log_in_with_code};

/// Who asks for tokens, of whom, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The provider, as its tokens name it.
    pub issuer: String,
    /// The client that `rat` is to it.
    pub client_id: String,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
}

/// A login at one server, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Login {
    /// The server, for people who look into the file.
    pub server: String,
    /// Where it was made.
    #[serde(flatten)]
    pub terms: Terms,
    /// What requests carry.
    pub access_token: Secret,
    /// What new access tokens are had for.
    pub refresh_token: Option<Secret>,
    /// When the access token ends, in seconds since 1970; unknown if the provider did not say it.
    pub expires_at: Option<i64>,
    /// From when on there should be a new one.
    pub renew_at: Option<i64>,
}

/// Time before its end at which a token is replaced, unless it is shorter-lived than that.
const MARGIN: i64 = 30;

impl Login {
    /// The login that `granted` makes. A refresh token that is not replaced stays good.
    pub fn new(server: String, terms: Terms, granted: Granted, before: Option<&Self>) -> Self {
        let now = now();
        let lifetime = granted.lifetime.map(seconds);
        Self {
            server,
            terms,
            access_token: granted.access_token,
            refresh_token: granted
                .refresh_token
                .or_else(|| before.and_then(|before| before.refresh_token.clone())),
            expires_at: lifetime.map(|lifetime| now.saturating_add(lifetime)),
            renew_at: lifetime
                .map(|lifetime| now.saturating_add(lifetime - MARGIN.min(lifetime / 2))),
        }
    }

    fn is_fresh(&self) -> bool {
        self.renew_at.is_none_or(|at| now() < at)
    }

    fn is_good(&self) -> bool {
        self.expires_at.is_none_or(|at| now() < at)
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    seconds(since.unwrap_or_default())
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(lifetime: Option<u64>) -> Login {
        let terms = Terms {
            issuer: "https://example.org".to_owned(),
            client_id: "rat-cli".to_owned(),
            scopes: Vec::new(),
        };
        let granted = Granted {
            access_token: Secret::new("a"),
            refresh_token: None,
            lifetime: lifetime.map(Duration::from_secs),
        };
        Login::new("http://server".to_owned(), terms, granted, None)
    }

    #[test]
    fn a_token_is_replaced_before_it_ends_however_short_it_lives() {
        let remaining = |lifetime| {
            let login = login(Some(lifetime));
            assert!(login.is_fresh() && login.is_good());
            login.expires_at.unwrap() - login.renew_at.unwrap()
        };
        assert_eq!([300, 60, 20, 2].map(remaining), [30, 30, 10, 1]);
        assert!(!login(Some(0)).is_fresh());
        assert!(login(None).is_fresh() && login(None).is_good());
        login(Some(u64::MAX));
    }

    #[test]
    fn a_refresh_token_stays_good_until_it_is_replaced() {
        let mut before = login(Some(1));
        before.refresh_token = Some(Secret::new("r"));
        let granted = |refresh: Option<&str>| Granted {
            access_token: Secret::new("b"),
            refresh_token: refresh.map(Secret::new),
            lifetime: None,
        };
        let after = |refresh| {
            let terms = before.terms.clone();
            let after = Login::new(
                before.server.clone(),
                terms,
                granted(refresh),
                Some(&before),
            );
            after.refresh_token.unwrap().expose().to_owned()
        };
        assert_eq!((after(None), after(Some("s"))), ("r".into(), "s".into()));
    }

    #[test]
    fn debug_output_shows_no_token() {
        let text = format!("{:?}", login(None));
        assert!(!text.contains("\"a\""), "{text}");
    }
}
