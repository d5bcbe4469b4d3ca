//! Which algorithms may sign, and with which keys.

use serde_json::{Value, json};

use crate::support::{Pair, Plugin, Provider, set, usual};

fn header(algorithm: &str, key: &str) -> String {
    json!({"alg": algorithm, "kid": key}).to_string()
}

fn everybody() -> Vec<(&'static str, Pair)> {
    vec![
        ("rsa", Pair::rsa()),
        ("p256", Pair::p256()),
        ("p384", Pair::p384()),
        ("ed", Pair::ed25519()),
    ]
}

const SIGNERS: [(&str, &str); 9] = [
    ("RS256", "rsa"),
    ("RS384", "rsa"),
    ("RS512", "rsa"),
    ("PS256", "rsa"),
    ("PS384", "rsa"),
    ("PS512", "rsa"),
    ("ES256", "p256"),
    ("ES384", "p384"),
    ("EdDSA", "ed"),
];

#[tokio::test]
async fn every_configured_algorithm_is_verified_with_the_keys_that_are_for_it() {
    let pairs = everybody();
    let keys: Vec<_> = pairs.iter().map(|(name, pair)| pair.jwk(name)).collect();
    let provider = Provider::start(set(&keys)).await;
    let all: Vec<_> = SIGNERS.iter().map(|(algorithm, _)| *algorithm).collect();
    let plugin = Plugin::ready(provider.config(json!({"algorithms": all}))).await;
    let payload = provider.claims().to_string();
    for (algorithm, signer) in SIGNERS {
        for (name, pair) in &pairs {
            let token = pair.sign_text(&header(algorithm, name), &payload);
            match *name == signer {
                true => drop(plugin.accepts(&token).await),
                false => {
                    let reason = plugin.refuses(&token).await;
                    assert_eq!(reason, "the key is not for this algorithm");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_configured_is_refused_though_the_key_could_do_it() {
    let (provider, pair, plugin) = usual(json!({})).await;
    let payload = provider.claims().to_string();
    for algorithm in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
        plugin
            .refuses(&pair.sign_text(&header(algorithm, "one"), &payload))
            .await;
    }
}

#[tokio::test]
async fn a_key_that_says_its_algorithm_is_used_for_no_other() {
    let pair = Pair::rsa();
    let mut key = pair.jwk("one");
    key["alg"] = json!("RS256");
    let provider = Provider::start(set(&[key])).await;
    let plugin = Plugin::ready(provider.config(json!({"algorithms": ["RS256", "PS256"]}))).await;
    let payload = provider.claims().to_string();
    plugin
        .accepts(&pair.sign_text(&header("RS256", "one"), &payload))
        .await;
    let reason = plugin
        .refuses(&pair.sign_text(&header("PS256", "one"), &payload))
        .await;
    assert_eq!(reason, "the key is not for this algorithm");
}

#[tokio::test]
async fn keys_that_are_not_for_signatures_or_broken_are_left_out() {
    let pair = Pair::rsa();
    let good = pair.jwk("one");
    let with = |name: &str, value: Value| {
        let mut key = pair.jwk(name);
        key[name] = value;
        key
    };
    let keys = [
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
        with("alg", json!("RSA-OAEP")),
        with("n", json!("AQAB")),
        with("n", json!("not base64!")),
        with("kty", json!("oct")),
        json!({"kty": "oct", "kid": "secret", "k": "AAAA"}),
        json!({"kty": "EC", "crv": "P-521", "kid": "x", "x": "AA", "y": "AA"}),
        json!("a string"),
        good,
    ];
    let provider = Provider::start(set(&keys)).await;
    let plugin = Plugin::start(provider.config(json!({}))).await;
    assert_eq!(plugin.becomes("healthy").await, "1 key");
    plugin.accepts(&pair.token(&provider.claims())).await;
}

#[tokio::test]
async fn a_token_that_names_no_key_is_accepted_where_there_is_one_only() {
    let (provider, pair, plugin) = usual(json!({"refresh_interval": "50ms"})).await;
    let token = pair.sign_text(r#"{"alg":"RS256"}"#, &provider.claims().to_string());
    plugin.accepts(&token).await;
    provider.now_serves(set(&[pair.jwk("one"), Pair::other_rsa().jwk("two")]));
    while plugin.health().await.1 != "2 keys" {
        tokio::task::yield_now().await;
    }
    let reason = plugin.refuses(&token).await;
    assert_eq!(reason, "the token does not say which key it is signed with");
}
