use iceberg::spec::Operation;
use rat_iceberg::snapshot::{RUN_ID_PROPERTY, SnapshotProducer};
use serde_json::{Value, json};

use crate::support::{
    Answer, Lake, Write, add_snapshot, data_file, ident, path, run, run_id, set_ref, user,
    wider_schema,
};

const TABLE: &str = "default.gold.t";
const OTHER: &str = "default.gold.u";

/// A lake in which `TABLE` and `OTHER` have rows, and a run that is to write `TABLE`.
async fn lake() -> Lake {
    let lake = Lake::new().await;
    for table in [TABLE, OTHER] {
        lake.create(&user(), table).await.ok();
        lake.append(table, "a", 3).await;
    }
    lake
}

async fn commit(lake: &Lake, updates: Value) -> Answer {
    lake.commit(&run(run_id(1), TABLE, &[OTHER]), TABLE, json!([]), updates)
        .await
}

#[tokio::test]
async fn a_run_writes_its_own_branch() {
    let lake = lake().await;
    let before = lake.metadata(TABLE).await;
    let written = lake
        .run_writes(run_id(1), TABLE, Write::Append(2))
        .await
        .metadata();
    let head = written.snapshot_for_ref(&run_id(1).branch()).unwrap();
    assert_eq!(head.parent_snapshot_id(), before.current_snapshot_id());
    assert_eq!(
        written.current_snapshot_id(),
        before.current_snapshot_id(),
        "main stays"
    );
    // But only once: what it adds again would be there twice.
    let caller = run(run_id(1), TABLE, &[]);
    let base = Some(head.snapshot_id());
    let next = lake
        .run_snapshot(run_id(1), TABLE, &written, base, Write::Append(2))
        .await;
    let updates = json!([
        add_snapshot(&next),
        set_ref(&run_id(1).branch(), next.snapshot_id())
    ]);
    lake.commit(&caller, TABLE, json!([]), updates)
        .await
        .fails(403, "ForbiddenException");
    // The same again is a lost race, so that its client looks and finds it.
    let updates = json!([
        add_snapshot(head),
        set_ref(&run_id(1).branch(), head.snapshot_id())
    ]);
    lake.commit(&caller, TABLE, json!([]), updates)
        .await
        .fails(409, "CommitFailedException");
    // And back to what it made before.
    let back = json!([set_ref(&run_id(1).branch(), head.snapshot_id())]);
    lake.commit(&caller, TABLE, json!([]), back).await.ok();
}

#[tokio::test]
async fn a_run_adds_a_schema_and_names_it_in_its_snapshot() {
    let lake = lake().await;
    let schema = wider_schema(1);
    let written = lake
        .run_writes(run_id(1), TABLE, Write::Schema(2, &schema))
        .await
        .metadata();
    assert_eq!(written.current_schema_id(), 0, "the current schema stays");
    let head = written.snapshot_for_ref(&run_id(1).branch()).unwrap();
    assert_eq!(head.schema_id(), Some(1));
    assert_eq!(head.summary().operation, Operation::Overwrite);
}

#[tokio::test]
async fn a_schema_id_that_somebody_else_took_is_a_conflict() {
    let lake = lake().await;
    let metadata = lake.metadata(TABLE).await;
    let base = metadata.current_snapshot_id();
    let mine = wider_schema(1);
    let snapshot = lake
        .run_snapshot(run_id(1), TABLE, &metadata, base, Write::Schema(2, &mine))
        .await;
    let theirs = json!({"type": "struct", "schema-id": 1, "fields": [
        {"id": 1, "name": "id", "required": false, "type": "long"},
        {"id": 2, "name": "theirs", "required": false, "type": "date"}]});
    let updates = json!([{"action": "add-schema", "schema": theirs}]);
    lake.commit(&user(), TABLE, json!([]), updates).await.ok();
    let updates = json!([{"action": "add-schema", "schema": mine}, add_snapshot(&snapshot),
                         set_ref(&run_id(1).branch(), snapshot.snapshot_id())]);
    commit(&lake, updates)
        .await
        .fails(409, "CommitFailedException");
}

