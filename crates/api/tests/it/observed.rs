//! What the log says about a request.

use std::io;
use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Setup, api, json as json_request, request, with};

/// The log of this thread, as JSON lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(log.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        (log, guard)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Events with this message.
    fn events(&self, message: &str) -> Vec<Value> {
        let lines: Vec<Value> = self
            .text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        lines
            .into_iter()
            .filter(|line| line["fields"]["message"] == message)
            .collect()
    }
}

#[tokio::test]
async fn a_change_is_audited_with_its_outcome() {
    let api = Setup {
        key: Some("secret-key"),
        ..Setup::default()
    }
    .start()
    .await;
    let (log, _guard) = Log::start();
    let create = || {
        let post = json_request(Method::POST, "/api/v1/namespaces", &json!({"name": "shop"}));
        with(post, "x-api-key", "secret-key")
    };
    api.send(create()).await.expect(201);
    api.send(create()).await.expect(409);
    api.send(with(
        request(Method::GET, "/api/v1/namespaces"),
        "x-api-key",
        "secret-key",
    ))
    .await;
    let audited = log.events("audit");
    let seen: Vec<(&Value, &Value, &Value)> = audited
        .iter()
        .map(|event| {
            let fields = &event["fields"];
            assert!(
                fields["detail"]
                    .as_str()
                    .unwrap()
                    .starts_with("POST /api/v1/namespaces")
            );
            assert_eq!(fields["action"], "namespace.create");
            assert_eq!(fields["resource"], "shop");
            assert_eq!(fields["client"], "127.0.0.1");
            assert!(event["span"]["request_id"].is_string());
            (&fields["user"], &fields["status"], &fields["outcome"])
        })
        .collect();
    assert_eq!(
        seen,
        [
            (&json!("api-key"), &json!(201), &json!("done")),
            (&json!("api-key"), &json!(409), &json!("refused")),
        ]
    );
    assert!(!log.text().contains("secret-key"), "{}", log.text());
}

#[tokio::test]
async fn how_a_caller_was_recognised_is_logged_with_the_request() {
    let shop = crate::people::Shop::start(Setup::default()).await;
    let (log, _guard) = Log::start();
    let me = with(request(Method::GET, "/api/v1/me"), "x-api-key", "ana");
    let me = with(me, "x-request-id", "trace-7");
    shop.api.send(me).await.expect(200);
    let events = log.events("authenticated");
    assert_eq!(events.len(), 1);
    let fields = &events[0]["fields"];
    assert_eq!(
        (&fields["user"], &fields["by"], &fields["age_ms"]),
        (&json!("ana"), &json!("plugin"), &json!(0))
    );
    assert_eq!(events[0]["span"]["request_id"], "trace-7");
}

#[tokio::test]
async fn every_request_is_logged_once_and_probes_quietly() {
    let api = api().await;
    let (log, _guard) = Log::start();
    api.send(with(
        request(Method::GET, "/api/v1/me"),
        "x-request-id",
        "trace-9",
    ))
    .await;
    api.get("/health/live").await;
    let lines = log.events("request finished");
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["span"]["request_id"], "trace-9");
    assert_eq!(lines[0]["span"]["path"], "/api/v1/me");
    assert_eq!(lines[0]["fields"]["status"], 200);
    assert_eq!(lines[1]["level"], "DEBUG");
}

#[tokio::test]
async fn a_caller_that_goes_away_is_logged_and_audited_too() {
    let api = api().await;
    let (log, _guard) = Log::start();
    let post = json_request(Method::POST, "/api/v1/query", &json!({"sql": "hang"}));
    let asked = tokio::time::timeout(std::time::Duration::from_millis(500), api.send(post)).await;
    assert!(asked.is_err());
    assert_eq!(log.events("request finished")[0]["fields"]["status"], 499);
    assert_eq!(log.events("audit")[0]["fields"]["outcome"], "aborted");
    let text = log.text();
    assert!(!text.contains("rat_query_"), "no token in the log: {text}");
}
