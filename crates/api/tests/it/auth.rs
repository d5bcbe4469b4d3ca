use http::Method;
use rat_api::{Guard, ROUTES};
use serde_json::json;

use crate::support::{Api, Setup, json as json_request, request, with};

const KEY: &str = "correct-horse-battery-staple";

async fn locked() -> Api {
    Setup {
        key: Some(KEY),
        ..Setup::default()
    }
    .start()
    .await
}

#[tokio::test]
async fn the_key_opens_in_either_header() {
    let api = locked().await;
    for (name, value) in [
        ("authorization", format!("Bearer {KEY}")),
        ("x-api-key", KEY.to_owned()),
    ] {
        let me = api
            .send(with(request(Method::GET, "/api/v1/me"), name, &value))
            .await
            .expect(200);
        assert_eq!(
            (&me["user_id"], &me["roles"]),
            (&json!("api-key"), &json!(["admin"]))
        );
    }
}

#[tokio::test]
async fn nothing_but_the_key_opens() {
    let api = locked().await;
    for attack in [
        vec![],
        vec![("authorization", "Bearer".to_owned())],
        vec![("authorization", "Bearer ".to_owned())],
        vec![("authorization", "Bearer wrong".to_owned())],
        vec![("authorization", KEY.to_owned())],
        vec![("authorization", format!("Basic {KEY}"))],
        vec![("authorization", format!("Bearer {KEY}x"))],
        vec![("authorization", format!("Bearer {}", &KEY[1..]))],
        vec![("authorization", format!("Bearer {}", KEY.to_uppercase()))],
        vec![
            ("authorization", "Bearer wrong".to_owned()),
            ("x-api-key", KEY.to_owned()),
        ],
        vec![
            ("authorization", format!("Bearer {KEY}")),
            ("authorization", "Bearer x".to_owned()),
        ],
        vec![("x-api-key", "wrong".to_owned())],
        vec![("x-rat-user", "admin".to_owned())],
        vec![
            ("x-forwarded-user", "admin".to_owned()),
            ("x-rat-roles", "admin".to_owned()),
        ],
        vec![("cookie", format!("authorization=Bearer {KEY}"))],
        vec![(
            "authorization",
            format!("Bearer rat_query_{}", "0".repeat(64)),
        )],
        vec![(
            "authorization",
            format!("Bearer rat_run_{}", "0".repeat(64)),
        )],
    ] {
        let mut get = request(Method::GET, "/api/v1/me");
        for (name, value) in &attack {
            get = with(get, name, value);
        }
        let answer = api.send(get).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"rat\"");
        answer.refused(401, "UNAUTHENTICATED");
    }
    api.get(&format!("/api/v1/me?api_key={KEY}"))
        .await
        .refused(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_query_token_does_not_open_the_public_listener() {
    let api = locked().await;
    let token = api.tokens.mint(rat_types::Identity::api_key(), "").unwrap();
    let bearer = format!("Bearer {}", token.secret().expose());
    for path in ["/api/v1/me", "/iceberg/v1/config"] {
        let answer = api
            .send(with(request(Method::GET, path), "authorization", &bearer))
            .await;
        assert_eq!(answer.status, 401, "{path}");
    }
}

#[tokio::test]
async fn every_route_but_the_open_ones_needs_the_key() {
    let api = locked().await;
    for route in ROUTES {
        let path = route.path.replace("{*path}", "x").replace(['{', '}'], "");
        let answer = api
            .send(request(route.method.parse().unwrap(), &path))
            .await;
        match route.guard {
            Guard::Open => assert_ne!(answer.status, 401, "{path}"),
            _ => {
                answer.refused(401, "UNAUTHENTICATED");
            }
        }
    }
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/nothing",
        "/metrics",
        "/health/",
        "//health",
        "/health/live/",
        "/HEALTH",
        "/healthz",
        "/api/v1/../../health",
        "/iceberg",
        "/iceberg/v1/config",
        "/iceberg/v1/config?warehouse=rat",
    ] {
        assert_eq!(api.get(path).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn what_an_identity_creates_belongs_to_it() {
    let api = locked().await;
    let post = json_request(Method::POST, "/api/v1/namespaces", &json!({"name": "shop"}));
    let post = with(with(post, "x-api-key", KEY), "x-rat-user", "mallory");
    assert_eq!(api.send(post).await.expect(201)["created_by"], "api-key");
}
