use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api, Setup, api, json as json_request, wait_for, with};

async fn query(api: &Api, sql: &str) -> Answer {
    api.post("/api/v1/query", json!({"sql": sql})).await
}

#[tokio::test]
async fn rows_arrive_as_objects_in_the_order_of_their_columns() {
    let api = api().await;
    let answer = query(&api, "rows 2").await;
    assert!(
        answer
            .header("content-type")
            .starts_with("application/json")
    );
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert!(
        text.contains(r#"{"id":1,"price":"1.05","name":"row \"1\""}"#),
        "{text}"
    );
    let json = answer.expect(200);
    assert_eq!(
        json["columns"],
        json!([{"name": "id", "type": "BIGINT"}, {"name": "price", "type": "DECIMAL(12, 2)"},
               {"name": "name", "type": "VARCHAR"}])
    );
    assert_eq!(
        (&json["total_rows"], &json["truncated"]),
        (&json!(2), &json!(false))
    );
    assert!(json["duration_ms"].is_u64());
}

#[tokio::test]
async fn an_empty_result_has_its_columns() {
    let api = api().await;
    let json = query(&api, "rows 0").await.expect(200);
    assert_eq!(json["rows"], json!([]));
    assert_eq!(json["columns"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_query_service_gets_a_token_that_dies_with_the_query() {
    let api = api().await;
    api.post(
        "/api/v1/query",
        json!({"sql": "rows 1", "namespace": "shop", "limit": 7}),
    )
    .await
    .expect(200);
    let seen = api.ratq.last();
    assert_eq!((seen.namespace.as_str(), seen.limit), ("shop", 7));
    assert_eq!(seen.control_plane, "unix:/nowhere");
    assert!(seen.token.starts_with("rat_query_"));
    assert_eq!(api.tokens.lookup(&seen.token), None);
    query(&api, "rows 1").await.expect(200);
    let seen = api.ratq.last();
    assert_eq!((seen.namespace.as_str(), seen.limit), ("default", 1000));
    api.post("/api/v1/query", json!({"sql": "rows 1", "limit": u64::MAX}))
        .await
        .expect(200);
    assert_eq!(api.ratq.last().limit, 100_000);
}

#[tokio::test]
async fn the_query_service_sees_the_id_of_the_request() {
    let api = api().await;
    let post = json_request(Method::POST, "/api/v1/query", &json!({"sql": "rows 1"}));
    api.send(with(post, "x-request-id", "trace-7"))
        .await
        .expect(200);
    assert_eq!(api.ratq.request_id().as_deref(), Some("trace-7"));
}

#[tokio::test]
async fn a_result_is_cut_at_its_limit_whoever_forgets_to() {
    let api = api().await;
    let body = |sql: &str, limit: u64| json!({"sql": sql, "limit": limit});
    let told = api
        .post("/api/v1/query", body("rows 10", 4))
        .await
        .expect(200);
    assert_eq!(
        (&told["total_rows"], &told["truncated"]),
        (&json!(4), &json!(true))
    );
    let untold = api
        .post("/api/v1/query", body("flood 2500", 1500))
        .await
        .expect(200);
    assert_eq!(
        (&untold["total_rows"], &untold["truncated"]),
        (&json!(1500), &json!(true))
    );
    assert_eq!(untold["rows"].as_array().unwrap().len(), 1500);
    let exact = api
        .post("/api/v1/query", body("rows 1500", 1500))
        .await
        .expect(200);
    assert_eq!(
        (&exact["total_rows"], &exact["truncated"]),
        (&json!(1500), &json!(false))
    );
}

#[tokio::test]
async fn what_the_query_service_refuses_has_the_right_status() {
    let api = api().await;
    for (code, status, ours) in [
        (3, 400, "INVALID_ARGUMENT"),
        (5, 404, "NOT_FOUND"),
        (7, 403, "FORBIDDEN"),
        (4, 504, "DEADLINE_EXCEEDED"),
        // More memory than there is, say: it will not be another time.
        (8, 400, "INVALID_ARGUMENT"),
        (12, 501, "NOT_IMPLEMENTED"),
        (13, 502, "UPSTREAM_ERROR"),
        (14, 503, "UNAVAILABLE"),
        (16, 502, "UPSTREAM_ERROR"),
    ] {
        let answer = query(&api, &format!("error {code}")).await;
        assert_eq!(answer.json()["error"]["reason"], "AS_YOU_SAID");
        let message = answer.refused(status, ours);
        let shown = matches!(status, 400 | 403 | 404 | 504);
        assert_eq!(message.contains("as you said"), shown, "{code}: {message}");
    }
    query(&api, "late error")
        .await
        .refused(400, "INVALID_ARGUMENT");
    let busy = query(&api, "busy").await;
    assert_eq!(busy.header("retry-after"), "1");
    busy.refused(429, "RESOURCE_EXHAUSTED");
    query(&api, "garbage").await.refused(502, "UPSTREAM_ERROR");
    query(&api, "silence").await.refused(502, "UPSTREAM_ERROR");
}

#[tokio::test]
async fn what_is_no_query_does_not_reach_the_query_service() {
    let api = api().await;
    for (body, named) in [
        (json!({"sql": ""}), "sql"),
        (json!({"sql": " \n"}), "sql"),
        (json!({"sql": "x".repeat(100_001)}), "sql"),
        (json!({"sql": 1}), "sql"),
        (json!({}), "sql"),
        (json!({"sql": "rows 1", "namespace": "No"}), "namespace"),
        (json!({"sql": "rows 1", "limit": 0}), "limit"),
        (json!({"sql": "rows 1", "limit": -1}), "limit"),
        (json!({"sql": "rows 1", "colour": "red"}), "colour"),
    ] {
        let message = api
            .post("/api/v1/query", body)
            .await
            .refused(400, "INVALID_ARGUMENT");
        assert!(message.contains(named), "{named}: {message}");
    }
    assert_eq!(api.ratq.count(), 0);
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_cancelled() {
    let api = Setup {
        configure: |config| config.query_timeout = Duration::from_millis(300),
        ..Setup::default()
    }
    .start()
    .await;
    query(&api, "hang").await.refused(504, "DEADLINE_EXCEEDED");
    wait_for("the query is cancelled", || async {
        api.ratq.cancelled() == 1
    })
    .await;
    assert_eq!(api.tokens.lookup(&api.ratq.last().token), None);
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_query_with_it() {
    let api = api().await;
    let router = api.router.clone();
    let client = tokio::spawn(async move {
        let post = json_request(Method::POST, "/api/v1/query", &json!({"sql": "hang"}));
        tower::ServiceExt::oneshot(router, post).await
    });
    wait_for("the query has arrived", || async { api.ratq.count() == 1 }).await;
    assert!(api.tokens.lookup(&api.ratq.last().token).is_some());
    client.abort();
    wait_for("the query is cancelled", || async {
        api.ratq.cancelled() == 1
    })
    .await;
    assert_eq!(api.tokens.lookup(&api.ratq.last().token), None);
}

#[tokio::test]
async fn queries_under_way_have_a_bound() {
    let api = api().await;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let post = json_request(Method::POST, "/api/v1/query", &json!({"sql": "hang"}));
        clients.spawn(tower::ServiceExt::oneshot(api.router.clone(), post));
    }
    wait_for("all of them have arrived", || async {
        api.ratq.count() == 16
    })
    .await;
    query(&api, "rows 1")
        .await
        .refused(429, "RESOURCE_EXHAUSTED");
    clients.shutdown().await;
    wait_for("there is room again", || async {
        query(&api, "rows 1").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_large_result_is_cut_at_the_bound_of_the_answer() {
    let api = api().await;
    // About 45 bytes a row.
    let body = json!({"sql": "rows 1000000", "limit": 1_000_000});
    let api = {
        drop(api);
        Setup {
            configure: |config| config.query_max_rows = 1_000_000,
            ..Setup::default()
        }
        .start()
        .await
    };
    let answer = api.post("/api/v1/query", body).await;
    assert!(
        answer.body.len() < 33 * 1024 * 1024,
        "{}",
        answer.body.len()
    );
    let json: Value = answer.expect(200);
    assert_eq!(json["truncated"], true);
    assert_eq!(
        json["rows"].as_array().unwrap().len() as u64,
        json["total_rows"].as_u64().unwrap()
    );
}
