//! Whether an ID token is the answer to our question.
//!
//! It came over the connection to the token endpoint, so that nobody but the provider can have
//! made it, and OpenID Connect (Core, 3.1.3.7) lets its signature be. What is checked is that it
//! is of this provider, for this client, of this login and of now. Nothing of it is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::{Error, Terms, now};

/// By how much the provider's clock may differ, in seconds.
const LEEWAY: i64 = 300;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    azp: Option<String>,
    exp: f64,
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn all(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// Checks `token`; `nonce` is what was sent along, if something could be.
pub(super) fn check(token: &str, terms: &Terms, nonce: Option<&str>) -> Result<(), Error> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Error::IdToken("it is not three parts"));
    };
    let claims: Claims = URL_SAFE_NO_PAD
        .decode(payload)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or(Error::IdToken("it cannot be read"))?;
    if claims.iss != terms.issuer {
        return Err(Error::IdToken("it is of another issuer"));
    }
    let audience = claims.aud.all();
    if !audience.contains(&terms.client_id) {
        return Err(Error::IdToken("it is for another client"));
    }
    let party = claims.azp.as_ref();
    if party.is_some_and(|party| *party != terms.client_id)
        || (party.is_none() && audience.len() > 1)
    {
        return Err(Error::IdToken("it was given to another client"));
    }
    // What does not fit is the largest there is.
    if (claims.exp as i64).saturating_add(LEEWAY) < now() {
        return Err(Error::IdToken("it has expired"));
    }
    match nonce {
        Some(nonce) if claims.nonce.as_deref() != Some(nonce) => {
            Err(Error::IdToken("it is of another login"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn judged(claims: &Value, nonce: Option<&str>) -> String {
        let terms = Terms {
            issuer: "https://example.org/realms/rat".to_owned(),
            client_id: "rat-cli".to_owned(),
            scopes: Vec::new(),
        };
        let token = format!("e30.{}.AAAA", URL_SAFE_NO_PAD.encode(claims.to_string()));
        match check(&token, &terms, nonce) {
            Ok(()) => "good".to_owned(),
            Err(error) => error.to_string().rsplit(": ").next().unwrap().to_owned(),
        }
    }

    #[test]
    fn a_token_is_for_this_client_of_this_provider_and_this_login() {
        let good = json!({
            "iss": "https://example.org/realms/rat", "aud": "rat-cli", "azp": "rat-cli",
            "exp": now() + 60, "nonce": "n",
        });
        assert_eq!(judged(&good, Some("n")), "good");
        assert_eq!(judged(&good, None), "good");
        for (claim, value, reason) in [
            (
                "iss",
                json!("https://example.org/realms/rat/"),
                "it is of another issuer",
            ),
            ("iss", json!(null), "it cannot be read"),
            ("aud", json!("rat-ui"), "it is for another client"),
            (
                "aud",
                json!(["rat-ui", "account"]),
                "it is for another client",
            ),
            ("azp", json!("rat-ui"), "it was given to another client"),
            ("exp", json!(now() - 3600), "it has expired"),
            ("exp", json!("tomorrow"), "it cannot be read"),
            ("nonce", json!("m"), "it is of another login"),
            ("nonce", json!(null), "it is of another login"),
        ] {
            let mut claims = good.clone();
            claims[claim] = value.clone();
            assert_eq!(judged(&claims, Some("n")), reason, "{claim} {value}");
        }
        let mut several = good.clone();
        several["aud"] = json!(["rat-cli", "account"]);
        assert_eq!(judged(&several, Some("n")), "good");
        several["azp"] = json!(null);
        assert_eq!(
            judged(&several, Some("n")),
            "it was given to another client"
        );
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let terms = Terms {
            issuer: String::new(),
            client_id: String::new(),
            scopes: Vec::new(),
        };
        for token in ["", "a.b", "a.b.c.d", "a.%.c", "e30.e30.e30"] {
            assert!(check(token, &terms, None).is_err(), "{token}");
        }
    }
}
