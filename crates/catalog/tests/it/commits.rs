use iceberg::spec::TableMetadata;
use rat_iceberg::snapshot::SnapshotProducer;
use serde_json::{Value, json};

use crate::support::{
    Lake, add_snapshot, data_file, ident, lakes, path, set_ref, user, wider_schema,
};

const TABLE: &str = "default.gold.t";

async fn lake_with_table() -> Lake {
    let lake = Lake::new().await;
    lake.create(&user(), TABLE).await.ok();
    lake
}

/// A snapshot on top of `main` that is ready to be committed.
async fn snapshot(lake: &Lake, metadata: &TableMetadata) -> Value {
    let name = format!("data/{}.parquet", metadata.next_sequence_number());
    let file = lake.data_file(TABLE, &name, 1).await;
    let mut producer = SnapshotProducer::append(lake.io(), vec![file]);
    let base = metadata.current_snapshot_id();
    add_snapshot(&producer.produce(metadata, base).await.unwrap())
}

#[tokio::test]
async fn a_commit_changes_the_table_and_its_history() {
    for lake in lakes().await {
        let created = lake.create(&user(), TABLE).await.ok();
        let updates = json!([
            {"action": "add-schema", "schema": wider_schema(1), "last-column-id": 2},
            {"action": "set-current-schema", "schema-id": -1},
            {"action": "set-properties", "updates": {"a": "1", "b": "2"}},
            {"action": "remove-properties", "removals": ["b"]},
        ]);
        let committed = lake.commit(&user(), TABLE, json!([]), updates).await.ok();
        assert_eq!(lake.get(&path(TABLE)).await.ok(), committed);
        let metadata = lake.metadata(TABLE).await;
        assert_eq!(metadata.current_schema_id(), 1);
        assert_eq!(metadata.properties().get("a").unwrap(), "1");
        assert!(!metadata.properties().contains_key("b"));
        let log: Vec<_> = metadata
            .metadata_log()
            .iter()
            .map(|entry| &entry.metadata_file)
            .collect();
        assert_eq!(log, [created["metadata-location"].as_str().unwrap()]);
        let pointer = lake
            .store
            .tables()
            .get(&ident(TABLE))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(pointer.metadata_location, committed["metadata-location"]);
        assert_eq!(
            pointer.previous.as_deref(),
            created["metadata-location"].as_str()
        );
    }
}

#[tokio::test]
async fn a_commit_that_changes_nothing_writes_nothing() {
    let lake = lake_with_table().await;
    let before = lake.get(&path(TABLE)).await.ok();
    let metadata = lake.metadata(TABLE).await;
    for updates in [
        json!([]),
        json!([{"action": "set-location", "location": format!("{}/", metadata.location())}]),
        json!([{"action": "assign-uuid", "uuid": metadata.uuid()}]),
        json!([{"action": "upgrade-format-version", "format-version": 2}]),
        json!([{"action": "set-current-schema", "schema-id": 0}]),
        json!([{"action": "remove-snapshots", "snapshot-ids": [5]}]),
    ] {
        assert_eq!(
            lake.commit(&user(), TABLE, json!([]), updates).await.ok(),
            before
        );
    }
    assert_eq!(lake.files(TABLE).len(), 1);
}

