use std::num::NonZeroU32;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{Method, Request};
use rat_config::RateLimit;
use serde_json::json;

use crate::support::{Answer, Setup, api, json as json_request, request, with};

/// Asserts that this is the specification's error body; answers its type.
#[track_caller]
fn spec_error(answer: Answer, status: u16) -> String {
    let json = answer.expect(status);
    assert_eq!(json["error"]["code"], status, "{json}");
    assert!(json["error"]["message"].is_string(), "{json}");
    json["error"]["type"].as_str().expect("a type").to_owned()
}

#[tokio::test]
async fn the_catalog_is_served_to_users() {
    let api = api().await;
    let config = api.get("/iceberg/v1/config").await.expect(200);
    assert!(
        config["defaults"].is_object() && config["overrides"].is_object(),
        "{config}"
    );
    let table = json!({
        "name": "orders",
        "schema": {"type": "struct", "fields": [
            {"id": 1, "name": "id", "required": false, "type": "long"}]},
    });
    let created = api
        .post("/iceberg/v1/namespaces/default%1Fbronze/tables", table)
        .await;
    assert_eq!(
        created.status,
        200,
        "{}",
        String::from_utf8_lossy(&created.body)
    );
    let tables = api.get("/api/v1/tables").await.expect(200);
    assert_eq!(tables["tables"][0]["name"], "orders");
}

#[tokio::test]
async fn errors_of_the_catalog_and_of_the_layers_look_alike() {
    let api = api().await;
    spec_error(
        api.get("/iceberg/v1/namespaces/default%1Fbronze/tables/none")
            .await,
        404,
    );
    spec_error(api.get("/iceberg/v1/nothing").await, 404);
    spec_error(api.get("/iceberg/nothing").await, 404);
    spec_error(api.get("/iceberg").await, 404);
    spec_error(api.delete("/iceberg/v1/config").await, 405);
    let text = Request::builder()
        .method(Method::POST)
        .uri("/iceberg/v1/namespaces")
        .header("content-type", "application/json")
        .body(Body::from("{"))
        .unwrap();
    spec_error(api.send(text).await, 400);
}

#[tokio::test]
async fn a_missing_credential_is_the_spec_s_401() {
    let api = Setup {
        key: Some("k"),
        ..Setup::default()
    }
    .start()
    .await;
    let answer = api.get("/iceberg/v1/config").await;
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"rat\"");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(spec_error(answer, 401), "NotAuthorizedException");
    let with_key = with(
        request(Method::GET, "/iceberg/v1/config"),
        "authorization",
        "Bearer k",
    );
    api.send(with_key).await.expect(200);
}

#[tokio::test]
async fn a_body_above_the_limit_is_the_spec_s_413() {
    let api = Setup {
        configure: |config| config.iceberg_body_limit = 10_000,
        ..Setup::default()
    }
    .start()
    .await;
    let big = json!({"namespace": ["a"], "properties": {"x": "y".repeat(20_000)}});
    let mut announced = json_request(Method::POST, "/iceberg/v1/namespaces", &big);
    announced
        .headers_mut()
        .insert("content-length", 20_100.into());
    spec_error(api.send(announced).await, 413);
    let text = big.to_string();
    let chunks: Vec<Result<Bytes, std::io::Error>> = text
        .as_bytes()
        .chunks(1000)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    let streamed = Request::builder()
        .method(Method::POST)
        .uri("/iceberg/v1/namespaces")
        .header("content-type", "application/json")
        .body(Body::from_stream(stream::iter(chunks)))
        .unwrap();
    spec_error(api.send(streamed).await, 413);
}

#[tokio::test]
async fn a_rate_limit_is_the_spec_s_429() {
    let api = Setup {
        configure: |config| {
            let one = NonZeroU32::MIN;
            config.rate_limit = Some(RateLimit {
                requests_per_second: one,
                burst: one,
            });
        },
        ..Setup::default()
    }
    .start()
    .await;
    api.get("/iceberg/v1/config").await.expect(200);
    let refused = api.get("/iceberg/v1/config").await;
    assert_eq!(refused.header("retry-after"), "1");
    spec_error(refused, 429);
}

#[tokio::test]
async fn a_timeout_is_the_spec_s_504() {
    let api = Setup {
        configure: |config| config.request_timeout = Duration::from_millis(200),
        ..Setup::default()
    }
    .start()
    .await;
    let slow = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let post = Request::builder()
        .method(Method::POST)
        .uri("/iceberg/v1/namespaces")
        .header("content-type", "application/json")
        .body(slow)
        .unwrap();
    spec_error(api.send(post).await, 504);
}

#[tokio::test]
async fn a_foreign_page_is_the_spec_s_403() {
    let api = api().await;
    let post = json_request(
        Method::POST,
        "/iceberg/v1/namespaces",
        &json!({"namespace": ["a"]}),
    );
    let answer = api.send(with(post, "origin", "http://evil.example")).await;
    assert_eq!(spec_error(answer, 403), "ForbiddenException");
}
