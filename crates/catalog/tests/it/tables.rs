use axum::body::Body;
use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::support::{Lake, ident, lakes, path, query, run, run_id, schema_json, set_ref, user};

const TABLES: &str = "/v1/namespaces/default%1Fgold/tables";

#[tokio::test]
async fn a_table_is_created_listed_loaded_and_dropped() {
    for lake in lakes().await {
        let created = lake.create(&user(), "default.gold.daily").await.ok();
        let location = created["metadata"]["location"].as_str().unwrap();
        assert!(location.starts_with("file:///") && location.ends_with("/lake/default/gold/daily"));
        let file = created["metadata-location"].as_str().unwrap();
        assert!(
            file.starts_with(&format!("{location}/metadata/00000-")),
            "{file}"
        );
        assert_eq!(created["metadata"]["format-version"], 2);
        assert_eq!(created["config"], json!({}));

        assert_eq!(lake.get(&path("default.gold.daily")).await.ok(), created);
        assert_eq!(lake.head(&path("default.gold.daily")).await.status, 204);
        let list = lake.get(TABLES).await.ok();
        assert_eq!(
            list["identifiers"],
            json!([{"namespace": ["default", "gold"], "name": "daily"}])
        );
        assert_eq!(
            lake.get("/v1/namespaces/default/tables").await.ok()["identifiers"],
            json!([])
        );
        let owner = lake
            .store
            .table_metadata()
            .get(&ident("default.gold.daily"))
            .await
            .unwrap();
        assert_eq!(owner.unwrap().owner, "anonymous");

        assert_eq!(lake.delete(&path("default.gold.daily")).await.status, 204);
        assert_eq!(lake.files("default.gold.daily").len(), 1, "not purged");
        lake.get(&path("default.gold.daily"))
            .await
            .fails(404, "NoSuchTableException");
        assert_eq!(lake.head(&path("default.gold.daily")).await.status, 404);
        lake.delete(&path("default.gold.daily"))
            .await
            .fails(404, "NoSuchTableException");
    }
}

#[tokio::test]
async fn purging_deletes_the_folder() {
    let lake = Lake::new().await;
    let table = "default.gold.daily";
    for spelling in ["true", "True"] {
        lake.create(&user(), table).await.ok();
        lake.append(table, &format!("a-{spelling}"), 1).await;
        lake.create(&user(), "default.gold.daily2").await;
        let query = format!("{}?purgeRequested={spelling}", path(table));
        assert_eq!(lake.delete(&query).await.status, 204);
        assert!(!lake.folder_exists(table));
        assert!(
            lake.folder_exists("default.gold.daily2"),
            "a table whose name begins alike"
        );
    }
    let odd = format!("{}?purgeRequested=perhaps", path(table));
    lake.delete(&odd).await.fails(400, "BadRequestException");
}

#[tokio::test]
async fn purging_waits_for_a_run_that_creates_the_table() {
    let lake = Lake::new().await;
    let table = "default.gold.daily";
    lake.create(&run(run_id(1), table, &[]), table).await.ok();
    lake.create(&user(), table).await.ok();
    let purge = format!("{}?purgeRequested=true", path(table));
    lake.delete(&purge)
        .await
        .fails(409, "CommitFailedException");
    lake.catalog
        .discard(run_id(1), &ident(table))
        .await
        .unwrap();
    assert_eq!(lake.delete(&purge).await.status, 204);
}

#[tokio::test]
async fn creating_refuses_what_the_catalog_does_not_keep() {
    let lake = Lake::new().await;
    let with = |key: &str, value: Value| {
        let mut body = json!({"name": "t", "schema": schema_json()});
        body[key] = value;
        body
    };
    let nested = |levels: i64| {
        let list = |id: i64, element: Value| json!({"type": "list", "element-id": id, "element-required": false, "element": element});
        let column = (2..levels + 2).fold(json!("long"), |inner, id| list(id, inner));
        json!({"type": "struct", "fields": [
            {"id": 1, "name": "deep", "required": false, "type": column}]})
    };
    let schema = |field_type: &str| {
        json!({"type": "struct", "fields": [
            {"id": 1, "name": "at", "required": false, "type": field_type}]})
    };
    for (body, named) in [
        (with("name", json!("Daily")), "start with a letter"),
        (with("name", json!("../etc")), "start with a letter"),
        (with("location", json!("file:///etc")), "cannot be chosen"),
        (
            with("properties", json!({"format-version": "3"})),
            "format version",
        ),
        (
            with("properties", json!({"write.data.path": "file:///tmp"})),
            "write.data.path",
        ),
        (
            with(
                "properties",
                json!({"write.metadata.compression-codec": "zstd"}),
            ),
            "zstd",
        ),
        (with("properties", json!({"uuid": "x"})), "reserved"),
        (with("schema", schema("timestamp_ns")), "nanoseconds"),
        (with("schema", nested(40)), "levels deep"),
        (with("schema", schema("varint")), "request body"),
        (with("moon", json!("full")), "moon"),
        (json!({"name": "t"}), "schema"),
    ] {
        let message = lake
            .post(TABLES, body)
            .await
            .fails(400, "BadRequestException");
        assert!(message.contains(named), "{named}: {message}");
    }
    let body = json!({"name": "t", "schema": schema_json()});
    lake.post("/v1/namespaces/default/tables", body.clone())
        .await
        .fails(400, "BadRequestException");
    let elsewhere = "/v1/namespaces/none%1Fgold/tables";
    lake.post(elsewhere, body.clone())
        .await
        .fails(404, "NoSuchNamespaceException");
    lake.post("/v1/namespaces/default%1Ftin/tables", body)
        .await
        .fails(404, "NoSuchNamespaceException");
    assert!(
        lake.files("default.gold.t").is_empty(),
        "nothing was written"
    );
}