#[tokio::test]
async fn every_requirement_is_checked() {
    let lake = lake_with_table().await;
    lake.append(TABLE, "a", 1).await;
    let metadata = lake.metadata(TABLE).await;
    let main = metadata.current_snapshot_id().unwrap();
    let updates = json!([{"action": "set-properties", "updates": {"a": "1"}}]);
    let unmet = [
        json!({"type": "assert-create"}),
        json!({"type": "assert-table-uuid", "uuid": "0190a000-0000-7000-8000-000000000001"}),
        json!({"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": main + 1}),
        json!({"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": null}),
        json!({"type": "assert-ref-snapshot-id", "ref": "none", "snapshot-id": main}),
        json!({"type": "assert-last-assigned-field-id", "last-assigned-field-id": 7}),
        json!({"type": "assert-current-schema-id", "current-schema-id": 7}),
        json!({"type": "assert-last-assigned-partition-id", "last-assigned-partition-id": 7}),
        json!({"type": "assert-default-spec-id", "default-spec-id": 7}),
        json!({"type": "assert-default-sort-order-id", "default-sort-order-id": 7}),
    ];
    for requirement in unmet {
        let answer = lake
            .commit(&user(), TABLE, json!([requirement]), updates.clone())
            .await;
        answer.fails(409, "CommitFailedException");
    }
    assert!(
        !lake.metadata(TABLE).await.properties().contains_key("a"),
        "all or none"
    );
    let met = json!([
        {"type": "assert-table-uuid", "uuid": metadata.uuid()},
        {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": main},
        {"type": "assert-ref-snapshot-id", "ref": "none", "snapshot-id": null},
        {"type": "assert-last-assigned-field-id", "last-assigned-field-id": 1},
        {"type": "assert-current-schema-id", "current-schema-id": 0},
        {"type": "assert-last-assigned-partition-id", "last-assigned-partition-id": 999},
        {"type": "assert-default-spec-id", "default-spec-id": 0},
        {"type": "assert-default-sort-order-id", "default-sort-order-id": 0},
    ]);
    lake.commit(&user(), TABLE, met, updates).await.ok();
}

#[tokio::test]
async fn what_the_table_does_not_bear_is_refused_by_name() {
    let lake = lake_with_table().await;
    let first = lake.append(TABLE, "a", 1).await.snapshot_id();
    lake.append(TABLE, "b", 1).await;
    let before = lake.get(&path(TABLE)).await.ok();
    let outside = json!("file:///etc/passwd");
    let sibling = json!(format!(
        "{}2/x",
        before["metadata"]["location"].as_str().unwrap()
    ));
    let statistics = json!({"snapshot-id": first, "statistics-path": sibling,
        "file-size-in-bytes": 1, "file-footer-size-in-bytes": 1, "blob-metadata": []});
    let nanoseconds = json!({"type": "struct", "schema-id": 1, "fields": [
        {"id": 1, "name": "id", "required": false, "type": "long"},
        {"id": 2, "name": "s", "required": false, "type": {"type": "struct", "fields": [
            {"id": 3, "name": "at", "required": false, "type": "timestamptz_ns"}]}}]});
    let other = "0190a000-0000-7000-8000-000000000001";
    let retained = |field: &str, figure: i64| {
        let mut update = set_ref("main", first);
        update[field] = json!(figure);
        update
    };
    for (update, named) in [
        (
            json!({"action": "assign-uuid", "uuid": other}),
            "never changes",
        ),
        (
            json!({"action": "upgrade-format-version", "format-version": 3}),
            "version 3",
        ),
        (
            json!({"action": "upgrade-format-version", "format-version": 1}),
            "downgrade",
        ),
        (
            json!({"action": "upgrade-format-version", "format-version": 9}),
            "upgrade-format-version",
        ),
        (
            json!({"action": "add-schema", "schema": nanoseconds}),
            "nanoseconds",
        ),
        (
            json!({"action": "add-schema", "schema": wider_schema(1), "last-column-id": 1}),
            "last-column-id",
        ),
        (
            json!({"action": "set-current-schema", "schema-id": 9}),
            "schema",
        ),
        (
            json!({"action": "set-current-schema", "schema-id": -1}),
            "schema",
        ),
        (json!({"action": "set-default-spec", "spec-id": 9}), "spec"),
        (
            json!({"action": "set-default-sort-order", "sort-order-id": 9}),
            "sort order",
        ),
        (
            json!({"action": "add-spec", "spec": {"fields": [
            {"source-id": 9, "name": "x", "transform": "identity"}]}}),
            "add-spec",
        ),
        (
            json!({"action": "set-snapshot-ref", "ref-name": "main", "type": "tag",
                "snapshot-id": first}),
            "main is a branch",
        ),
        (set_ref("", first), "empty"),
        (set_ref("other", 77), "unknown snapshot"),
        (retained("min-snapshots-to-keep", 0), "positive"),
        (retained("max-ref-age-ms", -1), "positive"),
        (
            json!({"action": "set-location", "location": outside}),
            "stays there",
        ),
        (
            json!({"action": "set-location", "location": sibling}),
            "stays there",
        ),
        (
            json!({"action": "set-properties", "updates": {"write.data.path": outside}}),
            "write.data.path",
        ),
        (
            json!({"action": "set-properties", "updates": {"format-version": "2"}}),
            "reserved",
        ),
        (
            json!({"action": "set-properties", "updates": {"a": 1}}),
            "set-properties",
        ),
        (
            json!({"action": "set-statistics", "statistics": statistics}),
            "not inside",
        ),
        (
            json!({"action": "set-partition-statistics", "partition-statistics": {"snapshot-id": first,
            "statistics-path": outside, "file-size-in-bytes": 1}}),
            "not inside",
        ),
        (
            json!({"action": "remove-schemas", "schema-ids": [0]}),
            "current schema",
        ),
        (
            json!({"action": "remove-partition-specs", "spec-ids": [0]}),
            "default partition spec",
        ),
        (
            json!({"action": "remove-snapshots",
                "snapshot-ids": [before["metadata"]["current-snapshot-id"]]}),
            "the result",
        ),
        (
            json!({"action": "add-encryption-key", "encryption-key": {"key-id": "a",
            "encrypted-key-metadata": "YQ=="}}),
            "encryption",
        ),
        (
            json!({"action": "remove-encryption-key", "key-id": "a"}),
            "encryption",
        ),
        (json!({"action": "set-moon-phase"}), "set-moon-phase"),
    ] {
        let answer = lake
            .commit(&user(), TABLE, json!([]), json!([update]))
            .await;
        let message = answer.fails(400, "BadRequestException");
        assert!(message.contains(named), "{named}: {message}");
    }
    assert_eq!(lake.get(&path(TABLE)).await.ok(), before);
    lake.commit(&user(), TABLE, json!([{"type": "assert-luck"}]), json!([]))
        .await
        .fails(400, "BadRequestException");
}

#[tokio::test]
async fn updates_that_the_table_bears_are_applied() {
    let lake = lake_with_table().await;
    let first = lake.append(TABLE, "a", 1).await.snapshot_id();
    let second = lake.append(TABLE, "b", 1).await.snapshot_id();
    let location = lake.metadata(TABLE).await.location().to_owned();
    let statistics = json!({"snapshot-id": first, "statistics-path": format!("{location}/metadata/s"),
        "file-size-in-bytes": 1, "file-footer-size-in-bytes": 1, "blob-metadata": []});
    let partition_statistics = json!({"snapshot-id": first, "file-size-in-bytes": 1,
        "statistics-path": format!("{location}/metadata/p")});
    let updates = json!([
        {"action": "add-schema", "schema": wider_schema(1)},
        {"action": "set-current-schema", "schema-id": -1},
        {"action": "add-spec", "spec": {"fields": [
            {"source-id": 2, "name": "extra_bucket", "transform": "bucket[4]"}]}},
        {"action": "set-default-spec", "spec-id": -1},
        {"action": "add-sort-order", "sort-order": {"order-id": 1, "fields": [{"source-id": 1,
            "transform": "identity", "direction": "asc", "null-order": "nulls-first"}]}},
        {"action": "set-default-sort-order", "sort-order-id": -1},
        {"action": "set-snapshot-ref", "ref-name": "eternal", "type": "tag", "snapshot-id": first,
         "max-ref-age-ms": 1000},
        set_ref("audit", second),
        {"action": "set-statistics", "statistics": statistics},
        {"action": "set-partition-statistics", "partition-statistics": partition_statistics},
    ]);
    let metadata = lake.commit(&user(), TABLE, json!([]), updates).await.ok()["metadata"].clone();
    assert_eq!(metadata["refs"]["eternal"]["max-ref-age-ms"], 1000);
    assert_eq!(metadata["refs"]["audit"]["snapshot-id"], second);
    assert_eq!(metadata["default-spec-id"], 1);
    assert_eq!(metadata["default-sort-order-id"], 1);
    assert_eq!(metadata["statistics"].as_array().unwrap().len(), 1);
    assert_eq!(
        metadata["partition-statistics"].as_array().unwrap().len(),
        1
    );

    let message = lake
        .commit(
            &user(),
            TABLE,
            json!([]),
            json!([{"action": "remove-schemas", "schema-ids": [0]}]),
        )
        .await
        .fails(400, "BadRequestException");
    assert!(message.contains("used by a snapshot"), "{message}");
    let updates = json!([
        {"action": "remove-statistics", "snapshot-id": first},
        {"action": "remove-partition-statistics", "snapshot-id": first},
        {"action": "remove-snapshot-ref", "ref-name": "eternal"},
        {"action": "remove-snapshots", "snapshot-ids": [first]},
        {"action": "remove-partition-specs", "spec-ids": [0]},
    ]);
    let metadata = lake.commit(&user(), TABLE, json!([]), updates).await.ok()["metadata"].clone();
    assert!(metadata["refs"].get("eternal").is_none());
    assert_eq!(metadata["snapshots"].as_array().unwrap().len(), 1);
    assert_eq!(metadata["partition-specs"].as_array().unwrap().len(), 1);
    let updates = json!([{"action": "remove-snapshot-ref", "ref-name": "main"}]);
    let metadata = lake.commit(&user(), TABLE, json!([]), updates).await.ok()["metadata"].clone();
    assert!(
        metadata
            .get("current-snapshot-id")
            .is_none_or(|id| id.is_null() || id == -1)
    );
}

#[tokio::test]
async fn a_snapshot_has_to_be_sound() {
    let lake = lake_with_table().await;
    lake.append(TABLE, "a", 1).await;
    let metadata = lake.metadata(TABLE).await;
    let good = snapshot(&lake, &metadata).await;
    let with = |key: &str, value: Value| {
        let mut update = good.clone();
        update["snapshot"][key] = value;
        update
    };
    let folder = metadata.location();
    let future = chrono::Utc::now().timestamp_millis() + 3_600_000;
    for (update, named) in [
        (
            with("manifest-list", json!("file:///etc/passwd")),
            "not inside",
        ),
        (
            with(
                "manifest-list",
                json!(format!("{folder}/../u/metadata/x.avro")),
            ),
            "not inside",
        ),
        (
            with("manifest-list", json!(format!("{folder}x/metadata/x.avro"))),
            "not inside",
        ),
        (
            with("manifest-list", json!(format!("{folder}/%2e%2e/x.avro"))),
            "not inside",
        ),
        (
            with(
                "manifest-list",
                json!(format!("{folder}/metadata/none.avro")),
            ),
            "no manifest list",
        ),
        (
            with("manifest-list", json!("s3://bucket/x.avro")),
            "not inside",
        ),
        (with("snapshot-id", json!(0)), "not positive"),
        (
            with("snapshot-id", json!(metadata.current_snapshot_id())),
            "already exists",
        ),
        (with("schema-id", json!(9)), "schema 9"),
        (with("timestamp-ms", json!(future)), "future"),
        (with("timestamp-ms", json!(1000)), "timestamp"),
        (with("key-id", json!("k")), "key-id"),
    ] {
        let answer = lake
            .commit(&user(), TABLE, json!([]), json!([update]))
            .await;
        let message = answer.fails(400, "BadRequestException");
        assert!(message.contains(named), "{named}: {message}");
    }
    for number in [0, 1] {
        let update = with("sequence-number", json!(number));
        let answer = lake
            .commit(&user(), TABLE, json!([]), json!([update]))
            .await;
        assert!(
            answer
                .fails(409, "CommitFailedException")
                .contains("sequence number")
        );
    }
    // Without a parent the crate alone would have let the sequence number pass.
    let mut update = with("sequence-number", json!(1));
    update["snapshot"]
        .as_object_mut()
        .unwrap()
        .remove("parent-snapshot-id");
    let answer = lake
        .commit(&user(), TABLE, json!([]), json!([update]))
        .await;
    answer.fails(409, "CommitFailedException");
    lake.commit(&user(), TABLE, json!([]), json!([good]))
        .await
        .ok();
}

#[tokio::test]
async fn two_snapshots_in_one_commit_are_one_step_of_main() {
    let lake = lake_with_table().await;
    let metadata = lake.metadata(TABLE).await;
    let folder = metadata.location().to_owned();
    let io = lake.io();
    let file = |name: &str| data_file(&format!("{folder}/data/{name}"), 1);
    let mut first = SnapshotProducer::append(io.clone(), vec![file("a")]);
    let first = first.produce(&metadata, None).await.unwrap();
    let staged = metadata
        .into_builder(None)
        .set_branch_snapshot(first.clone(), "main")
        .unwrap();
    let staged = staged.build().unwrap().metadata;
    let mut second = SnapshotProducer::append(io, vec![file("b")]);
    let second = second
        .produce(&staged, Some(first.snapshot_id()))
        .await
        .unwrap();
    let updates = json!([
        add_snapshot(&first),
        set_ref("main", first.snapshot_id()),
        add_snapshot(&second),
        set_ref("main", second.snapshot_id()),
    ]);
    let require = json!([{"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": null}]);
    lake.commit(&user(), TABLE, require, updates).await.ok();
    let metadata = lake.metadata(TABLE).await;
    assert_eq!(metadata.snapshots().len(), 2);
    let history: Vec<_> = metadata
        .history()
        .iter()
        .map(|entry| entry.snapshot_id)
        .collect();
    assert_eq!(history, [second.snapshot_id()]);
}

#[tokio::test]
async fn the_identifier_is_that_of_the_path() {
    let lake = lake_with_table().await;
    let body = |namespace: Value, name: &str| {
        json!({"identifier": {"namespace": namespace, "name": name},
               "requirements": [], "updates": []})
    };
    lake.post(&path(TABLE), body(json!(["default", "gold"]), "t"))
        .await
        .ok();
    for other in [
        body(json!(["default", "gold"]), "u"),
        body(json!(["default"]), "t"),
    ] {
        lake.post(&path(TABLE), other)
            .await
            .fails(400, "BadRequestException");
    }
    lake.commit(&user(), "default.gold.none", json!([]), json!([]))
        .await
        .fails(404, "NoSuchTableException");
}

#[tokio::test]
async fn old_metadata_files_are_deleted_unless_the_table_keeps_them() {
    let lake = lake_with_table().await;
    let limit = json!([{"action": "set-properties",
                        "updates": {"write.metadata.previous-versions-max": "3"}}]);
    lake.commit(&user(), TABLE, json!([]), limit).await.ok();
    for i in 0..10 {
        let updates = json!([{"action": "set-properties", "updates": {"i": i.to_string()}}]);
        lake.commit(&user(), TABLE, json!([]), updates).await.ok();
    }
    assert_eq!(
        lake.files(TABLE).len(),
        4,
        "the current one and three before"
    );
    assert_eq!(lake.metadata(TABLE).await.metadata_log().len(), 3);
    let keep = json!([{"action": "set-properties",
                       "updates": {"write.metadata.delete-after-commit.enabled": "false"}}]);
    lake.commit(&user(), TABLE, json!([]), keep).await.ok();
    let updates = json!([{"action": "set-properties", "updates": {"i": "last"}}]);
    lake.commit(&user(), TABLE, json!([]), updates).await.ok();
    assert_eq!(lake.files(TABLE).len(), 6);
}

#[tokio::test]
async fn a_crash_between_file_and_pointer_leaves_the_table_as_it_was() {
    let lake = lake_with_table().await;
    let before = lake.get(&path(TABLE)).await.ok();
    // What such a crash leaves: a metadata file with the next number, and a temporary one.
    let folder = format!(
        "{}/metadata",
        before["metadata"]["location"].as_str().unwrap()
    );
    let orphan = format!("{folder}/00001-0190a000-0000-7000-8000-000000000001.metadata.json");
    lake.io()
        .new_output(&orphan)
        .unwrap()
        .write("{}".into())
        .await
        .unwrap();
    lake.io()
        .new_output(format!("{folder}/.x.tmp"))
        .unwrap()
        .write("{".into())
        .await
        .unwrap();
    assert_eq!(lake.get(&path(TABLE)).await.ok(), before);
    lake.append(TABLE, "a", 1).await;
    assert_eq!(lake.metadata(TABLE).await.snapshots().len(), 1);
}

#[tokio::test]
async fn a_commit_survives_somebody_else_who_moves_the_pointer() {
    let lake = lake_with_table().await;
    lake.get(&path(TABLE)).await.ok();
    let other = lake.restarted();
    let outsider = rat_catalog::rest::router(other);
    let body = json!({"requirements": [],
                      "updates": [{"action": "set-properties", "updates": {"a": "1"}}]});
    let mut request = http::Request::post(path(TABLE))
        .body(axum::body::Body::from(body.to_string()))
        .unwrap();
    request.extensions_mut().insert(user());
    let answer = tower::ServiceExt::oneshot(outsider, request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let updates = json!([{"action": "set-properties", "updates": {"b": "2"}}]);
    lake.commit(&user(), TABLE, json!([]), updates).await.ok();
    let metadata = lake.metadata(TABLE).await;
    assert_eq!(metadata.properties().get("a").unwrap(), "1");
    assert_eq!(metadata.properties().get("b").unwrap(), "2");
}
