//! What Connect says when something is wrong.

use rat_plugin_sdk::Code;
use rat_plugin_sdk::auth::AuthenticateRequest;
use rat_plugin_sdk::testing::{Answer, Version};
use serde_json::json;

use crate::support::{AUTHENTICATE, SECRET, STREAM_LOGS, start};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn each_code_has_its_name_and_its_http_status() {
    let table = [
        (Code::Cancelled, "canceled", 499),
        (Code::Unknown, "unknown", 500),
        (Code::InvalidArgument, "invalid_argument", 400),
        (Code::DeadlineExceeded, "deadline_exceeded", 504),
        (Code::NotFound, "not_found", 404),
        (Code::AlreadyExists, "already_exists", 409),
        (Code::PermissionDenied, "permission_denied", 403),
        (Code::ResourceExhausted, "resource_exhausted", 429),
        (Code::FailedPrecondition, "failed_precondition", 400),
        (Code::Aborted, "aborted", 409),
        (Code::OutOfRange, "out_of_range", 400),
        (Code::Unimplemented, "unimplemented", 501),
        (Code::Internal, "internal", 500),
        (Code::Unavailable, "unavailable", 503),
        (Code::DataLoss, "data_loss", 500),
        (Code::Unauthenticated, "unauthenticated", 401),
    ];
    let plugin = start().await;
    for (code, name, status) in table {
        let token = format!("code {}", code as i32);
        let answer = plugin.post(AUTHENTICATE, &json!({"token": token})).await;
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(answer.headers["content-type"], "application/json");
        let message = "as \"ordered\": 100% ä";
        assert_eq!(answer.json(), json!({"code": name, "message": message}));
        let request = AuthenticateRequest { token };
        let over_grpc = plugin.auth().authenticate(request).await.unwrap_err();
        assert_eq!(over_grpc.code(), code);
        assert_eq!(over_grpc.message(), message);
    }
}

#[tokio::test]
async fn details_and_metadata_of_an_error_cross() {
    let plugin = start().await;
    let answer = plugin.post(AUTHENTICATE, &json!({"token": "detail"})).await;
    assert_eq!(answer.headers["x-try-again"], "never");
    assert_eq!(
        answer.json(),
        json!({
            "code": "not_found",
            "message": "with a detail",
            "details": [{"type": "rat.Text", "value": "YWJj"}],
        })
    );
}

#[tokio::test]
async fn the_text_of_a_panic_stays_inside() {
    let plugin = start().await;
    let answer = plugin.post(AUTHENTICATE, &json!({"token": "panic"})).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["code"], "internal");
    assert!(!String::from_utf8_lossy(&answer.body).contains(SECRET));
    let answer = plugin.post(AUTHENTICATE, &json!({"token": "t"})).await;
    assert_eq!(answer.status, 200);
}

/// Sends to the unary method and expects this refusal.
async fn refused(headers: &[(&str, &str)], body: &str, status: u16, code: &str) -> Answer {
    let plugin = start().await;
    let body = body.to_owned();
    let answer = plugin
        .request(Version::Http1, AUTHENTICATE, headers, body)
        .await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (status, &json!(code))
    );
    answer
}

#[tokio::test]
async fn a_body_that_is_not_the_message_is_refused() {
    for body in ["", "{", "[]", "null", "{\"token\": 5}", "{} {}", "\u{0}"] {
        refused(&[JSON], body, 400, "invalid_argument").await;
    }
    let headers = [("content-type", "application/proto")];
    refused(&headers, "\u{0}", 400, "invalid_argument").await;
    let deep = "[".repeat(100_000);
    refused(&[JSON], &deep, 400, "invalid_argument").await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let plugin = start().await;
    let fits = "x".repeat((4 << 20) - 100);
    let answer = plugin.post(AUTHENTICATE, &json!({"token": fits})).await;
    assert_eq!(answer.status, 200);
    let too_large = "x".repeat(4 << 20);
    let answer = plugin
        .post(AUTHENTICATE, &json!({"token": too_large}))
        .await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.json()["code"], "resource_exhausted");
    // What an executor is sent may be larger.
    let run = json!({"run": {"runId": "r", "sources": {"pipeline.sql": too_large}}});
    let submit = "/rat.executor.v1.ExecutorService/Submit";
    let answer = plugin.post(submit, &run).await;
    assert_eq!(answer.json()["message"], "4194304 bytes");
}

#[tokio::test]
async fn another_content_type_is_refused_and_the_right_one_is_named() {
    let plugin = start().await;
    for (path, sent, right) in [
        (
            AUTHENTICATE,
            "application/x-www-form-urlencoded",
            "application/json",
        ),
        (AUTHENTICATE, "application/connect+json", "application/json"),
        (
            AUTHENTICATE,
            "application/json; charset=latin1",
            "application/json",
        ),
        (AUTHENTICATE, "application/grpc-web", "application/json"),
        (STREAM_LOGS, "application/json", "application/connect+json"),
    ] {
        let answer = plugin
            .request(Version::Http1, path, &[("content-type", sent)], "{}")
            .await;
        assert_eq!(answer.status, 415, "{sent}");
        let message = answer.json()["message"].to_string();
        assert!(message.contains(right) && answer.headers.contains_key("accept-post"));
    }
    let answer = plugin
        .request(Version::Http1, AUTHENTICATE, &[], "{}")
        .await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn what_is_not_spoken_is_refused_by_name() {
    let gzip = [JSON, ("content-encoding", "gzip")];
    let answer = refused(&gzip, "{}", 501, "unimplemented").await;
    assert!(answer.json()["message"].to_string().contains("identity"));
    let version = [JSON, ("connect-protocol-version", "2")];
    refused(&version, "{}", 400, "invalid_argument").await;
    for limit in ["", "-1", "1.5", "12345678901"] {
        let headers = [JSON, ("connect-timeout-ms", limit)];
        refused(&headers, "{}", 400, "invalid_argument").await;
    }
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let plugin = start().await;
    for path in [
        "/rat.auth.v1.AuthService/Nonsense",
        "/rat.cloud.v1.CloudService/GetCredentials",
        "/",
    ] {
        let answer = plugin.post(path, &json!({})).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (501, &json!("unimplemented"))
        );
    }
}

#[tokio::test]
async fn a_deadline_ends_the_call() {
    let headers = [JSON, ("connect-timeout-ms", "50")];
    refused(&headers, r#"{"token": "hang"}"#, 504, "deadline_exceeded").await;
}