#[tokio::test]
async fn every_update_that_a_run_must_not_make_is_forbidden() {
    let lake = lake().await;
    let before = lake.get(&path(TABLE)).await.ok();
    let metadata = lake.metadata(TABLE).await;
    let main = metadata.current_snapshot_id().unwrap();
    let location = metadata.location();
    let statistics = json!({"snapshot-id": main, "statistics-path": format!("{location}/metadata/s"),
        "file-size-in-bytes": 1, "file-footer-size-in-bytes": 1, "blob-metadata": []});
    let branch = run_id(1).branch();
    let retained = |field: &str| {
        let mut update = set_ref(&branch, main);
        update[field] = json!(1000);
        update
    };
    let wide = json!({"type": "struct", "schema-id": 1, "fields": [
        {"id": 1, "name": "id", "required": false, "type": "long"},
        {"id": i32::MAX, "name": "last", "required": false, "type": "long"}]});
    for update in [
        json!({"action": "assign-uuid", "uuid": metadata.uuid()}),
        json!({"action": "upgrade-format-version", "format-version": 2}),
        json!({"action": "set-current-schema", "schema-id": 0}),
        json!({"action": "add-spec", "spec": {"fields": []}}),
        json!({"action": "set-default-spec", "spec-id": 0}),
        json!({"action": "add-sort-order", "sort-order": {"order-id": 0, "fields": []}}),
        json!({"action": "set-default-sort-order", "sort-order-id": 0}),
        json!({"action": "remove-snapshots", "snapshot-ids": [main]}),
        json!({"action": "remove-snapshots", "snapshot-ids": []}),
        json!({"action": "remove-snapshot-ref", "ref-name": "main"}),
        json!({"action": "remove-snapshot-ref", "ref-name": branch}),
        json!({"action": "set-location", "location": location}),
        json!({"action": "set-properties", "updates": {}}),
        json!({"action": "remove-properties", "removals": []}),
        json!({"action": "set-statistics", "statistics": statistics}),
        json!({"action": "remove-statistics", "snapshot-id": main}),
        json!({"action": "set-partition-statistics", "partition-statistics": {"snapshot-id": main,
            "statistics-path": format!("{location}/metadata/p"), "file-size-in-bytes": 1}}),
        json!({"action": "remove-partition-statistics", "snapshot-id": main}),
        json!({"action": "remove-partition-specs", "spec-ids": [0]}),
        json!({"action": "remove-schemas", "schema-ids": [0]}),
        json!({"action": "add-encryption-key", "encryption-key": {"key-id": "a",
            "encrypted-key-metadata": "YQ=="}}),
        json!({"action": "remove-encryption-key", "key-id": "a"}),
        // The own branch, but not so.
        set_ref("main", main),
        set_ref("run-0190a000-0000-7000-8000-000000000002", main),
        set_ref(&branch.to_uppercase(), main),
        set_ref("", main),
        set_ref(&branch, main),
        set_ref(&branch, 12345),
        json!({"action": "set-snapshot-ref", "ref-name": branch, "type": "tag", "snapshot-id": main}),
        retained("max-ref-age-ms"),
        retained("max-snapshot-age-ms"),
        retained("min-snapshots-to-keep"),
        // A schema, but not so.
        json!({"action": "add-schema", "schema": wide}),
    ] {
        let answer = commit(&lake, json!([update])).await;
        assert_eq!(answer.status, 403, "{update} {}", answer.text);
        answer.fails(403, "ForbiddenException");
        // A harmless update in front of it does not help.
        let harmless = json!({"action": "add-schema", "schema": wider_schema(1)});
        let answer = commit(&lake, json!([harmless, update])).await;
        assert_eq!(answer.status, 403, "{update} {}", answer.text);
    }
    assert_eq!(lake.get(&path(TABLE)).await.ok(), before);
}

/// A snapshot of the run, made wrong in one way.
struct Forged {
    what: &'static str,
    update: Value,
    snapshot_id: i64,
}

