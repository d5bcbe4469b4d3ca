//! A token's parts. What is unusual is refused rather than understood.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use crate::json;
use crate::refusal::Refusal;

/// Longer tokens are not looked at. One of Keycloak with a hundred groups has about 6 KiB.
pub(crate) const MAX_BYTES: usize = 16 << 10;

/// Headers that would have the sender decide what his token is checked with, or that say that
/// there is something to be understood first.
const NOT_ACCEPTED: [&str; 8] = ["crit", "jwk", "jku", "x5u", "x5c", "b64", "zip", "enc"];

/// A signed token, before anything was verified.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    /// What is signed.
    pub(crate) message: &'a str,
    pub(crate) signature: &'a str,
    payload: &'a str,
}

impl<'a> Token<'a> {
    pub(crate) fn read(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > MAX_BYTES {
            let length = text.len();
            return Err(Refusal::TooLong { length });
        }
        let (message, signature) = text.rsplit_once('.').ok_or(Refusal::NotJws)?;
        let (header, payload) = message.split_once('.').ok_or(Refusal::NotJws)?;
        if payload.contains('.') || signature.is_empty() {
            return Err(Refusal::NotJws);
        }
        let header = object("header", header)?;
        if let Some(name) = NOT_ACCEPTED
            .into_iter()
            .find(|name| header.contains_key(*name))
        {
            return Err(Refusal::Header { name });
        }
        if !is_of_access(header.get("typ")) {
            return Err(Refusal::Header { name: "typ" });
        }
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm = algorithm.and_then(|name| name.parse().ok());
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(Refusal::Header { name: "kid" }),
        };
        Ok(Self {
            algorithm: algorithm.ok_or(Refusal::Algorithm)?,
            key_id,
            message,
            signature,
            payload,
        })
    }

    /// What it says. To be believed only once its signature was verified.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, Refusal> {
        object("payload", self.payload)
    }
}

fn object(part: &'static str, text: &str) -> Result<Map<String, Value>, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::NotJws)?;
    json::parse_object(&bytes).map_err(|error| {
        // The message of a parser quotes nothing of a syntax error, but may of a wrong type.
        let problem = error.to_string();
        Refusal::NotJson { part, problem }
    })
}

/// Whether a header's `typ` is that of access tokens (RFC 9068), or says nothing.
fn is_of_access(kind: Option<&Value>) -> bool {
    match kind {
        None => true,
        Some(Value::String(kind)) => ["jwt", "at+jwt", "application/at+jwt"]
            .iter()
            .any(|known| kind.eq_ignore_ascii_case(known)),
        Some(_) => false,
    }
}
