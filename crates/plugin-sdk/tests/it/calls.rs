//! Limits, deadlines, panics and the end, over gRPC.

use std::time::{Duration, Instant};

use rat_plugin_sdk::auth::AuthenticateRequest;
use rat_plugin_sdk::messages::HealthCheckRequest;
use rat_plugin_sdk::testing::{Harness, Version};
use rat_plugin_sdk::{Code, Status};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::support::{AUTHENTICATE, SECRET, in_time, server, start, start_with};

async fn authenticate(plugin: &Harness, token: impl Into<String>) -> Result<String, Status> {
    let request = AuthenticateRequest {
        token: token.into(),
    };
    let answer = in_time(plugin.auth().authenticate(request)).await?;
    Ok(answer.into_inner().user_id)
}

#[tokio::test]
async fn a_panic_is_internal_and_the_plugin_goes_on() {
    let plugin = start().await;
    for _ in 0..3 {
        let status = authenticate(&plugin, "panic").await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains(SECRET), "{status}");
    }
    assert_eq!(authenticate(&plugin, "t").await.unwrap(), "t");
}

#[tokio::test]
async fn the_callers_deadline_ends_the_call() {
    let plugin = start().await;
    // By hand: tonic's own client gives up by itself.
    let headers = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "50m"),
    ];
    let body = b"\0\0\0\0\x06\x0a\x04hang".as_slice();
    let call = plugin.request(Version::Http2, AUTHENTICATE, &headers, body);
    let answer = in_time(call).await;
    assert_eq!(answer.headers["grpc-status"], "4");
}

#[tokio::test]
async fn a_malformed_deadline_is_refused() {
    let plugin = start().await;
    for timeout in ["", "5", "m", "123456789m", "-1S", "5x", "+5S"] {
        let headers = [
            ("content-type", "application/grpc"),
            ("grpc-timeout", timeout),
        ];
        let body = b"\0\0\0\0\0".as_slice();
        let call = plugin.request(Version::Http2, AUTHENTICATE, &headers, body);
        assert_eq!(
            in_time(call).await.headers["grpc-status"],
            "3",
            "{timeout:?}"
        );
    }
}

#[tokio::test]
async fn a_handler_has_a_limit_of_its_own() {
    let server = server().call_timeout(Duration::from_millis(50));
    let plugin = start_with(server, json!({"name": "shop"})).await;
    let status = authenticate(&plugin, "hang").await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

/// What a call over Connect is answered whose message never comes.
async fn unread(plugin: &Harness) -> String {
    let mut stream = UnixStream::connect(plugin.socket()).await.unwrap();
    let head = "POST /rat.auth.v1.AuthService/Authenticate HTTP/1.1\r\nHost: plugin\r\n\
                Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64];
    let read = in_time(stream.read(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test]
async fn calls_beyond_the_limit_wait_and_health_checks_do_not() {
    let plugin = start_with(server().max_calls(1), json!({"name": "shop"})).await;
    let mut client = plugin.auth();
    let hanging = tokio::spawn(async move {
        let request = AuthenticateRequest {
            token: "hang".into(),
        };
        client.authenticate(request).await
    });
    let begun = Instant::now();
    let status = loop {
        // Until the first call has begun, this one gets through.
        match authenticate(&plugin, "t").await {
            Ok(_) => tokio::task::yield_now().await,
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    assert!(begun.elapsed() >= Duration::from_secs(4));
    // Nor is the message read of a call for which there is no room.
    let unread = unread(&plugin).await;
    assert!(unread.starts_with("HTTP/1.1 503 "), "{unread}");
    let mut control = plugin.control();
    let health = control.health_check(HealthCheckRequest {});
    assert_eq!(in_time(health).await.unwrap().get_ref().status, "healthy");
    hanging.abort();
    assert!(hanging.await.unwrap_err().is_cancelled());
    // The caller is gone, and so is its call.
    assert_eq!(authenticate(&plugin, "t").await.unwrap(), "t");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let plugin = start().await;
    let status = authenticate(&plugin, "x".repeat(5 << 20))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert_eq!(authenticate(&plugin, "t").await.unwrap(), "t");
}

#[tokio::test]
async fn a_message_that_is_none_is_an_error() {
    let plugin = start().await;
    let headers = [("content-type", "application/grpc")];
    for body in [
        b"".as_slice(),
        b"\0\0\0\0\x01\0",
        b"\0\0\0\0\x09\x0a",
        b"\x01\0\0\0\0",
        b"\x07\0\0\0\0",
    ] {
        let call = plugin.request(Version::Http2, AUTHENTICATE, &headers, body);
        let answer = in_time(call).await;
        assert_ne!(answer.headers["grpc-status"], "0", "{body:?}");
    }
    assert_eq!(authenticate(&plugin, "t").await.unwrap(), "t");
}

#[tokio::test]
async fn a_call_under_way_ends_before_the_plugin_does() {
    let plugin = start().await;
    let mut stream = UnixStream::connect(plugin.socket()).await.unwrap();
    let head = format!(
        "POST {AUTHENTICATE} HTTP/1.1\r\nHost: plugin\r\nContent-Type: application/json\r\n\
         Content-Length: 14\r\n\r\n{{\"token\":"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Answered on the same thread as the other, so that one has been taken.
    assert_eq!(authenticate(&plugin, "t").await.unwrap(), "t");
    plugin.shut_down();
    stream.write_all(b" \"t\"}").await.unwrap();
    let mut answer = String::new();
    in_time(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let socket = plugin.socket();
    in_time(plugin.stop()).await;
    assert!(!socket.exists());
}
