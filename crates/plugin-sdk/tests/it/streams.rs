//! Streams, over gRPC and over Connect.

use futures::StreamExt;
use prost::Message as _;
use rat_plugin_sdk::executor::{StreamLogsRequest, StreamLogsResponse};
use rat_plugin_sdk::testing::{Answer, Harness, Version};
use rat_plugin_sdk::{Code, Status};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::support::{SECRET, STREAM_LOGS, in_time, server, start, start_with};

const END: u8 = 2;

fn request(run_id: &str) -> StreamLogsRequest {
    StreamLogsRequest {
        run_id: run_id.to_owned(),
        after: 0,
    }
}

/// All messages over gRPC, and how it ended.
async fn over_grpc(
    plugin: &Harness,
    run_id: &str,
) -> (Vec<StreamLogsResponse>, Result<(), Status>) {
    let mut stream = match plugin.executor().stream_logs(request(run_id)).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return (Vec::new(), Err(status)),
    };
    let mut messages = Vec::new();
    while let Some(message) = in_time(stream.next()).await {
        match message {
            Ok(message) => messages.push(message),
            Err(status) => return (messages, Err(status)),
        }
    }
    (messages, Ok(()))
}

fn enveloped(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend(message);
    bytes
}

async fn over_connect(
    plugin: &Harness,
    version: Version,
    content_type: &str,
    body: Vec<u8>,
) -> Answer {
    let headers = [("content-type", content_type)];
    let answer = in_time(plugin.request(version, STREAM_LOGS, &headers, body)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], content_type);
    answer
}

/// All messages in JSON, and the last one.
async fn in_json(plugin: &Harness, run_id: &str) -> (Vec<Value>, Value) {
    let body = enveloped(json!({"runId": run_id}).to_string().as_bytes());
    let content_type = "application/connect+json";
    let answer = over_connect(plugin, Version::Http1, content_type, body).await;
    let mut envelopes = answer.envelopes();
    let (flags, end) = envelopes.pop().unwrap();
    assert_eq!(flags, END);
    let messages = envelopes.iter().map(|(flags, message)| {
        assert_eq!(*flags, 0);
        serde_json::from_slice(message).unwrap()
    });
    (messages.collect(), serde_json::from_slice(&end).unwrap())
}

