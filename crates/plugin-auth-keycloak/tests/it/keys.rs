//! Keys that come and go.

use std::time::Duration;

use rat_plugin_sdk::Code;
use serde_json::json;

use crate::support::{Answer, Pair, Plugin, Provider, set, usual};

fn signed_by_two(provider: &Provider) -> String {
    let header = r#"{"alg":"RS256","kid":"two"}"#;
    Pair::other_rsa().sign_text(header, &provider.claims().to_string())
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it() {
    let (provider, pair, plugin) = usual(json!({"refresh_interval": "1h"})).await;
    let new = signed_by_two(&provider);
    provider.now_serves(set(&[pair.jwk("one"), Pair::other_rsa().jwk("two")]));
    plugin.accepts(&new).await;
    plugin.accepts(&pair.token(&provider.claims())).await;
    assert_eq!(provider.asked(), 2);
    // The next one has to wait: nobody may make us ask again and again.
    provider.now_serves(set(&[pair.jwk("one")]));
    let header = r#"{"alg":"RS256","kid":"three"}"#;
    plugin.refuses(&pair.sign_text(header, "{}")).await;
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn after_the_interval_it_is_asked_again() {
    let more = json!({"refresh_interval": "1h", "unknown_key_interval": "100ms"});
    let (provider, pair, plugin) = usual(more).await;
    let header = r#"{"alg":"RS256","kid":"three"}"#;
    let unknown = pair.sign_text(header, "{}");
    plugin.refuses(&unknown).await;
    assert_eq!(provider.asked(), 2);
    tokio::time::sleep(Duration::from_millis(150)).await;
    plugin.refuses(&unknown).await;
    assert_eq!(provider.asked(), 3);
}

#[tokio::test]
async fn a_look_for_a_key_that_fails_is_repeated_at_the_short_interval() {
    let (provider, pair, plugin) = usual(json!({"refresh_interval": "1h"})).await;
    provider.now_serves(Answer::Status(503));
    let header = r#"{"alg":"RS256","kid":"two"}"#;
    plugin.refuses(&pair.sign_text(header, "{}")).await;
    plugin.becomes("degraded").await;
    provider.now_serves(set(&[pair.jwk("one"), Pair::other_rsa().jwk("two")]));
    plugin.becomes("healthy").await;
    plugin.accepts(&signed_by_two(&provider)).await;
}

#[tokio::test]
async fn a_dropped_key_is_dropped() {
    let (provider, pair, plugin) = usual(json!({"refresh_interval": "50ms"})).await;
    let old = pair.token(&provider.claims());
    plugin.accepts(&old).await;
    provider.now_serves(set(&[Pair::other_rsa().jwk("two")]));
    while plugin.judge(&old).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(plugin.refuses(&old).await, "the provider has no such key");
    plugin.accepts(&signed_by_two(&provider)).await;
    provider.now_serves(set(&[]));
    let message = plugin.becomes("down").await;
    assert!(
        message.contains("has no key for the algorithms"),
        "{message}"
    );
}

#[tokio::test]
async fn keys_survive_an_outage_and_a_changed_configuration() {
    let (provider, pair, plugin) = usual(json!({"refresh_interval": "50ms"})).await;
    let token = pair.token(&provider.claims());
    provider.now_serves(Answer::Status(503));
    provider.now_describes_itself(Answer::Status(503));
    let message = plugin.becomes("degraded").await;
    assert!(message.starts_with("the keys are 0s old: "), "{message}");
    assert!(message.contains("answered 503"), "{message}");
    plugin.accepts(&token).await;
    provider.now_serves(set(&[pair.jwk("one")]));
    let document = json!({
        "issuer": provider.issuer(),
        "jwks_uri": format!("{}/realms/rat/certs-moved", provider.url),
    });
    provider.now_describes_itself(document);
    plugin.becomes("healthy").await;
    plugin.accepts(&token).await;
}

#[tokio::test]
async fn before_there_are_keys_nobody_can_say_anything() {
    let provider = Provider::start(set(&[Pair::rsa().jwk("one")])).await;
    provider.now_describes_itself(Answer::Status(500));
    let plugin = Plugin::start(provider.config(json!({"prefetch_attempts": 2}))).await;
    let token = Pair::rsa().token(&provider.claims());
    let status = plugin.judge(&token).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    while !plugin.becomes("down").await.contains("now every 50ms") {
        tokio::task::yield_now().await;
    }
    // It goes on trying.
    provider.now_describes_itself(json!({
        "issuer": provider.issuer(),
        "jwks_uri": format!("{}/realms/rat/certs", provider.url),
    }));
    plugin.becomes("healthy").await;
    plugin.accepts(&token).await;
}
