//! The provider's keys, each bound to the algorithms that it may be used with.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::{Map, Value};

use crate::json;
use crate::refusal::Refusal;

/// A provider has a handful. More is a mistake or an attack.
const MAX_KEYS: usize = 256;
/// What ring verifies with.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a document is no set of keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("it is not JSON")]
    NotJson(#[source] serde_json::Error),
    #[error("it has no list of keys")]
    NoList,
    #[error("it has {count} keys, {MAX_KEYS} are the most")]
    TooMany { count: usize },
}

/// The keys that can be used.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    keys: Vec<Key>,
    by_id: HashMap<String, Vec<usize>>,
}

/// A public key.
#[derive(Debug)]
pub(crate) struct Key {
    algorithms: Vec<Algorithm>,
    decoding: DecodingKey,
}

/// What is found for a token.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// Usually one; nothing forbids two of the same name.
    Keys(Vec<&'a Key>),
    /// The provider may have got it since.
    Unknown,
}

impl Keys {
    /// Reads a JWKS. Keys that cannot be used, or are for something else than the signatures of
    /// `allowed`, are left out.
    pub(crate) fn read(document: &[u8], allowed: &[Algorithm]) -> Result<Self, Error> {
        let document = json::parse_object(document).map_err(Error::NotJson)?;
        let list = document.get("keys").and_then(Value::as_array);
        let list = list.ok_or(Error::NoList)?;
        if list.len() > MAX_KEYS {
            let count = list.len();
            return Err(Error::TooMany { count });
        }
        let mut known = Self::default();
        for (position, entry) in list.iter().enumerate() {
            let read = match entry {
                Value::Object(key) => Key::read(key, allowed),
                _ => Err("it is not an object"),
            };
            match read {
                Ok(key) => known.add(entry["kid"].as_str(), key),
                Err(reason) => tracing::debug!(position, reason, "a key is not used"),
            }
        }
        Ok(known)
    }

    fn add(&mut self, id: Option<&str>, key: Key) {
        if let Some(id) = id {
            let places = self.by_id.entry(id.to_owned()).or_default();
            places.push(self.keys.len());
        }
        self.keys.push(key);
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys that a token may be signed with.
    pub(crate) fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Found<'_>, Refusal> {
        let fits = |key: &&Key| key.algorithms.contains(&algorithm);
        let Some(id) = id else {
            // Without a name it has to be clear which one is meant.
            let fitting: Vec<_> = self.keys.iter().filter(fits).collect();
            return match fitting.len() {
                1 => Ok(Found::Keys(fitting)),
                _ => Err(Refusal::NoKeyNamed),
            };
        };
        let Some(places) = self.by_id.get(id) else {
            return Ok(Found::Unknown);
        };
        let named = places.iter().map(|place| &self.keys[*place]);
        let fitting: Vec<_> = named.filter(fits).collect();
        match fitting.is_empty() {
            true => Err(Refusal::KeyForAnother),
            false => Ok(Found::Keys(fitting)),
        }
    }
}

impl Key {
    fn read(key: &Map<String, Value>, allowed: &[Algorithm]) -> Result<Self, &'static str> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return Err("it is not for signatures");
        }
        if let Some(operations) = key.get("key_ops") {
            let operations = operations.as_array().ok_or("its key_ops are no list")?;
            if !operations.iter().any(|operation| operation == "verify") {
                return Err("it is not for verifying");
            }
        }
        let part = |name: &'static str| text(name).ok_or("a part of it is missing");
        let (kind, decoding) = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => (Kind::Rsa, rsa(part("n")?, part("e")?)?),
            (Some("EC"), Some("P-256")) => (Kind::P256, point(part("x")?, part("y")?, 32)?),
            (Some("EC"), Some("P-384")) => (Kind::P384, point(part("x")?, part("y")?, 48)?),
            (Some("OKP"), Some("Ed25519")) => (Kind::Ed25519, edwards(part("x")?)?),
            _ => return Err("it is of another kind"),
        };
        let named = key.get("alg");
        let algorithms = allowed.iter().copied().filter(|algorithm| {
            kind.signs(*algorithm) && named.is_none_or(|name| is_named(name, *algorithm))
        });
        let algorithms: Vec<_> = algorithms.collect();
        if algorithms.is_empty() {
            return Err("its algorithm is not one of those that are configured");
        }
        Ok(Self {
            algorithms,
            decoding,
        })
    }

    /// Whether `signature`, in base64, is this key's under `message`.
    pub(crate) fn has_signed(&self, message: &str, signature: &str, algorithm: Algorithm) -> bool {
        let key = &self.decoding;
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, algorithm).unwrap_or(false)
    }
}

/// What a key is made of.
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Kind {
    fn signs(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa => algorithm.family() == AlgorithmFamily::Rsa,
            Self::P256 => algorithm == Algorithm::ES256,
            Self::P384 => algorithm == Algorithm::ES384,
            Self::Ed25519 => algorithm == Algorithm::EdDSA,
        }
    }
}

fn is_named(name: &Value, algorithm: Algorithm) -> bool {
    let name = name.as_str().unwrap_or_default();
    // The same under its newer name (RFC 9864).
    let is_newer = name == "Ed25519" && algorithm == Algorithm::EdDSA;
    is_newer
        || name
            .parse()
            .is_ok_and(|named: Algorithm| named == algorithm)
}

fn decode(part: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| "a part of it is not in base64")
}

fn rsa(modulus: &str, exponent: &str) -> Result<DecodingKey, &'static str> {
    let (modulus, exponent) = (decode(modulus)?, decode(exponent)?);
    // Some write a zero in front; ring takes none.
    let modulus = without_zeros(&modulus);
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros()) as usize;
    if !RSA_BITS.contains(&bits) {
        return Err("it is too short or too long");
    }
    let exponent = without_zeros(&exponent);
    Ok(DecodingKey::from_rsa_raw_components(modulus, exponent))
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

fn point(x: &str, y: &str, length: usize) -> Result<DecodingKey, &'static str> {
    if decode(x)?.len() != length || decode(y)?.len() != length {
        return Err("its point has another length");
    }
    DecodingKey::from_ec_components(x, y).map_err(|_| "its point cannot be read")
}

fn edwards(x: &str) -> Result<DecodingKey, &'static str> {
    if decode(x)?.len() != 32 {
        return Err("it has another length");
    }
    DecodingKey::from_ed_components(x).map_err(|_| "it cannot be read")
}