#[tokio::test]
async fn a_forged_snapshot_is_forbidden() {
    let lake = lake().await;
    lake.run_writes(run_id(2), TABLE, Write::Append(1))
        .await
        .ok();
    let metadata = lake.metadata(TABLE).await;
    let base = metadata.current_snapshot_id();
    let good = lake
        .run_snapshot(run_id(1), TABLE, &metadata, base, Write::Append(1))
        .await;
    let with = |what, change: &dyn Fn(&mut Value)| {
        let mut update = add_snapshot(&good);
        change(&mut update["snapshot"]);
        let snapshot_id = update["snapshot"]["snapshot-id"].as_i64().unwrap();
        Forged {
            what,
            update,
            snapshot_id,
        }
    };
    let foreign_branch = metadata
        .snapshot_for_ref(&run_id(2).branch())
        .unwrap()
        .snapshot_id();
    let main_list = metadata
        .current_snapshot()
        .unwrap()
        .manifest_list()
        .to_owned();
    let foreign_list = metadata
        .snapshot_by_id(foreign_branch)
        .unwrap()
        .manifest_list()
        .to_owned();
    let other = lake
        .metadata(OTHER)
        .await
        .current_snapshot()
        .unwrap()
        .clone();
    for Forged {
        what,
        update,
        snapshot_id,
    } in [
        with("another table's manifest list", &|snapshot| {
            snapshot["manifest-list"] = json!(other.manifest_list());
        }),
        with("a manifest list that climbs", &|snapshot| {
            let list = format!("{}/../u/metadata/x.avro", metadata.location());
            snapshot["manifest-list"] = json!(list);
        }),
        with(
            "a manifest list that is not in its own folder",
            &|snapshot| {
                snapshot["manifest-list"] = json!(main_list);
            },
        ),
        with("another run's manifest list", &|snapshot| {
            snapshot["manifest-list"] = json!(foreign_list);
        }),
        with("a manifest list of the system", &|snapshot| {
            snapshot["manifest-list"] = json!("file:///etc/passwd");
        }),
        with("no run id", &|snapshot| {
            snapshot["summary"]
                .as_object_mut()
                .unwrap()
                .remove(RUN_ID_PROPERTY);
        }),
        with("another run's id", &|snapshot| {
            snapshot["summary"][RUN_ID_PROPERTY] = json!(run_id(2).to_string());
        }),
        with("another run's branch as parent", &|snapshot| {
            snapshot["parent-snapshot-id"] = json!(foreign_branch);
        }),
        with("a parent that does not exist", &|snapshot| {
            snapshot["parent-snapshot-id"] = json!(12345);
        }),
        with("a sequence number from the future", &|snapshot| {
            snapshot["sequence-number"] = json!(i64::MAX);
        }),
        with("no schema", &|snapshot| {
            snapshot.as_object_mut().unwrap().remove("schema-id");
        }),
    ] {
        let updates = json!([update, set_ref(&run_id(1).branch(), snapshot_id)]);
        let answer = commit(&lake, updates).await;
        assert_eq!(answer.status, 403, "{what}: {}", answer.text);
    }
    // A snapshot that does not become the branch's head, and two at once.
    let only = json!([add_snapshot(&good)]);
    commit(&lake, only).await.fails(403, "ForbiddenException");
    let second = lake
        .run_snapshot(run_id(1), TABLE, &metadata, base, Write::Append(1))
        .await;
    let two = json!([
        add_snapshot(&good),
        set_ref(&run_id(1).branch(), good.snapshot_id()),
        add_snapshot(&second),
        set_ref(&run_id(1).branch(), second.snapshot_id())
    ]);
    commit(&lake, two).await.fails(403, "ForbiddenException");
    // Nonsense rather than forgery.
    for (key, value) in [
        (
            "manifest-list",
            json!(format!(
                "{}/metadata/{}/none.avro",
                metadata.location(),
                run_id(1).branch()
            )),
        ),
        ("snapshot-id", json!(-5)),
        ("schema-id", json!(77)),
    ] {
        let mut update = add_snapshot(&good);
        update["snapshot"][key] = value;
        let id = update["snapshot"]["snapshot-id"].as_i64().unwrap();
        commit(&lake, json!([update, set_ref(&run_id(1).branch(), id)]))
            .await
            .fails(400, "BadRequestException");
    }
    let good = json!([
        add_snapshot(&good),
        set_ref(&run_id(1).branch(), good.snapshot_id())
    ]);
    commit(&lake, good).await.ok();
}

/// Commits a snapshot of run 1 that adds the file at `location`.
async fn adds(lake: &Lake, location: &str) -> Answer {
    let metadata = lake.metadata(TABLE).await;
    let file = data_file(location, 1);
    let mut producer = SnapshotProducer::append(lake.io(), vec![file]).with_run_id(run_id(1));
    let snapshot = producer
        .produce(&metadata, metadata.current_snapshot_id())
        .await
        .unwrap();
    let updates = json!([
        add_snapshot(&snapshot),
        set_ref(&run_id(1).branch(), snapshot.snapshot_id())
    ]);
    commit(lake, updates).await
}

#[tokio::test]
async fn a_run_adds_files_of_its_own_folder_only() {
    let lake = lake().await;
    let (folder, branch) = (
        lake.metadata(TABLE).await.location().to_owned(),
        run_id(1).branch(),
    );
    let other = lake.metadata(OTHER).await.location().to_owned();
    for location in [
        format!("{other}/data/a.parquet"),
        format!("{folder}/data/a.parquet"),
        format!("{folder}/data/{}/a.parquet", run_id(2).branch()),
        format!("{folder}/data/{branch}2/a.parquet"),
        format!("{folder}/data/{branch}/../a.parquet"),
        format!("{folder}/data/{branch}/%2e%2e/a.parquet"),
        format!("{folder}/data/{branch}"),
        "file:///etc/passwd".to_owned(),
        "s3://bucket/a.parquet".to_owned(),
        "a.parquet".to_owned(),
    ] {
        adds(&lake, &location)
            .await
            .fails(403, "ForbiddenException");
    }
    adds(&lake, &format!("{folder}/data/{branch}/deep/a.parquet"))
        .await
        .ok();
}

