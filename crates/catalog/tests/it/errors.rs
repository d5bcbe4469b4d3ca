use axum::body::Body;
use http::{Method, Request};
use serde_json::json;

use crate::support::{Lake, query, run, run_id, user};

#[tokio::test]
async fn without_a_caller_nothing_is_answered() {
    let lake = Lake::new().await;
    for (method, path) in [
        ("GET", "/v1/config"),
        ("GET", "/v1/namespaces"),
        ("POST", "/v1/namespaces"),
        ("GET", "/v1/namespaces/default%1Fgold/tables/t"),
        ("POST", "/v1/namespaces/default%1Fgold/tables/t"),
        ("POST", "/v1/namespaces/default%1Fgold/tables/t/metrics"),
        ("POST", "/v1/tables/rename"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        lake.send(None, request)
            .await
            .fails(401, "NotAuthorizedException");
    }
}

#[tokio::test]
async fn what_no_handler_sees_has_the_body_of_the_specification_too() {
    let lake = Lake::new().await;
    lake.get("/v1/nothing")
        .await
        .fails(404, "NotFoundException");
    lake.get("/").await.fails(404, "NotFoundException");
    lake.get("/v1/namespaces/")
        .await
        .fails(404, "NotFoundException");
    lake.call(&user(), Method::PUT, "/v1/namespaces", None)
        .await
        .fails(405, "MethodNotAllowedException");
    lake.delete("/v1/config")
        .await
        .fails(405, "MethodNotAllowedException");
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"namespace\": \"a\"}",
        "{\"namespace\": [\"a\"], \"x\": 1}",
    ] {
        let request = Request::post("/v1/namespaces")
            .body(Body::from(body))
            .unwrap();
        let message = lake
            .send(Some(user()), request)
            .await
            .fails(400, "BadRequestException");
        assert!(message.starts_with("request body:"), "{message}");
    }
    let long = Body::from(vec![b' '; 17 * 1024 * 1024]);
    let request = Request::post("/v1/namespaces").body(long).unwrap();
    lake.send(Some(user()), request)
        .await
        .fails(413, "PayloadTooLargeException");
    lake.get("/v1/namespaces/%ff")
        .await
        .fails(400, "BadRequestException");
}

#[tokio::test]
async fn what_is_not_offered_is_refused_by_name() {
    let lake = Lake::new().await;
    for (path, what) in [
        ("/v1/tables/rename", "renaming"),
        ("/v1/transactions/commit", "transaction"),
        ("/v1/namespaces/default%1Fgold/register", "registering"),
        ("/v1/namespaces/default%1Fgold/tables/t/plan", "planning"),
        (
            "/v1/namespaces/default%1Fgold/tables/t/credentials",
            "credentials",
        ),
        ("/v1/namespaces/default%1Fgold/views", "view"),
        ("/v1/namespaces/default%1Fgold/views/v", "view"),
        ("/v1/oauth/tokens", "token"),
    ] {
        let message = lake
            .post(path, json!({}))
            .await
            .fails(501, "UnsupportedOperationException");
        assert!(message.contains(what), "{message}");
    }
}

#[tokio::test]
async fn the_configuration_lists_what_is_offered() {
    let lake = Lake::new().await;
    let root = lake.catalog.warehouse().location().to_owned();
    for query in [
        "",
        "?warehouse=rat",
        "?warehouse=",
        &format!("?warehouse={root}/"),
    ] {
        let config = lake.get(&format!("/v1/config{query}")).await.ok();
        assert_eq!(config["overrides"], json!({}));
        assert_eq!(config["defaults"], json!({}));
        let endpoints = config["endpoints"].as_array().unwrap();
        assert!(endpoints.contains(&json!(
            "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}"
        )));
        assert!(
            !endpoints
                .iter()
                .any(|endpoint| endpoint.as_str().unwrap().contains("view"))
        );
    }
    lake.get("/v1/config?warehouse=other")
        .await
        .fails(404, "NoSuchWarehouseException");
    for caller in [query(), run(run_id(1), "default.gold.t", &[])] {
        lake.call(&caller, Method::GET, "/v1/config", None)
            .await
            .ok();
    }
}

#[tokio::test]
async fn a_database_that_is_gone_is_the_server_s_fault_and_names_no_details() {
    let lake = Lake::new().await;
    lake.create(&user(), "default.gold.t").await.ok();
    lake.store.close().await;
    for answer in [
        lake.get("/v1/namespaces").await,
        lake.load(&user(), "default.gold.t").await,
        lake.commit(&user(), "default.gold.t", json!([]), json!([]))
            .await,
    ] {
        assert!(answer.status.is_server_error(), "{}", answer.status);
        assert_eq!(answer.json["error"]["code"], answer.status.as_u16());
        assert!(!answer.text.contains("SELECT"), "{}", answer.text);
    }
}
