//! The Connect protocol over HTTP/1.1, with a server that is written by hand from its
//! specification: no code of ours is on the other side.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use http::{StatusCode, Version};
use prost::Message as _;
use rat_api::{AuthenticationError, Holder};
use rat_config::Slot;
use rat_proto::auth::v1::{AuthenticateRequest, AuthenticateResponse};
use rat_proto::executor::v1::StreamLogsResponse;
use rat_proto::plugin::v1::{ConfigureRequest, HealthCheckResponse};
use rat_proto::runner::v1::{LogEntry, LogLevel};
use rat_types::RunId;

use crate::support::plugin::Served;
use crate::support::{Rig, one, wait_for};

#[derive(Debug, Default)]
struct Plugin {
    configurations: Mutex<Vec<String>>,
    calls: AtomicUsize,
    /// What Authenticate is answered with instead of the user.
    answer: Mutex<Option<(u16, &'static str, &'static str)>>,
    /// The last message of a stream.
    end: Mutex<Option<&'static str>>,
}

type Shared = Arc<Plugin>;

fn unary(message: impl prost::Message) -> Response {
    (
        [("content-type", "application/proto")],
        message.encode_to_vec(),
    )
        .into_response()
}

async fn serve(State(plugin): State<Shared>, request: Request) -> Response {
    assert_eq!(request.version(), Version::HTTP_11);
    assert_eq!(request.method(), http::Method::POST);
    let (head, body) = request.into_parts();
    assert_eq!(head.headers["connect-protocol-version"], "1");
    assert_eq!(head.headers["host"], "localhost");
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    match head.uri.path() {
        "/rat.plugin.v1.PluginService/HealthCheck" => unary(HealthCheckResponse {
            status: "healthy".to_owned(),
            message: "over HTTP/1.1".to_owned(),
        }),
        "/rat.plugin.v1.PluginService/Configure" => {
            let request = ConfigureRequest::decode(body).unwrap();
            plugin.configurations.lock().unwrap().push(request.config);
            unary(rat_proto::plugin::v1::ConfigureResponse {})
        }
        "/rat.auth.v1.AuthService/Authenticate" => {
            assert_eq!(head.headers["content-type"], "application/proto");
            let timeout = head.headers["connect-timeout-ms"].to_str().unwrap();
            assert!((1000..=1500).contains(&timeout.parse::<u64>().unwrap()));
            plugin.calls.fetch_add(1, Ordering::SeqCst);
            authenticate(&plugin, body)
        }
        "/rat.executor.v1.ExecutorService/StreamLogs" => {
            assert_eq!(head.headers["content-type"], "application/connect+proto");
            assert_eq!(
                &body[..5],
                [0, 0, 0, 0, u8::try_from(body.len() - 5).unwrap()]
            );
            logs(plugin.end.lock().unwrap().as_ref().copied())
        }
        // As servers of Connect do it.
        _ => (StatusCode::NOT_FOUND, "404 page not found").into_response(),
    }
}

fn authenticate(plugin: &Plugin, body: Bytes) -> Response {
    let request = AuthenticateRequest::decode(body).unwrap();
    match *plugin.answer.lock().unwrap() {
        Some((status, kind, text)) => {
            let status = StatusCode::from_u16(status).unwrap();
            (status, [("content-type", kind)], text).into_response()
        }
        None => unary(AuthenticateResponse {
            user_id: format!("user-of-{}", request.token),
            ..AuthenticateResponse::default()
        }),
    }
}

fn logs(end: Option<&'static str>) -> Response {
    let framed = |flags: u8, message: &[u8]| {
        let length = u32::try_from(message.len()).unwrap();
        let mut framed = vec![flags];
        framed.extend(length.to_be_bytes());
        framed.extend(message);
        framed
    };
    let entry = |seq| StreamLogsResponse {
        entries: vec![LogEntry {
            seq,
            at: Some(prost_types::Timestamp::default()),
            level: LogLevel::Info.into(),
            message: "line".to_owned(),
        }],
    };
    let mut bytes = framed(0, &entry(1).encode_to_vec());
    bytes.extend(framed(0, &entry(2).encode_to_vec()));
    if let Some(end) = end {
        bytes.extend(framed(2, end.as_bytes()));
    }
    // In pieces that respect no message.
    let pieces: Vec<_> = bytes
        .chunks(7)
        .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    let body = Body::from_stream(futures::stream::iter(pieces));
    ([("content-type", "application/connect+proto")], body).into_response()
}