#[tokio::test]
async fn a_run_does_not_pass_off_another_table_as_its_own() {
    let lake = lake().await;
    // A snapshot made of another table's metadata: its manifests lie in the other folder.
    let other = lake.metadata(OTHER).await;
    let metadata = lake.metadata(TABLE).await;
    let location = format!("{}/data/{}/a", metadata.location(), run_id(1).branch());
    let file = data_file(&location, 1);
    let mut producer = SnapshotProducer::append(lake.io(), vec![file]).with_run_id(run_id(1));
    let snapshot = producer
        .produce(&other, other.current_snapshot_id())
        .await
        .unwrap();
    let list = snapshot.manifest_list().to_owned();
    let bytes = lake.io().new_input(&list).unwrap().read().await.unwrap();
    let own = run_id(1).branch();
    let copy = format!("{}/metadata/{own}/copy.avro", metadata.location());
    lake.io()
        .new_output(&copy)
        .unwrap()
        .write(bytes)
        .await
        .unwrap();
    let mut update = add_snapshot(&snapshot);
    update["snapshot"]["manifest-list"] = json!(copy);
    update["snapshot"]["parent-snapshot-id"] = json!(metadata.current_snapshot_id());
    update["snapshot"]["sequence-number"] = json!(metadata.next_sequence_number());
    let updates = json!([update, set_ref(&run_id(1).branch(), snapshot.snapshot_id())]);
    let message = commit(&lake, updates)
        .await
        .fails(403, "ForbiddenException");
    assert!(message.contains("/gold/u/"), "{message}");
}

#[tokio::test]
async fn a_run_reads_what_its_pipeline_names_and_writes_nothing_else() {
    let lake = lake().await;
    lake.create(&user(), "default.silver.secret").await.ok();
    let caller = run(run_id(1), TABLE, &[OTHER]);
    for readable in [TABLE, OTHER] {
        lake.load(&caller, readable).await.ok();
    }
    for hidden in ["default.silver.secret", "default.silver.none"] {
        lake.load(&caller, hidden)
            .await
            .fails(403, "ForbiddenException");
        lake.commit(&caller, hidden, json!([]), json!([]))
            .await
            .fails(403, "ForbiddenException");
    }
    lake.commit(&caller, OTHER, json!([]), json!([]))
        .await
        .fails(403, "ForbiddenException");
    for table in [TABLE, OTHER] {
        lake.call(&caller, http::Method::DELETE, &path(table), None)
            .await
            .fails(403, "ForbiddenException");
    }
    assert!(lake.catalog.table_summary(&ident(TABLE)).await.is_ok());
}

#[tokio::test]
async fn a_run_may_build_on_what_main_was() {
    let lake = lake().await;
    let metadata = lake.metadata(TABLE).await;
    let base = metadata.current_snapshot_id();
    lake.append(TABLE, "b", 1).await;
    let snapshot = lake
        .run_snapshot(run_id(1), TABLE, &metadata, base, Write::Overwrite(1))
        .await;
    let updates = json!([
        add_snapshot(&snapshot),
        set_ref(&run_id(1).branch(), snapshot.snapshot_id())
    ]);
    let message = commit(&lake, updates)
        .await
        .fails(409, "CommitFailedException");
    assert!(message.contains("sequence number"), "{message}");
    let metadata = lake.metadata(TABLE).await;
    let snapshot = lake
        .run_snapshot(run_id(1), TABLE, &metadata, base, Write::Overwrite(1))
        .await;
    let updates = json!([
        add_snapshot(&snapshot),
        set_ref(&run_id(1).branch(), snapshot.snapshot_id())
    ]);
    commit(&lake, updates).await.ok();
}

#[tokio::test]
async fn a_run_whose_base_was_set_back_has_lost_a_race() {
    let lake = lake().await;
    let before = lake.metadata(TABLE).await.current_snapshot_id().unwrap();
    lake.append(TABLE, "b", 1).await;
    let metadata = lake.metadata(TABLE).await;
    let base = metadata.current_snapshot_id();
    let back = json!([set_ref("main", before)]);
    lake.commit(&user(), TABLE, json!([]), back).await.ok();
    let snapshot = lake
        .run_snapshot(run_id(1), TABLE, &metadata, base, Write::Overwrite(1))
        .await;
    let updates = json!([
        add_snapshot(&snapshot),
        set_ref(&run_id(1).branch(), snapshot.snapshot_id())
    ]);
    let message = commit(&lake, updates)
        .await
        .fails(409, "CommitFailedException");
    assert!(message.contains("set back"), "{message}");
}
