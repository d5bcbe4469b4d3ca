use chrono::Utc;
use rat_store::{RunEnd, RunStart};
use rat_types::{Phase, QualityResult, QualityStatus, RunFailure, RunId, RunStatus, Severity};
use serde_json::{Value, json};

use crate::support::{Api, api};

async fn start(api: &Api, name: &str) -> RunId {
    let body = json!({"namespace": "default", "layer": "silver", "pipeline": name});
    let accepted = api.post("/api/v1/runs", body).await.expect(202);
    assert_eq!(accepted["status"], "pending");
    accepted["run_id"].as_str().unwrap().parse().unwrap()
}

/// What the scheduler does with a run, up to its end.
async fn finish(api: &Api, run: RunId, error: Option<RunFailure>) {
    api.store.runs().claim_next(10).await.unwrap();
    let start = RunStart {
        executor: "warm-pool".to_owned(),
        token_hash: "0".repeat(64),
        attempt: 1,
        source_hash: "f".repeat(64),
        readable: Vec::new(),
    };
    assert!(api.store.runs().mark_running(run, &start).await.unwrap());
    let status = if error.is_some() {
        RunStatus::Failed
    } else {
        RunStatus::Success
    };
    let end = RunEnd {
        status,
        error,
        rows_written: Some(3),
        bytes_written: Some(900),
        snapshot_id: Some(i64::MAX),
        phases: vec![Phase {
            name: "render".to_owned(),
            duration_us: 12,
        }],
        finished_at: Utc::now(),
        last_line: None,
    };
    assert!(api.store.runs().finish(run, &end).await.unwrap());
}

