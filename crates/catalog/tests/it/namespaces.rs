use http::Method;
use serde_json::json;

use crate::support::{Lake, lakes, query, run, run_id, user};

#[tokio::test]
async fn a_namespace_has_its_three_layers_and_nothing_else() {
    for lake in lakes().await {
        let created = lake
            .post(
                "/v1/namespaces",
                json!({"namespace": ["shop"], "properties": {"team": "a"}}),
            )
            .await
            .ok();
        assert_eq!(created["namespace"], json!(["shop"]));
        assert_eq!(created["properties"]["team"], "a");
        assert_eq!(created["properties"]["owner"], "anonymous");

        let top = lake.get("/v1/namespaces").await.ok();
        assert_eq!(top["namespaces"], json!([["default"], ["shop"]]));
        assert_eq!(
            lake.get("/v1/namespaces?parent=").await.ok(),
            top,
            "empty means none"
        );
        let layers = lake.get("/v1/namespaces?parent=shop").await.ok();
        assert_eq!(
            layers["namespaces"],
            json!([["shop", "bronze"], ["shop", "silver"], ["shop", "gold"]])
        );
        let below = lake.get("/v1/namespaces?parent=shop%1Fgold").await.ok();
        assert_eq!(below["namespaces"], json!([]));
        lake.get("/v1/namespaces?parent=none")
            .await
            .fails(404, "NoSuchNamespaceException");

        for (name, status) in [
            ("shop", 204),
            ("shop%1Fgold", 204),
            ("shop%1Ftin", 404),
            ("no", 404),
            ("S", 404),
        ] {
            let answer = lake.head(&format!("/v1/namespaces/{name}")).await;
            assert_eq!(answer.status, status, "{name}");
            let status = if status == 204 { 200 } else { 404 };
            assert_eq!(
                lake.get(&format!("/v1/namespaces/{name}")).await.status,
                status,
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn creating_a_layer_creates_its_namespace() {
    let lake = Lake::new().await;
    let body = json!({"namespace": ["shop", "silver"], "properties": {"k": "v"}});
    let created = lake.post("/v1/namespaces", body.clone()).await.ok();
    assert_eq!(created["properties"]["k"], "v");
    assert!(
        created["properties"]["location"]
            .as_str()
            .unwrap()
            .ends_with("/lake/shop/silver")
    );
    lake.get("/v1/namespaces/shop").await.ok();
    for namespace in [
        json!(["shop"]),
        json!(["shop", "silver"]),
        json!(["shop", "gold"]),
    ] {
        lake.post("/v1/namespaces", json!({"namespace": namespace}))
            .await
            .fails(409, "AlreadyExistsException");
    }
}

#[tokio::test]
async fn names_that_cannot_be_are_refused_with_the_rule() {
    let lake = Lake::new().await;
    for (namespace, rule) in [
        (json!([]), "one level"),
        (json!(["a", "gold", "b"]), "one level"),
        (json!(["a", "platinum"]), "bronze, silver or gold"),
        (json!(["Shop"]), "start with a letter"),
        (json!([".."]), "start with a letter"),
        (json!(["a/b"]), "start with a letter"),
        (json!([""]), "start with a letter"),
        (json!(["x".repeat(64)]), "63 characters"),
    ] {
        let answer = lake
            .post("/v1/namespaces", json!({"namespace": namespace}))
            .await;
        let message = answer.fails(400, "BadRequestException");
        assert!(message.contains(rule), "{namespace}: {message}");
    }
}

#[tokio::test]
async fn properties_are_set_and_removed() {
    for lake in lakes().await {
        lake.post(
            "/v1/namespaces",
            json!({"namespace": ["shop"], "properties": {"a": "1"}}),
        )
        .await
        .ok();
        let path = "/v1/namespaces/shop/properties";
        let body = json!({"removals": ["a", "z"], "updates": {"b": "2", "comment": "Our shop"}});
        let changes = lake.post(path, body).await.ok();
        assert_eq!(
            changes,
            json!({"updated": ["b", "comment"], "removed": ["a"], "missing": ["z"]})
        );
        let properties = lake.get("/v1/namespaces/shop").await.ok()["properties"].clone();
        assert_eq!(properties["b"], "2");
        assert_eq!(properties["comment"], "Our shop");
        assert!(properties.get("a").is_none());
        let changes = lake.post(path, json!({"removals": ["comment"]})).await.ok();
        assert_eq!(
            changes,
            json!({"updated": [], "removed": ["comment"], "missing": []})
        );
        let shop = lake.get("/v1/namespaces/shop").await.ok();
        assert!(shop["properties"].get("comment").is_none());

        let both = json!({"removals": ["b"], "updates": {"b": "3"}});
        lake.post(path, both)
            .await
            .fails(422, "UnprocessableEntityException");
        for key in ["owner", "location"] {
            let body = json!({"updates": {key: "x"}});
            lake.post(path, body)
                .await
                .fails(400, "BadRequestException");
            lake.post(path, json!({"removals": [key]}))
                .await
                .fails(400, "BadRequestException");
        }
        lake.post(path, json!({"updates": {"x".repeat(300): "x"}}))
            .await
            .fails(400, "BadRequestException");
        lake.post("/v1/namespaces/none/properties", json!({}))
            .await
            .fails(404, "NoSuchNamespaceException");
    }
}

#[tokio::test]
async fn only_an_empty_namespace_is_dropped() {
    for lake in lakes().await {
        lake.post("/v1/namespaces", json!({"namespace": ["shop"]}))
            .await
            .ok();
        lake.create(&user(), "shop.gold.daily").await.ok();
        lake.delete("/v1/namespaces/shop")
            .await
            .fails(409, "NamespaceNotEmptyException");
        lake.delete("/v1/namespaces/shop%1Fgold")
            .await
            .fails(409, "NamespaceNotEmptyException");
        assert_eq!(
            lake.delete("/v1/namespaces/shop%1Fbronze").await.status,
            204
        );
        lake.delete("/v1/namespaces/shop%1Fgold/tables/daily")
            .await
            .ok();
        assert_eq!(lake.delete("/v1/namespaces/shop%1Fgold").await.status, 204);
        assert_eq!(lake.delete("/v1/namespaces/shop").await.status, 204);
        lake.delete("/v1/namespaces/shop")
            .await
            .fails(404, "NoSuchNamespaceException");
        lake.delete("/v1/namespaces/default")
            .await
            .fails(403, "ForbiddenException");
    }
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let lake = Lake::new().await;
    for name in ["a", "b", "c"] {
        lake.post("/v1/namespaces", json!({"namespace": [name]}))
            .await
            .ok();
    }
    let page = lake.get("/v1/namespaces?pageSize=3").await.ok();
    assert_eq!(page["namespaces"], json!([["a"], ["b"], ["c"]]));
    let token = page["next-page-token"].as_str().unwrap().to_owned();
    let page = lake
        .get(&format!("/v1/namespaces?pageSize=3&pageToken={token}"))
        .await
        .ok();
    assert_eq!(page["namespaces"], json!([["default"]]));
    assert_eq!(page["next-page-token"], json!(null));
    lake.get("/v1/namespaces?pageSize=many")
        .await
        .fails(400, "BadRequestException");
}

#[tokio::test]
async fn runs_and_queries_change_no_namespace() {
    let lake = Lake::new().await;
    for caller in [query(), run(run_id(1), "default.gold.daily", &[])] {
        for (method, path, body) in [
            (Method::POST, "/v1/namespaces", json!({"namespace": ["x"]})),
            (Method::DELETE, "/v1/namespaces/default", json!(null)),
            (
                Method::POST,
                "/v1/namespaces/default/properties",
                json!({"updates": {"a": "b"}}),
            ),
        ] {
            let answer = lake.call(&caller, method, path, Some(body)).await;
            answer.fails(403, "ForbiddenException");
        }
    }
    let lists = [
        "/v1/namespaces",
        "/v1/namespaces/default",
        "/v1/namespaces/default%1Fgold/tables",
    ];
    for path in lists {
        lake.call(&query(), Method::GET, path, None).await.ok();
        let run = run(run_id(1), "default.gold.daily", &[]);
        lake.call(&run, Method::GET, path, None)
            .await
            .fails(403, "ForbiddenException");
    }
}
