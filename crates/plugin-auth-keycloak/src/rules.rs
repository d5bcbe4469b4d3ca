//! What a token whose signature is right has to say besides.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// The end of the year 9999.
const LATEST: i64 = 253_402_300_799;

/// Whose tokens are accepted, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Compared byte by byte.
    pub(crate) issuer: String,
    /// One of them is in `aud`; nothing is asked where there are none.
    pub(crate) audiences: Vec<String>,
    /// One of them is `azp`; nothing is asked where there are none.
    pub(crate) parties: Vec<String>,
    /// As a party, or else as an audience.
    pub(crate) client: Option<String>,
    /// By how much clocks may differ.
    pub(crate) leeway: Duration,
}

impl Rules {
    /// Refuses what is not ours, or not now. Answers with the time at which it expires.
    pub(crate) fn check(&self, claims: &Map<String, Value>, now: i64) -> Result<i64, Refusal> {
        let leeway = i64::try_from(self.leeway.as_secs()).unwrap_or(i64::MAX);
        let issuer = text(claims, "iss")?.ok_or(Refusal::Missing { name: "iss" })?;
        if issuer != self.issuer {
            return Err(Refusal::Issuer);
        }
        let expires = time(claims, "exp")?.ok_or(Refusal::Missing { name: "exp" })?;
        if now >= expires.saturating_add(leeway) {
            return Err(Refusal::Expired);
        }
        let begins = time(claims, "nbf")?;
        if begins.is_some_and(|begins| begins > now.saturating_add(leeway)) {
            return Err(Refusal::NotYet);
        }
        time(claims, "iat")?;
        // Keycloak signs ID and logout tokens with the same key, and says here what it is.
        if text(claims, "typ")?.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(Refusal::NotAccess);
        }
        // Providers that say nothing there: what only ID and logout tokens carry.
        let says = text(claims, "typ")?.is_some();
        let foreign = ["nonce", "at_hash", "c_hash", "s_hash", "events"];
        if !says && foreign.iter().any(|name| claims.contains_key(*name)) {
            return Err(Refusal::NotAccess);
        }
        if claims.contains_key("cnf") {
            return Err(Refusal::Bound);
        }
        self.check_client(claims)?;
        Ok(expires)
    }

    fn check_client(&self, claims: &Map<String, Value>) -> Result<(), Refusal> {
        let audiences = audiences(claims)?;
        let is_for = |wanted: &String| audiences.contains(&wanted.as_str());
        if !self.audiences.is_empty() && !self.audiences.iter().any(is_for) {
            return Err(Refusal::Audience);
        }
        let party = text(claims, "azp")?;
        let is_asked = self.client.is_some() || !self.parties.is_empty();
        let is_party = |known: &String| Some(known.as_str()) == party;
        let is_ours = self.parties.iter().any(is_party)
            || self
                .client
                .iter()
                .any(|client| is_party(client) || is_for(client));
        match is_asked && !is_ours {
            true => Err(Refusal::Client),
            false => Ok(()),
        }
    }
}

/// A claim that is a string, if it is there.
pub(crate) fn text<'a>(
    claims: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, Refusal> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::Claim {
            name: name.to_owned(),
            wanted: "a string",
        }),
    }
}

/// Seconds since 1970, if the claim is there. Fractions are cut off.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = match value.as_i64() {
        Some(seconds) => Some(seconds),
        // What does not fit is the largest there is, which is too late.
        None => value.as_f64().map(|seconds| seconds as i64),
    };
    match seconds {
        Some(seconds @ 0..=LATEST) => Ok(Some(seconds)),
        Some(_) | None => Err(Refusal::Claim {
            name: name.to_owned(),
            wanted: "a time",
        }),
    }
}

fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, Refusal> {
    let wrong = || Refusal::Claim {
        name: "aud".to_owned(),
        wanted: "a string or a list of strings",
    };
    match claims.get("aud") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(several)) => several
            .iter()
            .map(|one| one.as_str().ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}
