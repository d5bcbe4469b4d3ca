use http::Method;
use rat_iceberg::snapshot::SnapshotProducer;
use serde_json::{Value, json};

use crate::support::{
    Lake, add_snapshot, data_file, ident, lakes, path, run, run_id, schema_json, set_ref, user,
};

const TABLE: &str = "default.gold.t";
const TABLES: &str = "/v1/namespaces/default%1Fgold/tables";

/// What a client sends to end a create transaction that began with `staged`.
fn creation(staged: &Value) -> Vec<Value> {
    let metadata = &staged["metadata"];
    // Left out where there are none.
    let properties = metadata.get("properties").cloned().unwrap_or(json!({}));
    vec![
        json!({"action": "assign-uuid", "uuid": metadata["table-uuid"]}),
        json!({"action": "upgrade-format-version", "format-version": metadata["format-version"]}),
        json!({"action": "add-schema", "schema": metadata["schemas"][0]}),
        json!({"action": "set-current-schema", "schema-id": -1}),
        json!({"action": "add-spec", "spec": metadata["partition-specs"][0]}),
        json!({"action": "set-default-spec", "spec-id": -1}),
        json!({"action": "add-sort-order", "sort-order": metadata["sort-orders"][0]}),
        json!({"action": "set-default-sort-order", "sort-order-id": -1}),
        json!({"action": "set-location", "location": metadata["location"]}),
        json!({"action": "set-properties", "updates": properties}),
    ]
}

#[tokio::test]
async fn a_staged_creation_is_seen_when_it_is_committed() {
    for lake in lakes().await {
        let body = json!({"name": "t", "stage-create": true, "properties": {"team": "a"},
            "schema": {"type": "struct", "fields": [
                {"id": 5, "name": "id", "required": false, "type": "long"},
                {"id": 6, "name": "day", "required": false, "type": "date"}]},
            "partition-spec": {"fields": [
                {"source-id": 6, "name": "day_month", "transform": "month"}]},
            "write-order": {"order-id": 1, "fields": [{"source-id": 5, "transform": "identity",
                "direction": "asc", "null-order": "nulls-first"}]}});
        let staged = lake.post(TABLES, body.clone()).await.ok();
        assert_eq!(staged["metadata-location"], json!(null));
        assert!(lake.files(TABLE).is_empty(), "nothing is written");
        lake.get(&path(TABLE))
            .await
            .fails(404, "NoSuchTableException");

        let require = json!([{"type": "assert-create"}]);
        let created = lake
            .commit(&user(), TABLE, require.clone(), json!(creation(&staged)))
            .await;
        let created = created.ok()["metadata"].clone();
        for field in [
            "table-uuid",
            "location",
            "schemas",
            "partition-specs",
            "sort-orders",
            "properties",
            "default-spec-id",
            "default-sort-order-id",
            "last-column-id",
            "last-partition-id",
            "current-schema-id",
            "format-version",
        ] {
            assert_eq!(created[field], staged["metadata"][field], "{field}");
        }
        let again = lake
            .commit(&user(), TABLE, require, json!(creation(&staged)))
            .await;
        again.fails(409, "CommitFailedException");
        lake.post(TABLES, body)
            .await
            .fails(409, "AlreadyExistsException");
    }
}

#[tokio::test]
async fn a_table_can_be_created_with_its_first_rows() {
    let lake = Lake::new().await;
    let body = json!({"name": "t", "stage-create": true, "schema": schema_json()});
    let staged = lake.post(TABLES, body).await.ok();
    let metadata = serde_json::from_value(staged["metadata"].clone()).unwrap();
    let file = data_file(
        &format!(
            "{}/data/a",
            staged["metadata"]["location"].as_str().unwrap()
        ),
        5,
    );
    let mut producer = SnapshotProducer::append(lake.io(), vec![file]);
    let snapshot = producer.produce(&metadata, None).await.unwrap();
    let mut updates = creation(&staged);
    updates.extend([
        add_snapshot(&snapshot),
        set_ref("main", snapshot.snapshot_id()),
    ]);
    let require = json!([{"type": "assert-create"}]);
    lake.commit(&user(), TABLE, require, json!(updates))
        .await
        .ok();
    assert_eq!(
        lake.catalog
            .table_summary(&ident(TABLE))
            .await
            .unwrap()
            .row_count,
        5
    );
}

