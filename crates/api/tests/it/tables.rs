use serde_json::{Value, json};

use crate::support::{Api, api};

const TABLE: &str = "/api/v1/tables/default/bronze/orders";

/// An empty table, made as any Iceberg client makes it.
async fn create(api: &Api, layer: &str, name: &str) {
    let table = json!({
        "name": name,
        "schema": {"type": "struct", "fields": [
            {"id": 1, "name": "id", "required": true, "type": "long", "doc": "the key"},
            {"id": 2, "name": "price", "required": false, "type": "decimal(12, 2)"}]},
    });
    let path = format!("/iceberg/v1/namespaces/default%1F{layer}/tables");
    let answer = api.post(&path, table).await;
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
}

#[tokio::test]
async fn tables_are_listed_with_their_size() {
    let api = api().await;
    for (layer, name) in [("bronze", "orders"), ("bronze", "parts"), ("gold", "daily")] {
        create(&api, layer, name).await;
    }
    let list = api.get("/api/v1/tables").await.expect(200);
    assert_eq!(list["total"], 3);
    assert_eq!(
        list["tables"][0],
        json!({"namespace": "default", "layer": "bronze", "name": "orders", "row_count": 0,
               "size_bytes": 0, "description": ""})
    );
    assert_eq!(
        api.get("/api/v1/tables?layer=gold").await.expect(200)["total"],
        1
    );
    assert_eq!(
        api.get("/api/v1/tables?namespace=other").await.expect(200)["total"],
        0
    );
    let page = api.get("/api/v1/tables?limit=1&offset=1").await.expect(200);
    assert_eq!(
        (&page["total"], &page["tables"][0]["name"]),
        (&json!(3), &json!("parts"))
    );
    assert_eq!(page["tables"].as_array().unwrap().len(), 1);
    api.get("/api/v1/tables?layer=lead")
        .await
        .refused(400, "INVALID_ARGUMENT");

    let schema = api.get("/api/v1/schema?layer=gold").await.expect(200);
    assert_eq!(
        schema,
        json!({"tables": [{"namespace": "default", "layer": "gold", "name": "daily", "columns": [
            {"name": "id", "type": "BIGINT"}, {"name": "price", "type": "DECIMAL(12, 2)"}]}]})
    );
}

#[tokio::test]
async fn a_table_is_described_and_dropped() {
    let api = api().await;
    create(&api, "bronze", "orders").await;
    let got = api.get(TABLE).await.expect(200);
    assert_eq!(
        (&got["row_count"], &got["owner"]),
        (&json!(0), &json!("anonymous"))
    );
    assert_eq!(got["snapshot_id"], Value::Null);
    assert_eq!(
        got["columns"][0],
        json!({"name": "id", "type": "BIGINT", "nullable": false, "description": "the key"})
    );

    let path = format!("{TABLE}/metadata");
    let described = api
        .put(
            &path,
            json!({"description": "all orders", "column_descriptions": {"price": "in EUR"}}),
        )
        .await
        .expect(200);
    assert_eq!(described["columns"][1]["description"], "in EUR");
    let owned = api.put(&path, json!({"owner": "bob"})).await.expect(200);
    assert_eq!(
        (&owned["owner"], &owned["description"]),
        (&json!("bob"), &json!("all orders"))
    );
    assert_eq!(api.get(TABLE).await.expect(200), owned);
    let message = api
        .put(&path, json!({"column_descriptions": {"colour": "red"}}))
        .await
        .refused(400, "INVALID_ARGUMENT");
    assert!(message.contains("colour"), "{message}");
    api.put(&path, json!({"colour": "red"}))
        .await
        .refused(400, "INVALID_ARGUMENT");
    api.put(&path, json!({"description": "x".repeat(5001)}))
        .await
        .refused(400, "INVALID_ARGUMENT");

    api.delete(TABLE).await.expect(204);
    for answer in [
        api.get(TABLE).await,
        api.delete(TABLE).await,
        api.put(&path, json!({})).await,
        api.get(&format!("{TABLE}/preview")).await,
    ] {
        answer.refused(404, "NOT_FOUND");
    }
    // The name is free again, and so is its folder.
    create(&api, "bronze", "orders").await;
}

#[tokio::test]
async fn a_preview_is_a_query_on_the_table_alone() {
    let api = api().await;
    create(&api, "bronze", "orders").await;
    let preview = api.get(&format!("{TABLE}/preview")).await.expect(200);
    assert!(preview["columns"].is_array() && preview["rows"].is_array());
    let seen = api.ratq.last();
    assert_eq!(seen.sql, r#"SELECT * FROM "default"."bronze"."orders""#);
    assert_eq!(seen.limit, 50);
    api.get(&format!("{TABLE}/preview?limit=99999"))
        .await
        .expect(200);
    assert_eq!(api.ratq.last().limit, 1000);
    api.get(&format!("{TABLE}/preview?limit=0"))
        .await
        .refused(400, "INVALID_ARGUMENT");
    api.get("/api/v1/tables/default/lead/orders")
        .await
        .refused(400, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_damaged_table_does_not_hide_the_others() {
    let api = api().await;
    create(&api, "bronze", "orders").await;
    create(&api, "bronze", "parts").await;
    let pointer = api
        .store
        .tables()
        .get(&"default.bronze.orders".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let gone = pointer.metadata_location.replace("00000-", "99999-");
    let moved = api
        .store
        .tables()
        .compare_and_set(&pointer.ident, &pointer.metadata_location, &gone)
        .await
        .unwrap();
    assert!(moved);
    let list = api.get("/api/v1/tables").await.expect(200);
    assert_eq!(list["total"], 2);
    assert_eq!(list["tables"][0]["row_count"], Value::Null);
    assert_eq!(list["tables"][1]["row_count"], 0);
    let message = api.get(TABLE).await.refused(500, "INTERNAL");
    assert!(!message.contains("file:"), "{message}");
}
