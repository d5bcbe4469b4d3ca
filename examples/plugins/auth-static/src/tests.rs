//! The plugin in the test's own process, over gRPC and over HTTP.

use rat_plugin_sdk::Code;
use rat_plugin_sdk::auth::AuthorizeRequest;
use rat_plugin_sdk::testing::Harness;
use serde_json::json;

use super::*;

async fn start() -> Harness {
    let tokens = json!({"let-me-in": {"user_id": "alice", "roles": ["admin"]}});
    let server = Server::<StaticTokens>::new().auth();
    Harness::start(server, json!({"tokens": tokens}))
        .await
        .unwrap()
}

fn with(token: &str) -> AuthenticateRequest {
    AuthenticateRequest {
        token: token.to_owned(),
    }
}

#[tokio::test]
async fn a_known_token_is_its_user() {
    let plugin = start().await;
    let answer = plugin.auth().authenticate(with("let-me-in")).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!(
        (answer.user_id.as_str(), answer.roles),
        ("alice", vec!["admin".to_owned()])
    );
    assert_eq!(answer.expires_at, 0);
    let path = "/rat.auth.v1.AuthService/Authenticate";
    let answer = plugin.post(path, &json!({"token": "let-me-in"})).await;
    assert_eq!(
        answer.json(),
        json!({"userId": "alice", "roles": ["admin"]})
    );
}

#[tokio::test]
async fn another_token_is_nobody() {
    let plugin = start().await;
    for token in ["", "let-me-i", "let-me-in ", "sha256:let-me-in"] {
        let refused = plugin.auth().authenticate(with(token)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{token:?}");
    }
}

#[tokio::test]
async fn permissions_are_left_to_the_roles() {
    let plugin = start().await;
    let refused = plugin.auth().authorize(AuthorizeRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
}
