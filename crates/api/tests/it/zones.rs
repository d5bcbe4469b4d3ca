use serde_json::{Value, json};

use crate::support::api;

const ZONE: &str = "/api/v1/landing-zones/default/raw";

#[tokio::test]
async fn a_zone_is_created_changed_listed_and_deleted() {
    let api = api().await;
    let created = api
        .post(
            "/api/v1/landing-zones",
            json!({"namespace": "default", "name": "raw", "description": "as it comes"}),
        )
        .await
        .expect(201);
    assert_eq!(created["owner"], "anonymous");
    assert_eq!(
        (&created["file_count"], &created["total_bytes"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(created["processed_max_age_days"], Value::Null);

    let changed = api
        .put(ZONE, json!({"expected_schema": "id int", "owner": "bob"}))
        .await
        .expect(200);
    assert_eq!(changed["expected_schema"], "id int");
    assert_eq!(changed["description"], "as it comes");
    assert_eq!(api.get(ZONE).await.expect(200), changed);

    let list = api
        .get("/api/v1/landing-zones?namespace=default")
        .await
        .expect(200);
    assert_eq!(list["total"], 1);
    assert_eq!(list["zones"][0]["name"], "raw");
    assert_eq!(
        api.get("/api/v1/landing-zones?namespace=no")
            .await
            .expect(200)["total"],
        0
    );

    api.delete(ZONE).await.expect(204);
    api.get(ZONE).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn what_a_zone_cannot_be_is_refused() {
    let api = api().await;
    let zone = json!({"namespace": "default", "name": "raw"});
    api.post("/api/v1/landing-zones", zone.clone())
        .await
        .expect(201);
    api.post("/api/v1/landing-zones", zone)
        .await
        .refused(409, "ALREADY_EXISTS");
    api.post(
        "/api/v1/landing-zones",
        json!({"namespace": "no", "name": "raw"}),
    )
    .await
    .refused(404, "NOT_FOUND");
    for name in ["", "A", "../x", "a/b", "_samples"] {
        api.post(
            "/api/v1/landing-zones",
            json!({"namespace": "default", "name": name}),
        )
        .await
        .refused(400, "INVALID_ARGUMENT");
    }
    let none = "/api/v1/landing-zones/default/none";
    api.get(none).await.refused(404, "NOT_FOUND");
    api.put(none, json!({"description": "x"}))
        .await
        .refused(404, "NOT_FOUND");
    api.put(ZONE, json!({"name": "x"}))
        .await
        .refused(400, "INVALID_ARGUMENT");
    api.delete(none).await.refused(404, "NOT_FOUND");
    api.get(&format!("{none}/files"))
        .await
        .refused(404, "NOT_FOUND");
    api.get(&format!("{ZONE}/files/none"))
        .await
        .refused(404, "NOT_FOUND");
    api.delete(&format!("{ZONE}/files/{}", "x".repeat(300)))
        .await
        .refused(404, "NOT_FOUND");
    api.get("/api/v1/landing-zones/default/RAW")
        .await
        .refused(400, "INVALID_ARGUMENT");
}