#[tokio::test]
async fn a_table_exists_once() {
    for lake in lakes().await {
        lake.create(&user(), "default.gold.t").await.ok();
        lake.create(&user(), "default.gold.t")
            .await
            .fails(409, "AlreadyExistsException");
        assert_eq!(
            lake.files("default.gold.t").len(),
            1,
            "no second metadata file"
        );
        lake.create(&user(), "default.silver.t").await.ok();
    }
}

#[tokio::test]
async fn formats_one_and_two_partitions_and_orders_are_kept() {
    let lake = Lake::new().await;
    let body = json!({
        "name": "t",
        "schema": {"type": "struct", "fields": [
            {"id": 7, "name": "id", "required": true, "type": "long"},
            {"id": 9, "name": "day", "required": false, "type": "date"}]},
        "partition-spec": {"spec-id": 3, "fields": [
            {"source-id": 9, "field-id": 1000, "name": "day_month", "transform": "month"}]},
        "write-order": {"order-id": 4, "fields": [
            {"source-id": 7, "transform": "identity", "direction": "asc", "null-order": "nulls-first"}]},
        "properties": {"format-version": "1", "team": "a"},
        "stage-create": false,
    });
    let metadata = lake.post(TABLES, body).await.ok()["metadata"].clone();
    assert_eq!(metadata["format-version"], 1);
    assert_eq!(metadata["properties"]["team"], "a");
    assert!(metadata["properties"].get("format-version").is_none());
    let table = lake.metadata("default.gold.t").await;
    let names: Vec<_> = table
        .current_schema()
        .as_struct()
        .fields()
        .iter()
        .map(|f| (f.id, f.name.clone()))
        .collect();
    assert_eq!(
        names,
        [(1, "id".to_owned()), (2, "day".to_owned())],
        "ids are given anew"
    );
    assert_eq!(table.default_partition_spec().fields()[0].source_id, 2);
    assert_eq!(table.default_sort_order().fields[0].source_id, 1);
    // Version 1 has no branches, and says so.
    let updates = json!([set_ref("other", 1)]);
    let answer = lake
        .commit(&user(), "default.gold.t", json!([]), updates)
        .await;
    assert!(
        answer
            .fails(400, "BadRequestException")
            .contains("version 1")
    );
}

#[tokio::test]
async fn compressed_metadata_is_readable() {
    let lake = Lake::new().await;
    let properties = json!({"write.metadata.compression-codec": "gzip"});
    let body = json!({"name": "t", "schema": schema_json(), "properties": properties});
    let created = lake.post(TABLES, body).await.ok();
    assert!(
        created["metadata-location"]
            .as_str()
            .unwrap()
            .ends_with(".gz.metadata.json")
    );
    lake.append("default.gold.t", "a", 3).await;
    assert_eq!(lake.metadata("default.gold.t").await.snapshots().len(), 1);
}

#[tokio::test]
async fn unchanged_metadata_is_not_sent_again() {
    let lake = Lake::new().await;
    let table = "default.gold.t";
    let tag = lake.create(&user(), table).await.headers[header::ETAG].clone();
    let load = |tag: &header::HeaderValue, query: &str| {
        let uri = format!("{}{query}", path(table));
        Request::get(uri)
            .header(header::IF_NONE_MATCH, tag)
            .body(Body::empty())
            .unwrap()
    };
    let answer = lake.send(Some(user()), load(&tag, "")).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (304, ""));
    assert_eq!(answer.headers[header::ETAG], tag);
    let refs = lake.send(Some(user()), load(&tag, "?snapshots=refs")).await;
    assert_eq!(refs.status, 200, "another variant has another tag");
    lake.append(table, "a", 1).await;
    let answer = lake.send(Some(user()), load(&tag, "")).await;
    assert_eq!(answer.status, 200);
    assert_ne!(answer.headers[header::ETAG], tag);
}

