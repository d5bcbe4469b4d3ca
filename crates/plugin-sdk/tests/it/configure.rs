//! Configuration from ratd. File and environment are tested where they are read.

use rat_plugin_sdk::auth::AuthenticateRequest;
use rat_plugin_sdk::messages::{ConfigureRequest, HealthCheckRequest};
use rat_plugin_sdk::testing::Harness;
use rat_plugin_sdk::{Code, Invalid, Status};
use serde_json::{Value, json};

use crate::support::{SECRET, in_time, server, start, start_with};

async fn configure(plugin: &Harness, config: impl Into<String>) -> Result<(), Status> {
    let request = ConfigureRequest {
        config: config.into(),
    };
    in_time(plugin.control().configure(request)).await.map(drop)
}

/// Which plugin answers: another one after each change.
async fn made(plugin: &Harness) -> String {
    let request = AuthenticateRequest { token: "t".into() };
    let answer = in_time(plugin.auth().authenticate(request)).await;
    answer.unwrap().into_inner().email
}

/// The name that the plugin works with.
async fn name(plugin: &Harness) -> String {
    let request = AuthenticateRequest { token: "t".into() };
    let answer = in_time(plugin.auth().authenticate(request)).await;
    answer.unwrap().into_inner().display_name
}

async fn health(plugin: &Harness) -> (String, String) {
    let answer = plugin.control().health_check(HealthCheckRequest {}).await;
    let answer = answer.unwrap().into_inner();
    (answer.status, answer.message)
}

#[tokio::test]
async fn a_plugin_that_lacks_keys_waits_for_ratd() {
    let plugin = start_with(server(), json!({"size": 3})).await;
    let (status, message) = health(&plugin).await;
    assert_eq!(status, "down");
    assert!(message.contains("name: is missing"), "{message}");
    // It tells what is wrong now, not what was.
    configure(&plugin, r#"{"name": 7}"#).await.unwrap_err();
    let (status, message) = health(&plugin).await;
    assert_eq!(status, "down");
    assert!(
        message.contains("name: ") && !message.contains("missing"),
        "{message}"
    );
    // A call that is early waits as well.
    let (name, configured) = tokio::join!(
        name(&plugin),
        configure(&plugin, r#"{"name": "from ratd"}"#)
    );
    configured.unwrap();
    assert_eq!(name, "from ratd");
    assert_eq!(health(&plugin).await.0, "healthy");
}

#[tokio::test]
async fn a_call_to_a_plugin_that_stays_unconfigured_is_unavailable() {
    let plugin = start_with(server(), json!({})).await;
    let request = AuthenticateRequest { token: "t".into() };
    let status = in_time(plugin.auth().authenticate(request))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_file_is_over_ratd() {
    let plugin = start().await;
    configure(&plugin, r#"{"name": "from ratd", "mood": "tired"}"#)
        .await
        .unwrap();
    assert_eq!(name(&plugin).await, "shop");
    assert_eq!(health(&plugin).await.0, "degraded");
    // What ratd sends replaces what it sent before.
    configure(&plugin, r#"{"name": "from ratd"}"#)
        .await
        .unwrap();
    assert_eq!(health(&plugin).await.0, "healthy");
}

#[tokio::test]
async fn the_same_configuration_again_changes_nothing() {
    let plugin = start_with(server(), json!({})).await;
    configure(&plugin, r#"{"name": "a", "size": 1}"#)
        .await
        .unwrap();
    let first = made(&plugin).await;
    configure(&plugin, r#"{"size": 1, "name": "a"}"#)
        .await
        .unwrap();
    assert_eq!(made(&plugin).await, first);
    configure(&plugin, r#"{"size": 2, "name": "a"}"#)
        .await
        .unwrap();
    assert_ne!(made(&plugin).await, first);
}

#[tokio::test]
async fn every_mistake_is_told_at_once_and_nothing_changes() {
    let plugin = start_with(server(), json!({})).await;
    configure(&plugin, r#"{"name": "first"}"#).await.unwrap();
    let wrong = json!({
        "name": 7_654_321,
        "size": "huge-secret",
        "mood": "furious-secret",
        "keys": {"a-key-that-is-secret": {"owner": 1}, "short": {}},
        "typo": true,
    });
    let status = configure(&plugin, wrong.to_string()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let message = status.message();
    for expected in [
        "ratd: name: must be a string",
        "size: must be a whole number",
        "mood: must be one of",
        "owner: must be a string",
        "owner: is missing",
        "typo: unknown key; possible here: keys, mood, name, size",
    ] {
        assert!(message.contains(expected), "{expected} in {message}");
    }
    for secret in ["7654321", "-secret", "a-key-that", "short"] {
        assert!(!message.contains(secret), "{secret} in {message}");
    }
    assert_eq!(name(&plugin).await, "first");
}

#[tokio::test]
async fn what_only_the_plugin_knows_is_told_too() {
    let plugin = start_with(server(), json!({})).await;
    let wrong = r#"{"name": "nobody", "size": 13}"#;
    let status = configure(&plugin, wrong).await.unwrap_err();
    assert_eq!(
        status.message(),
        "name: nobody may not be it; size: must not be unlucky"
    );
    // Larger than its type.
    let status = configure(&plugin, r#"{"name": "n", "size": 256}"#).await;
    assert_eq!(status.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_is_no_object_is_refused() {
    let plugin = start().await;
    for config in ["", "{", "[]", "null", "\"name\""] {
        let status = configure(&plugin, config).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{config}");
    }
}

#[tokio::test]
async fn a_panic_in_the_making_leaves_the_plugin_as_it_was() {
    let plugin = start_with(server(), json!({})).await;
    configure(&plugin, r#"{"name": "first"}"#).await.unwrap();
    let status = configure(&plugin, r#"{"name": "panic"}"#)
        .await
        .unwrap_err();
    assert!(!status.message().contains(SECRET));
    assert_eq!(name(&plugin).await, "first");
}

#[tokio::test]
async fn a_plugin_does_not_start_with_a_value_that_is_wrong() {
    let wrong: Value = json!({"size": "x", "keys": {"k": {}}});
    let invalid: Invalid = Harness::start(server(), wrong).await.unwrap_err();
    let paths: Vec<_> = invalid
        .problems()
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(paths.len(), 3, "{invalid}");
    assert!(
        paths.contains(&"name") && paths.contains(&"size"),
        "{invalid}"
    );
}