#[tokio::test]
async fn a_stream_is_the_same_in_all_four_ways() {
    let plugin = start().await;
    let (expected, ended) = over_grpc(&plugin, "three").await;
    assert_eq!(expected.len(), 3);
    ended.unwrap();
    let (messages, end) = in_json(&plugin, "three").await;
    let lines = (1..4).map(|seq| {
        let seq = seq.to_string();
        let message = format!("line {seq}");
        json!({"entries": [{"seq": seq, "level": "LOG_LEVEL_INFO", "message": message}]})
    });
    assert_eq!(messages, lines.collect::<Vec<_>>());
    assert_eq!(end, json!({}));
    for version in [Version::Http1, Version::Http2] {
        let body = enveloped(&request("three").encode_to_vec());
        let answer = over_connect(&plugin, version, "application/connect+proto", body).await;
        let mut envelopes = answer.envelopes();
        assert_eq!(envelopes.pop().unwrap(), (END, "{}".into()));
        let messages = envelopes
            .into_iter()
            .map(|(_, message)| StreamLogsResponse::decode(message).unwrap());
        assert_eq!(messages.collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn an_empty_stream_is_one() {
    let plugin = start().await;
    let (messages, ended) = over_grpc(&plugin, "none").await;
    assert!(messages.is_empty() && ended.is_ok());
    assert_eq!(in_json(&plugin, "none").await, (Vec::new(), json!({})));
}

#[tokio::test]
async fn an_error_ends_a_stream_after_what_it_had() {
    let plugin = start().await;
    for (run_id, count, code, name) in [
        ("unknown", 0, Code::NotFound, "not_found"),
        ("broken", 2, Code::Aborted, "aborted"),
        ("panic", 1, Code::Internal, "internal"),
    ] {
        let (messages, ended) = over_grpc(&plugin, run_id).await;
        assert_eq!(messages.len(), count, "{run_id}");
        let status = ended.unwrap_err();
        assert_eq!(status.code(), code, "{run_id}");
        let (messages, end) = in_json(&plugin, run_id).await;
        assert_eq!(messages.len(), count, "{run_id}");
        let expected = json!({"error": {"code": name, "message": status.message()}});
        assert_eq!(end, expected);
        assert!(!end.to_string().contains(SECRET));
    }
}

#[tokio::test]
async fn a_deadline_ends_a_stream() {
    let plugin = start().await;
    let mut call = tonic::Request::new(request("endless"));
    call.set_timeout(std::time::Duration::from_millis(200));
    let mut stream = plugin
        .executor()
        .stream_logs(call)
        .await
        .unwrap()
        .into_inner();
    assert!(stream.next().await.unwrap().is_ok());
    let status = in_time(stream.next()).await.unwrap().unwrap_err();
    // The client may notice first.
    assert!(matches!(
        status.code(),
        Code::DeadlineExceeded | Code::Cancelled
    ));

    let headers = [
        ("content-type", "application/connect+json"),
        ("connect-timeout-ms", "100"),
    ];
    let body = enveloped(br#"{"runId": "endless"}"#);
    let call = plugin.request(Version::Http2, STREAM_LOGS, &headers, body);
    let (flags, end) = in_time(call).await.envelopes().pop().unwrap();
    assert_eq!(flags, END);
    let end: Value = serde_json::from_slice(&end).unwrap();
    assert_eq!(end["error"]["code"], "deadline_exceeded");
}

#[tokio::test]
async fn a_message_is_sent_as_soon_as_it_is_there() {
    let plugin = start().await;
    let mut stream = UnixStream::connect(plugin.socket()).await.unwrap();
    let body = enveloped(br#"{"runId": "endless"}"#);
    let head = format!(
        "POST {STREAM_LOGS} HTTP/1.1\r\nHost: plugin\r\nContent-Type: application/connect+json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(&[head.as_bytes(), &body].concat())
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("line 1") {
        assert_ne!(in_time(stream.read_buf(&mut answer)).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn an_endless_stream_ends_when_the_plugin_does() {
    let grace = std::time::Duration::from_millis(50);
    let server = server().stream_grace(grace);
    let plugin = start_with(server, json!({"name": "shop"})).await;
    let mut executor = plugin.executor();
    let mut stream = executor
        .stream_logs(request("endless"))
        .await
        .unwrap()
        .into_inner();
    assert!(stream.next().await.unwrap().is_ok());
    plugin.shut_down();
    let status = in_time(stream.next()).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    in_time(plugin.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_always_has_something_to_say_is_ended_too() {
    let grace = std::time::Duration::from_millis(50);
    let plugin = start_with(server().stream_grace(grace), json!({"name": "shop"})).await;
    let mut executor = plugin.executor();
    let mut stream = executor.stream_logs(request("busy")).await.unwrap();
    assert!(stream.get_mut().next().await.unwrap().is_ok());
    plugin.shut_down();
    let ended = async {
        loop {
            if let Err(status) = stream.get_mut().next().await.unwrap() {
                return status;
            }
        }
    };
    // Behind so much data the connection may end before the status is read.
    let status = in_time(ended).await;
    assert!(
        matches!(status.code(), Code::Unavailable | Code::Unknown),
        "{status}"
    );
    in_time(plugin.stop()).await;
}

#[tokio::test]
async fn a_malformed_envelope_is_refused_in_the_stream() {
    let plugin = start().await;
    let message = br#"{"runId": "three"}"#;
    let mut compressed = enveloped(message);
    compressed[0] = 1;
    let mut ended = enveloped(message);
    ended[0] = 2;
    let mut twice = enveloped(message);
    twice.extend(enveloped(message));
    let mut endless = enveloped(message);
    endless[1] = 0xff;
    let mut cut = enveloped(message);
    cut.pop();
    for (body, code) in [
        (Vec::new(), "invalid_argument"),
        (message.to_vec(), "resource_exhausted"),
        (compressed, "invalid_argument"),
        (ended, "invalid_argument"),
        (twice, "invalid_argument"),
        (endless, "resource_exhausted"),
        (cut, "invalid_argument"),
        (enveloped(b"{"), "invalid_argument"),
    ] {
        let content_type = "application/connect+json";
        let answer = over_connect(&plugin, Version::Http1, content_type, body.clone()).await;
        let envelopes = answer.envelopes();
        assert_eq!(envelopes.len(), 1);
        let end: Value = serde_json::from_slice(&envelopes[0].1).unwrap();
        assert_eq!(end["error"]["code"], code, "{body:?}");
    }
}
