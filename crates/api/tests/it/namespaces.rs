use serde_json::json;

use crate::support::api;

#[tokio::test]
async fn a_namespace_is_created_described_listed_and_deleted() {
    let api = api().await;
    let created = api
        .post(
            "/api/v1/namespaces",
            json!({"name": "shop", "description": "a shop"}),
        )
        .await
        .expect(201);
    assert_eq!(created["name"], "shop");
    assert_eq!(created["created_by"], "anonymous");
    let at = created["created_at"].as_str().unwrap();
    assert!(
        at.ends_with('Z') && at.len() == "2026-01-01T00:00:00.000000Z".len(),
        "{at}"
    );

    let update = api
        .put(
            "/api/v1/namespaces/shop",
            json!({"description": "our shop"}),
        )
        .await;
    assert_eq!(update.status, 204);
    assert!(update.body.is_empty());
    let got = api.get("/api/v1/namespaces/shop").await.expect(200);
    assert_eq!(got["description"], "our shop");

    let list = api.get("/api/v1/namespaces").await.expect(200);
    assert_eq!(list["total"], 2);
    assert_eq!(list["namespaces"][0]["name"], "default");
    let page = api
        .get("/api/v1/namespaces?limit=200&offset=1")
        .await
        .expect(200);
    assert_eq!(page["total"], 2);
    assert_eq!(page["namespaces"].as_array().unwrap().len(), 1);

    api.delete("/api/v1/namespaces/shop").await.expect(204);
    api.get("/api/v1/namespaces/shop")
        .await
        .refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn what_a_namespace_cannot_be_is_refused() {
    let api = api().await;
    api.post("/api/v1/namespaces", json!({"name": "default"}))
        .await
        .refused(409, "ALREADY_EXISTS");
    for name in ["", "A", "1a", "../a", "a b", "ü", &"x".repeat(64)] {
        let message = api
            .post("/api/v1/namespaces", json!({"name": name}))
            .await
            .refused(400, "INVALID_ARGUMENT");
        assert!(message.contains("name"), "{message}");
    }
    let long = "x".repeat(5001);
    let message = api
        .post(
            "/api/v1/namespaces",
            json!({"name": "a", "description": long}),
        )
        .await
        .refused(400, "INVALID_ARGUMENT");
    assert!(message.contains("description"), "{message}");
    api.put("/api/v1/namespaces/none", json!({"description": ""}))
        .await
        .refused(404, "NOT_FOUND");
    api.delete("/api/v1/namespaces/none")
        .await
        .refused(404, "NOT_FOUND");
    api.delete("/api/v1/namespaces/NONE")
        .await
        .refused(400, "INVALID_ARGUMENT");
    api.delete("/api/v1/namespaces/default")
        .await
        .refused(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_namespace_in_use_stays() {
    let api = api().await;
    api.post("/api/v1/namespaces", json!({"name": "shop"}))
        .await
        .expect(201);
    api.pipeline("shop.bronze.orders", "SELECT 1").await;
    let message = api
        .delete("/api/v1/namespaces/shop")
        .await
        .refused(409, "CONFLICT");
    assert!(message.contains("1 pipeline"), "{message}");
}
