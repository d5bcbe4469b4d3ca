use std::time::Duration;

use axum::body::BodyDataStream;
use chrono::Utc;
use futures::StreamExt as _;
use http::Method;
use rat_store::NewRun;
use rat_types::{LogEntry, LogLevel, RunId, TableIdent};

use crate::support::{Api, api, peer, request, wait_for, with};

async fn run(api: &Api) -> RunId {
    api.pipeline("default.silver.a", "SELECT 1").await;
    let ident: TableIdent = "default.silver.a".parse().unwrap();
    let new = NewRun {
        id: RunId::new_at(Utc::now()),
        pipeline: ident,
        trigger: "manual".to_owned(),
        created_by: "anonymous".to_owned(),
        created_by_roles: Vec::new(),
    };
    api.store.runs().create(&new).await.unwrap().id
}

async fn log(api: &Api, run: RunId, seqs: std::ops::RangeInclusive<u64>) {
    let line = |seq| LogEntry {
        seq,
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
        level: LogLevel::Info,
        message: format!("line {seq}\nwith two"),
    };
    let lines: Vec<LogEntry> = seqs.map(line).collect();
    api.store.run_logs().append(run, &lines).await.unwrap();
}

/// The events of a stream, as text.
struct Events {
    stream: BodyDataStream,
    text: String,
}

impl Events {
    async fn open(api: &Api, run: RunId, headers: &[(&str, &str)]) -> Self {
        let mut get = request(Method::GET, &format!("/api/v1/runs/{run}/logs"));
        get = with(get, "accept", "text/event-stream");
        for (name, value) in headers {
            get = with(get, name, value);
        }
        let response = api.open(get).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            stream: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// Reads until the text holds `wanted`.
    async fn until(&mut self, wanted: &str) {
        while !self.text.contains(wanted) {
            let next = tokio::time::timeout(Duration::from_secs(10), self.stream.next()).await;
            let chunk = next
                .expect("an event in time")
                .expect("the stream goes on")
                .unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn into_text(mut self) -> String {
        while let Ok(Some(chunk)) =
            tokio::time::timeout(Duration::from_secs(10), self.stream.next()).await
        {
            self.text
                .push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
        self.text
    }
}

#[tokio::test]
async fn a_log_is_read_in_pages() {
    let api = api().await;
    let run = run(&api).await;
    log(&api, run, 1..=5).await;
    let page = api
        .get(&format!("/api/v1/runs/{run}/logs"))
        .await
        .expect(200);
    assert_eq!(page["status"], "pending");
    assert_eq!(page["logs"].as_array().unwrap().len(), 5);
    assert_eq!(
        page["logs"][0],
        serde_json::json!({"seq": 1, "timestamp": "2026-01-01T00:00:00.000000Z",
                           "level": "info", "message": "line 1\nwith two"})
    );
    let rest = api
        .get(&format!("/api/v1/runs/{run}/logs?after=3&limit=1"))
        .await
        .expect(200);
    assert_eq!(rest["logs"][0]["seq"], 4);
    assert_eq!(rest["logs"].as_array().unwrap().len(), 1);
    for query in [
        "after=-1",
        "after=99999999999999999999",
        "after=18446744073709551615",
        "x=1",
    ] {
        api.get(&format!("/api/v1/runs/{run}/logs?{query}"))
            .await
            .refused(400, "INVALID_ARGUMENT");
    }
}

#[tokio::test]
async fn a_log_is_followed_until_the_run_has_ended() {
    let api = api().await;
    let run = run(&api).await;
    log(&api, run, 1..=2).await;
    let mut events = Events::open(&api, run, &[]).await;
    events.until("{\"status\":\"pending\"}").await;
    log(&api, run, 3..=3).await;
    events.until("id: 3").await;
    api.store.runs().request_cancel(run, "anna").await.unwrap();
    let text = events.into_text().await;
    assert_eq!(text.matches("event: log").count(), 4);
    // What became of the run is told before the stream ends.
    assert!(text.contains("\"message\":\"Cancelled by anna\""), "{text}");
    assert!(text.contains("\"message\":\"line 1\\nwith two\""), "{text}");
    assert!(
        text.trim_end().ends_with("{\"status\":\"cancelled\"}"),
        "{text}"
    );
    assert!(!text.contains("event: error"));
}

#[tokio::test]
async fn a_long_log_is_sent_completely() {
    let api = api().await;
    let run = run(&api).await;
    log(&api, run, 1..=1700).await;
    api.store.runs().request_cancel(run, "anna").await.unwrap();
    let text = Events::open(&api, run, &[]).await.into_text().await;
    assert_eq!(text.matches("event: log").count(), 1701);
}

#[tokio::test]
async fn a_client_that_comes_back_misses_nothing_and_sees_nothing_twice() {
    let api = api().await;
    let run = run(&api).await;
    log(&api, run, 1..=5).await;
    api.store.runs().request_cancel(run, "anna").await.unwrap();
    let text = Events::open(&api, run, &[("last-event-id", "3")])
        .await
        .into_text()
        .await;
    assert!(!text.contains("id: 3\n") && text.contains("id: 4\n") && text.contains("id: 5\n"));
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops() {
    let api = api().await;
    let run = run(&api).await;
    let mut events = Events::open(&api, run, &[]).await;
    events.until("pending").await;
    api.shutdown.cancel();
    let text = events.into_text().await;
    assert!(
        text.contains("event: error") && text.contains("DISCONNECTED"),
        "{text}"
    );
}

#[tokio::test]
async fn one_address_has_at_most_ten_streams() {
    let api = api().await;
    let run = run(&api).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(Events::open(&api, run, &[]).await);
    }
    let path = format!("/api/v1/runs/{run}/logs");
    let follow = || with(request(Method::GET, &path), "accept", "text/event-stream");
    let refused = api.send(follow()).await;
    assert!(!refused.header("retry-after").is_empty());
    refused.refused(429, "RESOURCE_EXHAUSTED");
    let mut elsewhere = follow();
    elsewhere
        .extensions_mut()
        .insert(peer([10, 0, 0, 9].into()));
    assert_eq!(api.open(elsewhere).await.status(), 200);
    drop(open);
    wait_for("a stream can be opened again", || async {
        api.open(follow()).await.status() == 200
    })
    .await;
}
