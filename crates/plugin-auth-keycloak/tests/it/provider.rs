//! A provider that is not what it should be.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, Pair, Plugin, Provider, set, usual};

async fn stays_down(discovery: impl Into<Answer>, keys: impl Into<Answer>, wanted: &str) {
    let provider = Provider::start(Value::Null).await;
    provider.now_describes_itself(discovery);
    provider.now_serves(keys);
    let impatient = json!({"request_timeout": "500ms"});
    let plugin = Plugin::start(provider.config(impatient)).await;
    let begun = Instant::now();
    loop {
        let message = plugin.becomes("down").await;
        if message.contains(wanted) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{message}");
    }
}

#[tokio::test]
async fn a_provider_that_hangs_is_given_up() {
    stays_down(Answer::Hangs, Answer::Hangs, "timed out").await;
}

#[tokio::test]
async fn what_is_no_discovery_is_refused() {
    stays_down(
        json!({"issuer": "http://evil.example.org"}),
        json!({}),
        "names another issuer",
    )
    .await;
    stays_down(json!({}), json!({}), "names another issuer").await;
    stays_down(json!([]), json!({}), "something else than JSON").await;
    let twice = Answer::Document(r#"{"issuer": "a", "issuer": "b"}"#.to_owned());
    stays_down(twice, json!({}), "something else than JSON").await;
    stays_down(
        Answer::Document("x".repeat(2 << 20)),
        json!({}),
        "more than 1048576 bytes",
    )
    .await;
    stays_down(
        Answer::Redirect("http://127.0.0.1:1/".to_owned()),
        json!({}),
        "redirects",
    )
    .await;
}

#[tokio::test]
async fn keys_from_elsewhere_are_no_keys() {
    let pair = Pair::rsa();
    let more = json!({"refresh_interval": "50ms", "request_timeout": "500ms"});
    let (provider, _, plugin) = usual(more).await;
    let evil = Provider::start(set(&[Pair::other_rsa().jwk("one")])).await;
    for (answer, wanted) in [
        (
            Answer::Redirect(format!("{}/realms/rat/certs", evil.url)),
            "redirects to another origin",
        ),
        (
            Answer::Redirect("/realms/rat/certs".to_owned()),
            "redirects to another origin, or too often",
        ),
        (Answer::Hangs, "timed out"),
        (Answer::Document("{".to_owned()), "not JSON"),
    ] {
        provider.now_serves(answer);
        while !plugin.health().await.1.contains(wanted) {
            tokio::task::yield_now().await;
        }
        plugin.accepts(&pair.token(&provider.claims())).await;
    }
    assert_eq!(evil.asked(), 0);
}

#[tokio::test]
async fn a_redirect_on_the_same_origin_is_followed() {
    let (provider, pair, plugin) = usual(json!({"refresh_interval": "1h"})).await;
    drop(plugin);
    let there = Answer::Redirect("/realms/rat/elsewhere".to_owned());
    provider.now_describes_itself(there);
    // Nothing is there: it was followed, and found nothing.
    let plugin = Plugin::start(provider.config(json!({}))).await;
    while !plugin.becomes("down").await.contains("404") {
        tokio::task::yield_now().await;
    }
    drop(pair);
}

#[tokio::test]
async fn another_providers_discovery_and_issuer_are_taken() {
    let pair = Pair::rsa();
    let provider = Provider::start(set(&[pair.jwk("one")])).await;
    let discovery = format!("{}/.well-known/openid-configuration", provider.issuer());
    let config = json!({"discovery_url": discovery, "prefetch_interval": "50ms"});
    let plugin = Plugin::ready(config.clone()).await;
    plugin.accepts(&pair.token(&provider.claims())).await;
    // Reached by one name, known by another, as behind a proxy.
    let mut config = config;
    config["issuer_url"] = json!("https://login.example.org/");
    let plugin = Plugin::ready(config).await;
    let mut claims = provider.claims();
    plugin.refuses(&pair.token(&claims)).await;
    claims["iss"] = json!("https://login.example.org/");
    plugin.accepts(&pair.token(&claims)).await;
}
