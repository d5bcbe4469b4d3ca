//! The attack table: each row is a test.

use ring::hmac;
use serde_json::{Value, json};

use crate::support::{Pair, Plugin, Provider, encode, now, set, usual};

const HEADER: &str = r#"{"alg":"RS256","typ":"JWT","kid":"one"}"#;

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let (provider, pair, plugin) = usual(json!({})).await;
    let payload = encode(provider.claims().to_string());
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        let header = encode(json!({"alg": algorithm, "kid": "one"}).to_string());
        plugin.refuses(&format!("{header}.{payload}.")).await;
        plugin.refuses(&format!("{header}.{payload}.AAAA")).await;
        plugin.refuses(&format!("{header}.{payload}")).await;
    }
    // The signature cut off a good one.
    let token = pair.token(&provider.claims());
    let (message, _) = token.rsplit_once('.').unwrap();
    plugin.refuses(&format!("{message}.")).await;
    plugin.refuses(message).await;
}

#[tokio::test]
async fn the_public_key_is_no_secret_to_sign_with() {
    let (provider, pair, plugin) = usual(json!({})).await;
    let modulus = pair.jwk("one")["n"].as_str().unwrap().to_owned();
    let public = pair.jwk("one").to_string();
    for secret in [modulus.as_bytes(), public.as_bytes(), b""] {
        let header = encode(r#"{"alg":"HS256","typ":"JWT","kid":"one"}"#);
        let message = format!("{header}.{}", encode(provider.claims().to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let signature = encode(hmac::sign(&key, message.as_bytes()));
        let reason = plugin.refuses(&format!("{message}.{signature}")).await;
        assert_eq!(
            reason,
            "the algorithm is not one of those that are configured"
        );
    }
}

#[tokio::test]
async fn a_token_of_another_key_under_a_known_name_is_refused() {
    let (provider, _, plugin) = usual(json!({})).await;
    let reason = plugin
        .refuses(&Pair::other_rsa().token(&provider.claims()))
        .await;
    assert_eq!(reason, "the signature is wrong");
    let header = r#"{"alg":"RS256","kid":"another"}"#;
    let token = Pair::other_rsa().sign_text(header, &provider.claims().to_string());
    assert_eq!(plugin.refuses(&token).await, "the provider has no such key");
}

#[tokio::test]
async fn a_changed_token_is_refused_wherever_it_was_changed() {
    let (provider, pair, plugin) = usual(json!({})).await;
    let token = pair.token(&provider.claims());
    plugin.accepts(&token).await;
    for place in (0..token.len()).step_by(7) {
        let mut changed = token.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        plugin.refuses(&String::from_utf8(changed).unwrap()).await;
    }
    for changed in [
        format!("{token}="),
        format!("{token} "),
        format!(" {token}"),
        format!("{token}.AAAA"),
        token.replacen('.', "..", 1),
    ] {
        plugin.refuses(&changed).await;
    }
}

#[tokio::test]
async fn a_huge_token_is_not_looked_at() {
    let (provider, pair, plugin) = usual(json!({})).await;
    let mut claims = provider.claims();
    claims["padding"] = json!("x".repeat(1 << 20));
    let reason = plugin.refuses(&pair.token(&claims)).await;
    assert!(reason.contains("16384 are the most"), "{reason}");
    plugin.refuses(&".".repeat(1 << 20)).await;
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    plugin.refuses(&pair.sign_text(HEADER, &deep)).await;
}

#[tokio::test]
async fn times_are_numbers_that_make_sense() {
    let (provider, pair, plugin) = usual(json!({})).await;
    let soon = (now() + 300).to_string();
    for (claim, value) in [
        ("exp", json!(soon)),
        ("exp", json!(-1)),
        ("exp", json!(i64::MIN)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(1e300)),
        ("exp", json!([now() + 300])),
        ("exp", json!(true)),
        ("exp", Value::Null),
        ("nbf", json!("0")),
        ("nbf", json!(-1)),
        ("nbf", Value::Null),
        ("iat", json!("now")),
        ("iat", json!(-5)),
    ] {
        let mut claims = provider.claims();
        claims[claim] = value.clone();
        let reason = plugin.refuses(&pair.token(&claims)).await;
        assert!(
            reason.contains("is not a time"),
            "{claim} {value}: {reason}"
        );
    }
    let mut claims = provider.claims();
    claims.as_object_mut().unwrap().remove("exp");
    assert_eq!(
        plugin.refuses(&pair.token(&claims)).await,
        "the claim exp is missing"
    );
}

#[tokio::test]
async fn an_issuer_that_only_looks_like_ours_is_another() {
    let (provider, pair, plugin) = usual(json!({})).await;
    let ours = provider.issuer();
    for issuer in [
        format!("{ours}/"),
        format!("{ours} "),
        format!("{ours}\u{200b}"),
        format!("{ours}\0"),
        ours.to_uppercase(),
        ours.replace("http:", "HTTP:"),
        // Cyrillic а.
        ours.replace("rat", "r\u{0430}t"),
        // Full width, which NFKC makes the same.
        ours.replace("rat", "\u{ff52}at"),
        ours.replace("/realms/", "/realms/../realms/"),
        ours.replace("/rat", "/%72at"),
        ours.replace("http://", "http://user@"),
        String::new(),
    ] {
        let mut claims = provider.claims();
        claims["iss"] = json!(issuer);
        let reason = plugin.refuses(&pair.token(&claims)).await;
        assert_eq!(reason, "the token is from another issuer", "{issuer:?}");
    }
    let mut claims = provider.claims();
    claims["iss"] = json!([ours]);
    plugin.refuses(&pair.token(&claims)).await;
    // The same text in other letters of JSON is the same.
    let escaped = provider
        .claims()
        .to_string()
        .replace("/realms/rat", "\\/realms\\/r\\u0061t");
    plugin.accepts(&pair.sign_text(HEADER, &escaped)).await;
}

#[tokio::test]
async fn headers_that_would_change_the_judgement_are_refused() {
    let (provider, pair, plugin) = usual(json!({})).await;
    let payload = provider.claims().to_string();
    let own = Pair::other_rsa();
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("jwk", own.jwk("one")),
        ("jku", json!(format!("{}/realms/rat/certs", provider.url))),
        ("x5u", json!("http://127.0.0.1:1/")),
        ("x5c", json!(["AAAA"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("typ", json!("logout+jwt")),
        ("kid", json!(["one"])),
    ] {
        let mut header = json!({"alg": "RS256", "kid": "one"});
        header[name] = value;
        let reason = plugin
            .refuses(&pair.sign_text(&header.to_string(), &payload))
            .await;
        assert_eq!(reason, format!("the header's {name} is not accepted"));
        plugin
            .refuses(&own.sign_text(&header.to_string(), &payload))
            .await;
    }
}

#[tokio::test]
async fn a_claim_that_comes_twice_is_refused() {
    let (provider, pair, plugin) = usual(json!({})).await;
    let payload = provider.claims().to_string();
    let twice = payload.replacen('{', r#"{"sub":"somebody-else","#, 1);
    let reason = plugin.refuses(&pair.sign_text(HEADER, &twice)).await;
    assert!(reason.contains("a key comes twice"), "{reason}");
    let header = r#"{"alg":"none","alg":"RS256","kid":"one"}"#;
    plugin.refuses(&pair.sign_text(header, &payload)).await;
}

#[tokio::test]
async fn ten_thousand_keys_are_none() {
    let pair = Pair::rsa();
    let provider = Provider::start(set(&[pair.jwk("one")])).await;
    let config = provider.config(json!({"refresh_interval": "50ms"}));
    let plugin = Plugin::ready(config).await;
    let small: Vec<_> = (0..10_000)
        .map(|number| json!({"kid": number.to_string()}))
        .collect();
    let large: Vec<_> = (0..10_000)
        .map(|number| pair.jwk(&number.to_string()))
        .collect();
    for (keys, wanted) in [
        (small, "10000 keys, 256 are the most"),
        (large, "more than 1048576 bytes"),
    ] {
        provider.now_serves(set(&keys));
        let mut message = plugin.becomes("degraded").await;
        while !message.contains(wanted) {
            message = plugin.becomes("degraded").await;
        }
        plugin.accepts(&pair.token(&provider.claims())).await;
    }
}