#[tokio::test]
async fn only_snapshots_with_a_name_are_sent_if_that_is_asked_for() {
    let lake = Lake::new().await;
    let table = "default.gold.t";
    lake.create(&user(), table).await.ok();
    for name in ["a", "b", "c"] {
        lake.append(table, name, 1).await;
    }
    let all = lake
        .get(&format!("{}?snapshots=all", path(table)))
        .await
        .ok();
    assert_eq!(all["metadata"]["snapshots"].as_array().unwrap().len(), 3);
    let some = lake
        .get(&format!("{}?snapshots=refs", path(table)))
        .await
        .ok();
    let snapshots = some["metadata"]["snapshots"].as_array().unwrap();
    assert_eq!(snapshots.len(), 1);
    assert_eq!(
        snapshots[0]["snapshot-id"],
        all["metadata"]["current-snapshot-id"]
    );
    let odd = format!("{}?snapshots=some", path(table));
    lake.get(&odd).await.fails(400, "BadRequestException");
}

#[tokio::test]
async fn metrics_are_taken_and_forgotten() {
    let lake = Lake::new().await;
    lake.create(&user(), "default.gold.t").await.ok();
    let path = format!("{}/metrics", path("default.gold.t"));
    assert_eq!(
        lake.post(&path, json!({"report-type": "scan-report"}))
            .await
            .status,
        204
    );
    let caller = run(run_id(1), "default.gold.other", &[]);
    lake.call(&caller, Method::POST, &path, None)
        .await
        .fails(403, "ForbiddenException");
}

#[tokio::test]
async fn a_query_reads_and_writes_nothing() {
    let lake = Lake::new().await;
    let table = "default.gold.t";
    lake.create(&user(), table).await.ok();
    lake.load(&query(), table).await.ok();
    assert_eq!(
        lake.call(&query(), Method::HEAD, &path(table), None)
            .await
            .status,
        204
    );
    lake.call(&query(), Method::GET, TABLES, None).await.ok();
    lake.create(&query(), "default.gold.u")
        .await
        .fails(403, "ForbiddenException");
    lake.commit(&query(), table, json!([]), json!([]))
        .await
        .fails(403, "ForbiddenException");
    lake.call(&query(), Method::DELETE, &path(table), None)
        .await
        .fails(403, "ForbiddenException");
}

#[tokio::test]
async fn summaries_show_true_figures() {
    for lake in lakes().await {
        lake.create(&user(), "default.gold.t").await.ok();
        lake.create(&user(), "default.bronze.t").await.ok();
        let empty = lake
            .catalog
            .table_summary(&ident("default.gold.t"))
            .await
            .unwrap();
        assert_eq!(
            (empty.row_count, empty.size_bytes, empty.snapshot_id),
            (0, 0, None)
        );
        lake.append("default.gold.t", "a", 3).await;
        let last = lake.append("default.gold.t", "b", 4).await;
        let summary = lake
            .catalog
            .table_summary(&ident("default.gold.t"))
            .await
            .unwrap();
        assert_eq!(
            (summary.row_count, summary.size_bytes, summary.file_count),
            (7, 70, 2)
        );
        assert_eq!(summary.snapshot_id, Some(last.snapshot_id()));
        assert_eq!(summary.updated_at.timestamp_millis(), last.timestamp_ms());
        assert_eq!(summary.columns.len(), 1);
        assert_eq!(summary.columns[0].data_type, "BIGINT");
        assert!(summary.columns[0].nullable);

        let names = lake.catalog.list_tables(None, None).await.unwrap();
        assert_eq!(names, [ident("default.bronze.t"), ident("default.gold.t")]);
        let gold = lake
            .catalog
            .list_tables(None, Some(rat_types::Layer::Gold))
            .await
            .unwrap();
        assert_eq!(gold, [ident("default.gold.t")]);
        let all = lake.catalog.table_summaries(None, None).await.unwrap();
        let rows: Vec<_> = all
            .iter()
            .map(|(_, summary)| summary.as_ref().unwrap().row_count)
            .collect();
        assert_eq!(rows, [0, 7]);
    }
}

#[tokio::test]
async fn one_damaged_table_does_not_hide_the_others() {
    let lake = Lake::new().await;
    lake.create(&user(), "default.gold.good").await.ok();
    let bad = lake.create(&user(), "default.gold.bad").await.ok();
    lake.io()
        .delete(bad["metadata-location"].as_str().unwrap())
        .await
        .unwrap();
    let catalog = lake.restarted();
    let all = catalog.table_summaries(None, None).await.unwrap();
    assert_eq!(
        all.iter()
            .map(|(_, summary)| summary.is_ok())
            .collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(catalog.run_branches().await.unwrap(), []);
}
