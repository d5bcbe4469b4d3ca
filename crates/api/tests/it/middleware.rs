use std::num::NonZeroU32;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{Method, Request};
use rat_config::RateLimit;
use rat_service::listen::Peer;
use serde_json::json;

use crate::support::{Setup, api, json as json_request, peer, request, with};

#[tokio::test]
async fn every_answer_has_the_security_headers_and_an_id() {
    let api = api().await;
    for path in [
        "/health/live",
        "/api/v1/namespaces",
        "/nothing",
        "/iceberg/v1/config",
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(
            answer
                .header("content-security-policy")
                .contains("default-src 'none'")
        );
        assert!(!answer.header("permissions-policy").is_empty());
        assert_eq!(answer.header("x-request-id").len(), 36);
    }
}

#[tokio::test]
async fn a_sane_request_id_is_echoed_and_another_one_replaced() {
    let api = api().await;
    let get = |id: &str| with(request(Method::GET, "/health/live"), "x-request-id", id);
    assert_eq!(
        api.send(get("trace-1")).await.header("x-request-id"),
        "trace-1"
    );
    for odd in ["a b", "<script>", &"x".repeat(200)] {
        let answer = api.send(get(odd)).await;
        assert_eq!(answer.header("x-request-id").len(), 36, "{odd}");
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_have_the_envelope() {
    let api = api().await;
    api.get("/").await.refused(404, "NOT_FOUND");
    let message = api.get("/api/v1/nothing").await.refused(404, "NOT_FOUND");
    assert!(message.contains("/api/v1/nothing"), "{message}");
    api.get("/api/v1/namespaces/")
        .await
        .refused(404, "NOT_FOUND");
    let answer = api.send(request(Method::PATCH, "/api/v1/namespaces")).await;
    let allowed = answer.header("allow").to_owned();
    assert!(
        allowed.contains("GET") && allowed.contains("POST"),
        "{allowed}"
    );
    answer.refused(405, "METHOD_NOT_ALLOWED");
    api.delete("/health")
        .await
        .refused(405, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn a_head_request_has_no_body() {
    let api = api().await;
    let answer = api.send(request(Method::HEAD, "/api/v1/namespaces")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused_by_name() {
    let api = api().await;
    let post = |content_type: &str, body: &str| {
        let builder = Request::builder()
            .method(Method::POST)
            .uri("/api/v1/namespaces");
        builder
            .header("content-type", content_type)
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    let json = "application/json";
    let message = api
        .send(post(json, "{\"name\":"))
        .await
        .refused(400, "INVALID_ARGUMENT");
    assert!(
        message.contains("JSON") && message.contains("column"),
        "{message}"
    );
    api.send(post(json, ""))
        .await
        .refused(400, "INVALID_ARGUMENT");
    for other in ["[]", "[\"a\", \"\"]", "null", "7", "\"a\""] {
        let message = api
            .send(post(json, other))
            .await
            .refused(400, "INVALID_ARGUMENT");
        assert!(message.contains("a JSON object"), "{other}: {message}");
    }
    api.send(post(json, "{\"name\":\"a\",\"name\":\"b\"}"))
        .await
        .refused(400, "INVALID_ARGUMENT");
    let message = api
        .send(post(json, "{\"name\":\"a\",\"colour\":1}"))
        .await
        .refused(400, "INVALID_ARGUMENT");
    assert!(message.contains("colour"), "{message}");
    let message = api
        .send(post(json, "{\"name\":7}"))
        .await
        .refused(400, "INVALID_ARGUMENT");
    assert!(message.contains("name"), "{message}");
    for other in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        api.send(post(other, "{\"name\":\"a\"}"))
            .await
            .refused(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    api.send(post("application/json; charset=utf-8", "{\"name\":\"a\"}"))
        .await
        .expect(201);
    let deep = "[".repeat(100_000);
    api.send(post(json, &deep))
        .await
        .refused(400, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_announced_or_not() {
    let api = api().await;
    let big = vec![b' '; 1024 * 1024 + 1];
    let post = |body: Body| {
        let builder = Request::builder()
            .method(Method::POST)
            .uri("/api/v1/namespaces");
        builder
            .header("content-type", "application/json")
            .body(body)
            .unwrap()
    };
    let mut announced = post(Body::from(big.clone()));
    announced
        .headers_mut()
        .insert("content-length", big.len().into());
    let message = api.send(announced).await.refused(413, "INVALID_ARGUMENT");
    assert!(message.contains("1048576"), "{message}");
    let chunks: Vec<Result<Bytes, std::io::Error>> = big
        .chunks(64 * 1024)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    let message = api
        .send(post(Body::from_stream(stream::iter(chunks))))
        .await
        .refused(413, "INVALID_ARGUMENT");
    assert!(message.contains("1048576"), "{message}");
}

#[tokio::test]
async fn a_slow_body_is_a_timeout() {
    let api = Setup {
        configure: |config| config.request_timeout = Duration::from_millis(200),
        ..Setup::default()
    }
    .start()
    .await;
    let slow = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let post = Request::builder()
        .method(Method::POST)
        .uri("/api/v1/namespaces")
        .header("content-type", "application/json")
        .body(slow)
        .unwrap();
    api.send(post).await.refused(504, "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn preflights_are_answered_for_allowed_origins_only() {
    let api = Setup {
        key: Some("k"),
        ..Setup::default()
    }
    .start()
    .await;
    let preflight = |origin: &str| {
        let options = request(Method::OPTIONS, "/api/v1/namespaces");
        let options = with(options, "origin", origin);
        let options = with(options, "access-control-request-method", "POST");
        with(
            options,
            "access-control-request-headers",
            "authorization,content-type",
        )
    };
    let allowed = api.send(preflight("http://localhost:3000")).await;
    assert_eq!(allowed.status, 200);
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        "http://localhost:3000"
    );
    assert!(
        allowed
            .header("access-control-allow-methods")
            .contains("DELETE")
    );
    assert!(
        allowed
            .header("access-control-allow-headers")
            .contains("authorization")
    );
    assert_eq!(allowed.header("access-control-max-age"), "300");
    for foreign in [
        "http://evil.example",
        "http://localhost:3000.evil.example",
        "null",
    ] {
        let refused = api.send(preflight(foreign)).await;
        assert_eq!(
            refused.header("access-control-allow-origin"),
            "",
            "{foreign}"
        );
    }
}

#[tokio::test]
async fn answers_to_an_allowed_origin_can_be_read_errors_included() {
    let api = api().await;
    let get = with(
        request(Method::GET, "/nothing"),
        "origin",
        "http://localhost:3000",
    );
    let answer = api.send(get).await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "http://localhost:3000"
    );
    assert!(
        answer
            .header("access-control-expose-headers")
            .contains("x-request-id")
    );
}

#[tokio::test]
async fn a_foreign_page_changes_nothing() {
    let api = api().await;
    api.pipeline("default.silver.a", "SELECT 1").await;
    let post = |origin: &str| {
        let post = json_request(
            Method::POST,
            "/api/v1/runs",
            &json!({"namespace": "default", "layer": "silver", "pipeline": "a"}),
        );
        with(with(post, "origin", origin), "host", "rat.localhost:8080")
    };
    for foreign in [
        "http://evil.example",
        "null",
        "http://rat.localhost",
        "http://rat.localhost:80801",
    ] {
        api.send(post(foreign)).await.refused(403, "FORBIDDEN");
    }
    for own in [
        "http://localhost:3000",
        "http://rat.localhost:8080",
        "https://rat.localhost:8080",
    ] {
        api.send(post(own)).await.expect(202);
    }
    let behind_proxy = with(
        post("https://public.example"),
        "sec-fetch-site",
        "same-origin",
    );
    api.send(behind_proxy).await.expect(202);
    assert_eq!(api.get("/api/v1/runs").await.expect(200)["total"], 4);
}

#[tokio::test]
async fn a_page_that_rebound_its_name_to_us_reads_nothing() {
    let setup = || Setup {
        configure: |config| {
            config.cors_origins = vec!["https://rat.example".to_owned()];
            config.listen_host = Some("lake.internal".to_owned());
        },
        ..Setup::default()
    };
    let open = setup().start().await;
    let get = |path: &str, host: &str| with(request(Method::GET, path), "host", host);
    let path = "/api/v1/namespaces";
    for known in [
        "127.0.0.1:8080",
        "localhost",
        "rat.example:8080",
        "lake.internal",
    ] {
        open.send(get(path, known)).await.expect(200);
    }
    let message = open
        .send(get(path, "evil.example:8080"))
        .await
        .refused(403, "FORBIDDEN");
    assert!(message.contains("server.cors_origins"), "{message}");
    let two = with(get(path, "localhost"), "host", "evil.example");
    open.send(two).await.refused(403, "FORBIDDEN");
    let absolute = with(
        request(Method::GET, "http://evil.example/api/v1/namespaces"),
        "host",
        "localhost",
    );
    open.send(absolute).await.refused(403, "FORBIDDEN");
    let iceberg = open.send(get("/iceberg/v1/config", "evil.example")).await;
    let error = iceberg.expect(403)["error"].clone();
    assert_eq!(error["type"], "ForbiddenException");
    assert_eq!(error["code"], 403);

    let mut socket = get(path, "evil.example");
    socket.extensions_mut().insert(Peer::Unix(None));
    open.send(socket).await.expect(200);
    let locked = Setup {
        key: Some("k"),
        ..setup()
    };
    let locked = locked.start().await;
    let with_key = with(get(path, "proxied.example"), "x-api-key", "k");
    locked.send(with_key).await.expect(200);
}

fn limited(config: &mut rat_api::Config) {
    let number = |n| NonZeroU32::new(n).unwrap();
    config.rate_limit = Some(RateLimit {
        requests_per_second: number(1),
        burst: number(3),
    });
    config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_when_to_come_back() {
    let api = Setup {
        configure: limited,
        ..Setup::default()
    }
    .start()
    .await;
    for left in ["2", "1", "0"] {
        let answer = api.get("/api/v1/namespaces").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-limit"), "3");
        assert_eq!(answer.header("ratelimit-remaining"), left);
    }
    let refused = api.get("/api/v1/namespaces").await;
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("ratelimit-remaining"), "0");
    refused.refused(429, "RESOURCE_EXHAUSTED");
    // Probes go on; somebody else too.
    assert_eq!(api.get("/health/live").await.status, 200);
    let mut other = request(Method::GET, "/api/v1/namespaces");
    other.extensions_mut().insert(peer([192, 0, 2, 7].into()));
    assert_eq!(api.send(other).await.status, 200);
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_forwarded_address_counts() {
    let api = Setup {
        configure: limited,
        ..Setup::default()
    }
    .start()
    .await;
    let from = |peer_address: [u8; 4], forwarded: &str| {
        let get = request(Method::GET, "/api/v1/namespaces");
        let mut get = with(get, "x-forwarded-for", forwarded);
        get.extensions_mut().insert(peer(peer_address.into()));
        get
    };
    for n in 0..6 {
        // Different callers behind one proxy.
        let status = api
            .send(from([10, 0, 0, 1], &format!("198.51.100.{n}")))
            .await
            .status;
        assert_eq!(status, 200);
    }
    let mut statuses = Vec::new();
    for n in 0..4 {
        // One caller that invents addresses: a stranger is not a proxy.
        statuses.push(
            api.send(from([203, 0, 113, 5], &format!("198.51.101.{n}")))
                .await
                .status
                .as_u16(),
        );
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
}

#[tokio::test]
async fn a_limit_that_is_off_limits_nothing() {
    let api = api().await;
    for _ in 0..500 {
        let answer = api.get("/api/v1/me").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("ratelimit-limit")),
            (200, "")
        );
    }
}