#[tokio::test]
async fn a_creation_that_makes_no_sense_is_refused() {
    let lake = Lake::new().await;
    let body = json!({"name": "t", "stage-create": true, "schema": schema_json()});
    let staged = lake.post(TABLES, body).await.ok();
    let require = json!([{"type": "assert-create"}]);
    let replace = |index: usize, update: Value| {
        let mut updates = creation(&staged);
        updates[index] = update;
        json!(updates)
    };
    for updates in [
        json!([]),
        json!([{"action": "set-properties", "updates": {"a": "b"}}]),
        replace(
            1,
            json!({"action": "upgrade-format-version", "format-version": 3}),
        ),
        replace(3, json!({"action": "set-current-schema", "schema-id": 4})),
        replace(
            4,
            json!({"action": "add-spec", "spec": {"fields": [
            {"source-id": 44, "name": "x", "transform": "identity"}]}}),
        ),
        replace(
            8,
            json!({"action": "set-location", "location": "file:///tmp"}),
        ),
        replace(
            9,
            json!({"action": "set-properties", "updates": {"write.data.path": "/tmp"}}),
        ),
    ] {
        let answer = lake.commit(&user(), TABLE, require.clone(), updates).await;
        answer.fails(400, "BadRequestException");
    }
    let elsewhere = "none.gold.t";
    lake.commit(&user(), elsewhere, require, json!(creation(&staged)))
        .await
        .fails(404, "NoSuchNamespaceException");
    assert!(lake.files(TABLE).is_empty());
}

#[tokio::test]
async fn a_table_of_a_run_is_seen_by_that_run_alone() {
    for lake in lakes().await {
        let (mine, other) = (run(run_id(1), TABLE, &[]), run(run_id(2), TABLE, &[]));
        let reader = run(run_id(3), "default.gold.u", &[TABLE]);
        let created = lake.create(&mine, TABLE).await.ok();
        assert!(created["metadata-location"].is_string());
        assert_eq!(lake.load(&mine, TABLE).await.ok(), created);
        assert_eq!(
            lake.call(&mine, Method::HEAD, &path(TABLE), None)
                .await
                .status,
            204
        );
        for caller in [user(), other.clone(), reader] {
            lake.load(&caller, TABLE)
                .await
                .fails(404, "NoSuchTableException");
        }
        assert_eq!(lake.get(TABLES).await.ok()["identifiers"], json!([]));
        lake.create(&mine, TABLE)
            .await
            .fails(409, "AlreadyExistsException");
        // Another run of the same table does not get in the way.
        let theirs = lake.create(&other, TABLE).await.ok();
        assert_ne!(theirs["metadata-location"], created["metadata-location"]);
        // Nor does a user, and then the run's table is only the run's.
        lake.create(&user(), TABLE).await.ok();
        assert_eq!(lake.load(&mine, TABLE).await.ok(), created);
        assert_eq!(lake.catalog.run_branches().await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_run_creates_its_own_table_and_only_if_there_is_none() {
    let lake = Lake::new().await;
    let mine = run(run_id(1), TABLE, &["default.gold.u"]);
    for other in ["default.gold.u", "default.silver.t"] {
        lake.create(&mine, other)
            .await
            .fails(403, "ForbiddenException");
    }
    let staged = json!({"name": "t", "schema": schema_json(), "stage-create": true});
    lake.call(&mine, Method::POST, TABLES, Some(staged))
        .await
        .fails(400, "BadRequestException");
    let old = json!({"name": "t", "schema": schema_json(), "properties": {"format-version": "1"}});
    lake.call(&mine, Method::POST, TABLES, Some(old))
        .await
        .fails(400, "BadRequestException");
    let by_commit = json!([{"action": "add-schema", "schema": schema_json()}]);
    lake.commit(&mine, TABLE, json!([{"type": "assert-create"}]), by_commit)
        .await
        .fails(403, "ForbiddenException");
    lake.create(&user(), TABLE).await.ok();
    lake.create(&mine, TABLE)
        .await
        .fails(409, "AlreadyExistsException");
}
