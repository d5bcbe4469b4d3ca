//! Connect says the same as gRPC.

use prost::Message as _;
use rat_plugin_sdk::auth::{AuthenticateRequest, AuthenticateResponse};
use rat_plugin_sdk::executor::ListRunsRequest;
use rat_plugin_sdk::testing::Version;
use serde_json::json;

use crate::support::{AUTHENTICATE, start};

const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn json_is_the_message_that_grpc_gives() {
    let plugin = start().await;
    let token = "ü \"quoted\" 😀".to_owned();
    let request = AuthenticateRequest {
        token: token.clone(),
    };
    let over_grpc = plugin.auth().authenticate(request).await.unwrap();
    let over_grpc = over_grpc.into_inner();
    for version in VERSIONS {
        let body = json!({"token": token}).to_string();
        let answer = plugin.request(version, AUTHENTICATE, &[JSON], body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(
            answer.json(),
            json!({
                "userId": over_grpc.user_id,
                "email": over_grpc.email,
                "roles": over_grpc.roles,
                "displayName": over_grpc.display_name,
                // More than a double can hold, so a string.
                "expiresAt": over_grpc.expires_at.to_string(),
            }),
            "{version:?}"
        );
    }
}

#[tokio::test]
async fn protobuf_is_the_message_that_grpc_gives() {
    let plugin = start().await;
    let request = AuthenticateRequest { token: "t".into() };
    let over_grpc = plugin.auth().authenticate(request.clone()).await.unwrap();
    for version in VERSIONS {
        let headers = [("content-type", "application/proto")];
        let body = request.encode_to_vec();
        let answer = plugin.request(version, AUTHENTICATE, &headers, body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], "application/proto");
        let message = AuthenticateResponse::decode(answer.body).unwrap();
        assert_eq!(&message, over_grpc.get_ref(), "{version:?}");
    }
}

#[tokio::test]
async fn nested_messages_lists_and_enums_cross() {
    let plugin = start().await;
    let request = ListRunsRequest {
        page_size: 2,
        page_token: "r".into(),
        active_only: false,
    };
    let over_grpc = plugin.executor().list_runs(request).await.unwrap();
    assert_eq!(over_grpc.get_ref().runs.len(), 2);
    let run = json!({"runId": "r", "state": "RUN_STATE_RUNNING", "attempt": 1});
    let path = "/rat.executor.v1.ExecutorService/ListRuns";
    // Both spellings of a field are read.
    for request in [
        json!({"pageSize": 2, "pageToken": "r"}),
        json!({"page_size": 2, "page_token": "r"}),
    ] {
        let answer = plugin.post(path, &request).await;
        assert_eq!(answer.json(), json!({"runs": [run, run]}));
    }
}

#[tokio::test]
async fn fields_of_a_newer_caller_are_ignored() {
    let plugin = start().await;
    let request = json!({"token": "t", "invented": {"later": [1]}});
    let answer = plugin.post(AUTHENTICATE, &request).await;
    assert_eq!(answer.json()["userId"], "t");
}

#[tokio::test]
async fn every_service_of_the_plugin_is_there() {
    let plugin = start().await;
    let health = plugin
        .post("/rat.plugin.v1.PluginService/HealthCheck", &json!({}))
        .await;
    let expected = json!({"status": "healthy", "message": "all is well"});
    assert_eq!(health.json(), expected);
    let health = plugin
        .post("/grpc.health.v1.Health/Check", &json!({}))
        .await;
    assert_eq!(health.json(), json!({"status": "SERVING"}));
}

#[tokio::test]
async fn parameters_of_the_content_type_do_not_matter() {
    let plugin = start().await;
    for content_type in [
        "application/json; charset=utf-8",
        "Application/JSON;charset=\"UTF-8\"",
    ] {
        let headers = [
            ("content-type", content_type),
            ("connect-protocol-version", "1"),
        ];
        let answer = plugin
            .request(Version::Http1, AUTHENTICATE, &headers, r#"{"token":"t"}"#)
            .await;
        assert_eq!(answer.status, 200, "{content_type}");
    }
}

#[tokio::test]
async fn curl_is_enough() {
    let plugin = start().await;
    let curl = tokio::process::Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--unix-socket"])
        .arg(plugin.socket())
        .arg(format!("http://plugin{AUTHENTICATE}"))
        .args(["--json", r#"{"token": "alice"}"#])
        .output()
        .await;
    let Ok(output) = curl else {
        skip("curl", "it is not installed");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["userId"], "alice");
}

#[expect(clippy::print_stderr, reason = "what was left out has to be seen")]
fn skip(what: &str, reason: &str) {
    assert!(
        std::env::var_os("RAT_REQUIRE_ALL").is_none(),
        "{what}: {reason}"
    );
    eprintln!("SKIPPED: {what}: {reason}");
}
