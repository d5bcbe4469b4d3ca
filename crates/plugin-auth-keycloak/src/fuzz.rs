//! Tokens and keys that nobody would write, in search of a panic or a contradiction.
//!
//! As tests, these go through the corpus beside this file and some random inputs; `cargo xtask fuzz`
//! has libFuzzer look for more, guided by what the code does with them. An input that once broke
//! something goes into the corpus.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bolero::check;
use jsonwebtoken::Algorithm;
use serde_json::Value;

use crate::keys::{Found, Keys};
use crate::rules::Rules;
use crate::token::{MAX_BYTES, Token};
use crate::{cryptography, identity, json};

const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
const NOW: i64 = 1_800_000_000;
const LEEWAY: i64 = 60;

/// Either a token as it is, or the JSON of its header and payload, a line each, which is what most
/// of the code is about.
fn compose(input: &[u8]) -> Option<String> {
    let Some((b'=', text)) = input.split_first() else {
        let mut parts = input.splitn(2, |byte| *byte == b'\n');
        let header = URL_SAFE_NO_PAD.encode(parts.next()?);
        let payload = URL_SAFE_NO_PAD.encode(parts.next()?);
        return Some(format!("{header}.{payload}.AAAA"));
    };
    String::from_utf8(text.to_vec()).ok()
}

#[test]
fn no_token_makes_the_plugin_panic_or_lie() {
    let rules = Rules {
        issuer: "i".to_owned(),
        audiences: Vec::new(),
        parties: vec!["p".to_owned()],
        client: Some("c".to_owned()),
        leeway: Duration::from_secs(LEEWAY.unsigned_abs()),
    };
    check!(name = "token").for_each(|input: &[u8]| {
        let Some(text) = compose(input) else {
            return;
        };
        let Ok(token) = Token::read(&text) else {
            return;
        };
        assert!(text.len() <= MAX_BYTES);
        assert_eq!(format!("{}.{}", token.message, token.signature), text);
        let Ok(claims) = token.claims() else {
            return;
        };
        let Ok(expires) = rules.check(&claims, NOW) else {
            return;
        };
        assert_eq!(claims["iss"], "i");
        assert!(expires > NOW - LEEWAY);
        assert!(
            ["p", "c"]
                .iter()
                .any(|party| claims.get("azp") == Some(&Value::from(*party)))
                || claims["aud"] == "c"
                || claims["aud"]
                    .as_array()
                    .is_some_and(|names| names.contains(&"c".into()))
        );
        for path in ["policy", "realm_access.roles", "a.b.c", "."] {
            let Ok(user) = identity::read(&claims, path, expires) else {
                continue;
            };
            assert_eq!(claims["sub"], user.user_id);
            assert!(!user.user_id.is_empty() && user.expires_at == expires);
        }
    });
}

#[test]
fn no_set_of_keys_makes_the_plugin_panic_or_believe() {
    cryptography::install();
    check!(name = "keys").for_each(|input: &[u8]| {
        let Ok(keys) = Keys::read(input, &ALGORITHMS) else {
            return;
        };
        let document: Value = serde_json::from_slice(input).expect("it was read before");
        let listed = document["keys"].as_array().expect("it was read before");
        assert!(keys.len() <= listed.len());
        let names = listed.iter().map(|key| key["kid"].as_str());
        for name in names.chain([None, Some("")]) {
            for algorithm in ALGORITHMS {
                let Ok(Found::Keys(found)) = keys.find(name, algorithm) else {
                    continue;
                };
                assert!(!found.is_empty());
                for key in found {
                    for signature in ["", "AAAA", "not base64"] {
                        assert!(!key.has_signed("message", signature, algorithm));
                    }
                }
            }
        }
    });
}

#[test]
fn json_is_what_others_take_it_for_or_refused() {
    check!(name = "json").for_each(|input: &[u8]| {
        if let Ok(strict) = json::parse(input) {
            let lax: Value = serde_json::from_slice(input).expect("strict JSON is JSON");
            assert_eq!(strict, lax);
        }
    });
}