fn start(socket: &Path, plugin: &Shared) -> Served {
    let _ = std::fs::remove_file(socket);
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let router = Router::new().fallback(serve).with_state(Arc::clone(plugin));
    Served::spawn(async move |_| {
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        axum::serve(listener, router).await.unwrap();
    })
}

const CONNECT: &str = ", protocol: connect, config: {a: 1}";

#[tokio::test]
async fn a_plugin_without_http2_fills_a_slot() {
    let rig = Rig::new().await;
    let (socket, plugin) = (rig.socket("auth.sock"), Shared::default());
    let served = start(&socket, &plugin);
    rig.load(&one(Slot::Auth, &socket, CONNECT)).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    rig.until_row("auth-one", |row| row.message == "over HTTP/1.1")
        .await;
    let calls = (0..100).map(async |number| rig.authenticate(&number.to_string()).await);
    for (number, answer) in futures::future::join_all(calls)
        .await
        .into_iter()
        .enumerate()
    {
        let user = answer.unwrap().identity.user_id;
        assert_eq!(user, format!("user-of-{number}"));
    }
    for _ in 0..20 {
        rig.authenticate("good").await.unwrap();
    }
    assert_eq!(plugin.calls.load(Ordering::SeqCst), 120);
    assert_eq!(*plugin.configurations.lock().unwrap(), [r#"{"a":1}"#]);

    served.kill();
    let _served = start(&socket, &plugin);
    wait_for("the new process is configured", || {
        match plugin.configurations.lock().unwrap().len() {
            1 => Err(format!("{:?}", rig.slot(Slot::Auth))),
            _ => Ok(()),
        }
    })
    .await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    rig.authenticate("good").await.unwrap();
}

#[tokio::test]
async fn errors_of_connect_are_those_of_grpc() {
    let rig = Rig::new().await;
    let (socket, plugin) = (rig.socket("auth.sock"), Shared::default());
    let _served = start(&socket, &plugin);
    rig.load(&one(Slot::Auth, &socket, CONNECT)).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    const JSON: &str = "application/json";
    for (status, kind, text, refused) in [
        (
            401,
            JSON,
            r#"{"code":"unauthenticated","message":"expired"}"#,
            true,
        ),
        (500, JSON, r#"{"code":"internal"}"#, true),
        (
            403,
            JSON,
            r#"{"code":"permission_denied","message":"x"}"#,
            true,
        ),
        (404, "text/plain", "404 page not found", true),
        (503, JSON, r#"{"code":"unavailable","message":"x"}"#, false),
        (504, JSON, r#"{"code":"deadline_exceeded"}"#, false),
        (503, "text/html", "<html>", false),
        (500, "text/html", "<html>", false),
        (401, "text/html", "<html>", false),
        (200, "text/html", "<html>welcome</html>", false),
        (200, JSON, r#"{"userId":"root"}"#, false),
        (302, "text/plain", "", false),
    ] {
        *plugin.answer.lock().unwrap() = Some((status, kind, text));
        let answer = rig.authenticate("good").await;
        let expected = match refused {
            true => matches!(answer, Err(AuthenticationError::Refused)),
            false => matches!(answer, Err(AuthenticationError::Unavailable(_))),
        };
        assert!(expected, "{status} {text}: {answer:?}");
    }
    *plugin.answer.lock().unwrap() = None;
    rig.authenticate("good").await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_as_its_last_message_says() {
    let rig = Rig::new().await;
    let (socket, plugin) = (rig.socket("executor.sock"), Shared::default());
    let _served = start(&socket, &plugin);
    rig.load(&one(Slot::Executor, &socket, CONNECT)).await;
    rig.until(Slot::Executor, Holder::Plugin).await;
    let executor = rig.executors.current();
    for (end, message) in [
        (Some("{}"), ""),
        (Some(r#"{"metadata":{}}"#), ""),
        (
            Some(r#"{"error":{"code":"not_found","message":"gone"}}"#),
            "does not know run",
        ),
        (
            Some(r#"{"error":{"code":"internal","message":"no disk"}}"#),
            "no disk",
        ),
        (Some("nonsense"), "not JSON"),
        (None, "without the last message of a stream"),
    ] {
        *plugin.end.lock().unwrap() = end;
        let mut log = executor
            .logs(RunId::new_at(chrono::Utc::now()), 0)
            .await
            .unwrap();
        let (mut count, mut error) = (0, String::new());
        while let Some(entries) = log.next().await {
            match entries {
                Ok(entries) => count += entries.len(),
                Err(broken) => error = broken.to_string(),
            }
        }
        assert_eq!(count, 2, "{end:?}");
        assert!(error.contains(message), "{end:?}: {error}");
        assert_eq!(error.is_empty(), message.is_empty(), "{end:?}: {error}");
    }
}

#[tokio::test]
async fn a_grpc_server_is_told_apart() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let _served = Served::unix(&socket, &crate::support::plugin::Script::new());
    rig.load(&one(Slot::Auth, &socket, CONNECT)).await;
    rig.until_message(Slot::Auth, "it does not speak").await;
}

/// A plugin as somebody writes one with sockets: an answer a connection, which it then closes.
/// What it was asked for, in order.
fn closing(
    socket: &Path,
    version: &'static str,
    with_length: bool,
) -> std::sync::mpsc::Receiver<String> {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    let (heard, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut lines = Vec::new();
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap_or(0) > 2 {
                lines.push(std::mem::take(&mut line).trim_end().to_lowercase());
            }
            let Some(first) = lines.first() else { continue };
            // A length is said even of nothing.
            let length = lines
                .iter()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.expect("a length").parse().unwrap();
            stream.read_exact(&mut vec![0; length]).unwrap();
            let method = first.rsplit('/').nth(1).unwrap();
            let method = method.trim_end_matches(" http").to_owned();
            let answer = match method.as_str() {
                "healthcheck" => HealthCheckResponse {
                    status: "healthy".to_owned(),
                    message: String::new(),
                }
                .encode_to_vec(),
                "authenticate" => AuthenticateResponse {
                    user_id: "alice".to_owned(),
                    ..AuthenticateResponse::default()
                }
                .encode_to_vec(),
                _ => Vec::new(),
            };
            let length = match with_length || method != "authenticate" {
                true => format!("content-length: {}\r\n", answer.len()),
                false => String::new(),
            };
            let head = format!(
                "{version} 200 OK\r\ncontent-type: application/proto\r\n{length}connection: close\r\n\r\n"
            );
            if heard.send(method).is_err() {
                return;
            }
            let _ = stream
                .get_mut()
                .write_all(&[head.as_bytes(), &answer].concat());
        }
    });
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_closes_every_connection_is_configured_on_each() {
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let rig = Rig::with(rat_plugin_host::Options {
            health_interval: std::time::Duration::from_secs(3600),
            ..crate::support::fast()
        })
        .await;
        let socket = rig.socket("auth.sock");
        let first = closing(&socket, version, true);
        rig.load(&one(Slot::Auth, &socket, CONNECT)).await;
        rig.until(Slot::Auth, Holder::Plugin).await;
        rig.authenticate("good").await.unwrap();
        assert!(first.try_iter().any(|method| method == "configure"));
        // Another process, of which no failure tells.
        std::fs::remove_file(&socket).unwrap();
        let second = closing(&socket, version, true);
        rig.authenticate("good").await.unwrap();
        let asked: Vec<_> = second.try_iter().collect();
        let place = |wanted: &str| asked.iter().position(|method| method == wanted);
        assert!(
            place("configure").unwrap() < place("authenticate").unwrap(),
            "{asked:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_whose_end_cannot_be_told_from_a_break_is_none() {
    let rig = Rig::new().await;
    let socket = rig.socket("auth.sock");
    let _asked = closing(&socket, "HTTP/1.1", false);
    rig.load(&one(Slot::Auth, &socket, CONNECT)).await;
    rig.until(Slot::Auth, Holder::Plugin).await;
    let answer = rig.authenticate("good").await;
    assert!(
        matches!(answer, Err(AuthenticationError::Unavailable(_))),
        "{answer:?}"
    );
}