#[tokio::test]
async fn a_run_is_accepted_and_can_be_looked_at() {
    let api = api().await;
    api.pipeline("default.silver.a", "SELECT 1").await;
    let run = start(&api, "a").await;
    let got = api.get(&format!("/api/v1/runs/{run}")).await.expect(200);
    assert_eq!(got["id"], run.to_string());
    assert_eq!(got["pipeline"], "a");
    assert_eq!(
        (&got["status"], &got["trigger"]),
        (&json!("pending"), &json!("manual"))
    );
    assert_eq!(got["created_by"], "anonymous");
    assert_eq!(
        (&got["error"], &got["started_at"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        got["quality"],
        json!({"passed": 0, "warned": 0, "failed": 0, "total": 0})
    );
}

#[tokio::test]
async fn a_finished_run_tells_everything() {
    let api = api().await;
    api.pipeline("default.silver.a", "SELECT 1").await;
    let run = start(&api, "a").await;
    let result = QualityResult {
        name: "positive".to_owned(),
        severity: Severity::Error,
        status: QualityStatus::Fail,
        violations: 2,
        duration_us: 50,
        message: "must be positive".to_owned(),
        samples: vec!["{\"a\":-1}".to_owned()],
    };
    api.store
        .quality()
        .replace(run, std::slice::from_ref(&result))
        .await
        .unwrap();
    finish(
        &api,
        run,
        Some(RunFailure::new("QUALITY_FAILED", "one test failed")),
    )
    .await;
    let got = api.get(&format!("/api/v1/runs/{run}")).await.expect(200);
    assert_eq!(got["status"], "failed");
    assert_eq!(
        got["error"],
        json!({"code": "QUALITY_FAILED", "message": "one test failed"})
    );
    assert_eq!(
        got["phases"],
        json!([{"name": "render", "duration_us": 12}])
    );
    assert_eq!(got["snapshot_id"], i64::MAX);
    assert_eq!(got["quality"]["failed"], 1);
    let quality = api
        .get(&format!("/api/v1/runs/{run}/quality"))
        .await
        .expect(200);
    assert_eq!(
        (&quality["failed"], &quality["total"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(quality["results"][0]["violations"], 2);

    let pipeline = api
        .get("/api/v1/pipelines/default/silver/a")
        .await
        .expect(200);
    assert_eq!(pipeline["last_run"]["id"], run.to_string());
    assert_eq!(pipeline["last_run"]["status"], "failed");
    assert_eq!(pipeline["last_run"]["source_hash"], "f".repeat(64));
}

#[tokio::test]
async fn a_run_that_cannot_be_is_refused() {
    let api = api().await;
    api.pipeline("default.silver.a", "SELECT 1").await;
    let base = json!({"namespace": "default", "layer": "silver", "pipeline": "a"});
    for (field, value, status) in [
        ("pipeline", json!("none"), 404),
        ("pipeline", json!("A"), 400),
        ("layer", json!("lead"), 400),
        ("trigger", json!(""), 400),
        ("trigger", json!("bogus!"), 400),
        ("trigger", json!("schedule"), 400),
        ("trigger", json!("Manual"), 400),
        ("colour", json!("red"), 400),
    ] {
        let mut body = base.clone();
        body[field] = value;
        api.post("/api/v1/runs", body).await.expect(status);
    }
    assert_eq!(api.get("/api/v1/runs").await.expect(200)["total"], 0);
    let unknown = RunId::new_at(Utc::now());
    for path in ["", "/logs", "/quality"] {
        api.get(&format!("/api/v1/runs/{unknown}{path}"))
            .await
            .refused(404, "NOT_FOUND");
        api.get(&format!("/api/v1/runs/not-an-id{path}"))
            .await
            .refused(400, "INVALID_ARGUMENT");
    }
}

#[tokio::test]
async fn a_pending_run_is_cancelled_at_once_and_only_once() {
    let api = api().await;
    api.pipeline("default.silver.a", "SELECT 1").await;
    let run = start(&api, "a").await;
    let path = format!("/api/v1/runs/{run}/cancel");
    let cancelled = api.post(&path, json!({})).await.expect(200);
    assert_eq!(
        cancelled,
        json!({"run_id": run.to_string(), "status": "cancelled"})
    );
    api.post(&path, json!({})).await.refused(409, "CONFLICT");
    let unknown = RunId::new_at(Utc::now());
    api.post(&format!("/api/v1/runs/{unknown}/cancel"), json!({}))
        .await
        .refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let api = api().await;
    for name in ["a", "b"] {
        api.pipeline(&format!("default.silver.{name}"), "SELECT 1")
            .await;
    }
    let first = start(&api, "a").await;
    finish(&api, first, None).await;
    start(&api, "a").await;
    start(&api, "b").await;
    let total = async |query: &str| {
        api.get(&format!("/api/v1/runs?{query}")).await.expect(200)["total"].clone()
    };
    assert_eq!(total("").await, 3);
    assert_eq!(total("pipeline=a").await, 2);
    assert_eq!(total("status=success").await, 1);
    assert_eq!(
        total("namespace=default&layer=silver&pipeline=b&status=pending").await,
        1
    );
    assert_eq!(total("started_after=2000-01-01T00:00:00Z").await, 1);
    assert_eq!(total("started_before=2000-01-01T00:00:00%2B02:00").await, 0);
    let page = api
        .get("/api/v1/runs?sort=created_at&limit=1")
        .await
        .expect(200);
    assert_eq!(page["runs"].as_array().unwrap().len(), 1);
    assert_eq!(page["runs"][0]["id"], first.to_string());
    for query in [
        "status=done",
        "started_after=yesterday",
        "limit=0",
        "colour=red",
        "layer=x",
        "pipeline=A",
    ] {
        let message = api
            .get(&format!("/api/v1/runs?{query}"))
            .await
            .refused(400, "INVALID_ARGUMENT");
        let field = &query[..query.find('=').unwrap()];
        assert!(message.contains(field), "{query}: {message}");
    }
    let whole = "must be a whole number from 0 up, such as 50";
    let time = "must be a time in RFC 3339, such as 2026-01-31T08:00:00Z";
    for (query, rule) in [
        ("limit=-1", whole),
        ("limit=", whole),
        ("limit=%2B1", whole),
        ("offset=1.5", whole),
        ("started_after=foo", time),
        ("started_before=2026-01-31", time),
        ("status=done", "pending"),
        ("layer=x", "bronze"),
    ] {
        let message = api
            .get(&format!("/api/v1/runs?{query}"))
            .await
            .refused(400, "INVALID_ARGUMENT");
        let (field, _) = query.split_once('=').unwrap();
        assert!(
            message.contains(field) && message.contains(rule),
            "{query}: {message}"
        );
    }
}
