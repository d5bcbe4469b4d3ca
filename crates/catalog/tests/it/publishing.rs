use rat_catalog::{DiscardOutcome, Publication, PublishOutcome};
use rat_iceberg::snapshot::{READ_SNAPSHOT_PROPERTY, SnapshotProducer};
use rat_types::RunId;
use serde_json::json;

use crate::support::{
    Lake, Write, add_snapshot, ident, lakes, path, run, run_id, set_ref, user, wider_schema,
};

const TABLE: &str = "default.gold.t";

async fn publish(lake: &Lake, run: RunId) -> PublishOutcome {
    lake.catalog.publish(run, &ident(TABLE)).await.unwrap()
}

#[track_caller]
fn published(outcome: PublishOutcome) -> Publication {
    match outcome {
        PublishOutcome::Published(publication) => publication,
        other => panic!("{other:?}"),
    }
}

async fn rows(lake: &Lake) -> u64 {
    lake.catalog
        .table_summary(&ident(TABLE))
        .await
        .unwrap()
        .row_count
}

async fn with_table(lake: &Lake) {
    lake.create(&user(), TABLE).await.ok();
    lake.append(TABLE, "a", 3).await;
}

#[tokio::test]
async fn publishing_moves_main_and_drops_the_branch() {
    for lake in lakes().await {
        with_table(&lake).await;
        lake.run_writes(run_id(1), TABLE, Write::Append(2))
            .await
            .ok();
        assert_eq!(rows(&lake).await, 3, "not before");
        assert_eq!(lake.catalog.run_branches().await.unwrap().len(), 1);
        let publication = published(publish(&lake, run_id(1)).await);
        assert_eq!(
            (publication.totals.records, publication.rebased),
            (5, false)
        );
        let metadata = lake.metadata(TABLE).await;
        assert_eq!(
            metadata.current_snapshot_id(),
            Some(publication.snapshot_id)
        );
        assert!(metadata.snapshot_for_ref(&run_id(1).branch()).is_none());
        assert_eq!(metadata.snapshots().len(), 2);
        assert_eq!(rows(&lake).await, 5);
        assert_eq!(lake.catalog.run_branches().await.unwrap(), []);

        // Whoever did not hear the answer asks again.
        let again = PublishOutcome::AlreadyPublished(publication);
        assert_eq!(publish(&lake, run_id(1)).await, again);
        lake.append(TABLE, "b", 1).await;
        assert!(matches!(
            publish(&lake, run_id(1)).await,
            PublishOutcome::AlreadyPublished(_)
        ));
        // And cannot take it back.
        let discarded = lake
            .catalog
            .discard(run_id(1), &ident(TABLE))
            .await
            .unwrap();
        assert_eq!(discarded, DiscardOutcome::AlreadyPublished);
        assert_eq!(rows(&lake).await, 6);
        let data = format!("data/{}/", run_id(1).branch());
        assert!(lake.files(TABLE).iter().any(|file| file.starts_with(&data)));
    }
}

#[tokio::test]
async fn publishing_an_overwrite_brings_its_schema() {
    let lake = Lake::new().await;
    with_table(&lake).await;
    let schema = wider_schema(1);
    lake.run_writes(run_id(1), TABLE, Write::Schema(7, &schema))
        .await
        .ok();
    assert_eq!(lake.metadata(TABLE).await.current_schema_id(), 0);
    assert_eq!(published(publish(&lake, run_id(1)).await).totals.records, 7);
    assert_eq!(lake.metadata(TABLE).await.current_schema_id(), 1);
}

#[tokio::test]
async fn the_retention_of_main_is_kept() {
    let lake = Lake::new().await;
    with_table(&lake).await;
    for (number, moved) in [(1, false), (2, true)] {
        lake.run_writes(run_id(number), TABLE, Write::Append(1))
            .await
            .ok();
        if moved {
            lake.append(TABLE, "b", 1).await;
        }
        let main = lake.metadata(TABLE).await.current_snapshot_id().unwrap();
        let mut keep = set_ref("main", main);
        keep["min-snapshots-to-keep"] = json!(7);
        lake.commit(&user(), TABLE, json!([]), json!([keep]))
            .await
            .ok();
        let publication = published(publish(&lake, run_id(number)).await);
        assert_eq!(publication.rebased, moved);
        let table = lake.get(&path(TABLE)).await.ok();
        let main = &table["metadata"]["refs"]["main"];
        assert_eq!(main["min-snapshots-to-keep"], 7);
    }
}

#[tokio::test]
async fn an_append_is_rebased_onto_what_others_committed() {
    for lake in lakes().await {
        with_table(&lake).await;
        lake.run_writes(run_id(1), TABLE, Write::Append(2))
            .await
            .ok();
        lake.append(TABLE, "b", 10).await;
        let before = lake.files(TABLE);
        let publication = published(publish(&lake, run_id(1)).await);
        assert_eq!(
            (publication.totals.records, publication.rebased),
            (15, true)
        );
        let metadata = lake.metadata(TABLE).await;
        assert_eq!(metadata.snapshots().len(), 3, "the run is one snapshot");
        assert!(metadata.snapshot_for_ref(&run_id(1).branch()).is_none());
        // One manifest list and one manifest for another, and one more metadata file.
        let count = |files: &[String]| files.iter().filter(|file| file.ends_with(".avro")).count();
        assert_eq!(count(&lake.files(TABLE)), count(&before));
        assert!(matches!(
            publish(&lake, run_id(1)).await,
            PublishOutcome::AlreadyPublished(_)
        ));
        let discarded = lake
            .catalog
            .discard(run_id(1), &ident(TABLE))
            .await
            .unwrap();
        assert_eq!(discarded, DiscardOutcome::AlreadyPublished);
        assert_eq!(rows(&lake).await, 15);
    }
}

#[tokio::test]
async fn an_overwrite_of_what_others_changed_is_a_conflict() {
    let lake = Lake::new().await;
    with_table(&lake).await;
    lake.run_writes(run_id(1), TABLE, Write::Overwrite(2))
        .await
        .ok();
    lake.append(TABLE, "b", 10).await;
    let before = lake.get(&path(TABLE)).await.ok();
    assert!(matches!(
        publish(&lake, run_id(1)).await,
        PublishOutcome::Conflict { .. }
    ));
    assert_eq!(lake.get(&path(TABLE)).await.ok(), before, "nothing changed");
    // Discard it, execute it again.
    lake.catalog
        .discard(run_id(1), &ident(TABLE))
        .await
        .unwrap();
    lake.run_writes(run_id(1), TABLE, Write::Overwrite(2))
        .await
        .ok();
    assert_eq!(published(publish(&lake, run_id(1)).await).totals.records, 2);
}

#[tokio::test]
async fn a_table_that_was_set_back_is_a_conflict() {
    let lake = Lake::new().await;
    with_table(&lake).await;
    let first = lake.metadata(TABLE).await.current_snapshot_id().unwrap();
    lake.append(TABLE, "b", 10).await;
    lake.run_writes(run_id(1), TABLE, Write::Append(2))
        .await
        .ok();
    let updates = json!([set_ref("main", first)]);
    lake.commit(&user(), TABLE, json!([]), updates).await.ok();
    // Moving main along the branch would bring back what somebody took away.
    assert!(matches!(
        publish(&lake, run_id(1)).await,
        PublishOutcome::Conflict { .. }
    ));
    assert_eq!(rows(&lake).await, 3);
}

#[tokio::test]
async fn an_append_does_not_undo_a_schema_change() {
    let lake = Lake::new().await;
    with_table(&lake).await;
    lake.run_writes(run_id(1), TABLE, Write::Append(2))
        .await
        .ok();
    let updates = json!([{"action": "add-schema", "schema": wider_schema(1)},
                         {"action": "set-current-schema", "schema-id": -1}]);
    lake.commit(&user(), TABLE, json!([]), updates).await.ok();
    assert_eq!(published(publish(&lake, run_id(1)).await).totals.records, 5);
    assert_eq!(lake.metadata(TABLE).await.current_schema_id(), 1);
}

#[tokio::test]
async fn an_append_brings_its_schema_unless_somebody_changed_it_later() {
    let lake = Lake::new().await;
    with_table(&lake).await;
    let schema = wider_schema(1);
    lake.run_writes(run_id(1), TABLE, Write::Widen(2, &schema))
        .await
        .ok();
    lake.append(TABLE, "b", 1).await;
    assert!(published(publish(&lake, run_id(1)).await).rebased);
    assert_eq!(lake.metadata(TABLE).await.current_schema_id(), 1);

    let widest = json!({"type": "struct", "schema-id": 2, "fields": [
        {"id": 1, "name": "id", "required": false, "type": "long"},
        {"id": 2, "name": "extra", "required": false, "type": "string"},
        {"id": 3, "name": "mine", "required": false, "type": "string"}]});
    let widest = serde_json::from_value(widest).unwrap();
    lake.run_writes(run_id(2), TABLE, Write::Widen(2, &widest))
        .await
        .ok();
    let theirs = json!({"type": "struct", "schema-id": 3, "fields": [
        {"id": 1, "name": "id", "required": false, "type": "long"},
        {"id": 4, "name": "theirs", "required": false, "type": "string"}]});
    let updates = json!([{"action": "add-schema", "schema": theirs},
                         {"action": "set-current-schema", "schema-id": -1}]);
    lake.commit(&user(), TABLE, json!([]), updates).await.ok();
    let outcome = publish(&lake, run_id(2)).await;
    assert!(
        matches!(outcome, PublishOutcome::Conflict { .. }),
        "{outcome:?}"
    );
    assert_eq!(lake.metadata(TABLE).await.current_schema_id(), 3);
}

#[tokio::test]
async fn discarding_leaves_nothing() {
    for lake in lakes().await {
        with_table(&lake).await;
        let before = lake.get(&path(TABLE)).await.ok();
        let files = |lake: &Lake| {
            let mut files = lake.files(TABLE);
            files.retain(|file| !file.ends_with(".metadata.json"));
            files
        };
        let kept = files(&lake);
        let schema = wider_schema(1);
        lake.run_writes(run_id(1), TABLE, Write::Schema(2, &schema))
            .await
            .ok();
        assert!(files(&lake).len() > kept.len());
        for _ in 0..2 {
            let discarded = lake
                .catalog
                .discard(run_id(1), &ident(TABLE))
                .await
                .unwrap();
            assert_eq!(discarded, DiscardOutcome::Discarded);
            assert_eq!(files(&lake), kept);
        }
        let after = lake.get(&path(TABLE)).await.ok();
        for field in [
            "refs",
            "snapshots",
            "current-snapshot-id",
            "current-schema-id",
        ] {
            assert_eq!(
                after["metadata"][field], before["metadata"][field],
                "{field}"
            );
        }
        assert_eq!(
            publish(&lake, run_id(1)).await,
            PublishOutcome::NothingToPublish
        );
    }
}

#[tokio::test]
async fn discarding_takes_the_files_of_a_run_that_never_committed() {
    let lake = Lake::new().await;
    with_table(&lake).await;
    let stray = format!("data/{}/stray.parquet", run_id(1).branch());
    lake.data_file(TABLE, &stray, 1).await;
    let location = lake.get(&path(TABLE)).await.ok()["metadata-location"].clone();
    lake.catalog
        .discard(run_id(1), &ident(TABLE))
        .await
        .unwrap();
    assert!(!lake.files(TABLE).contains(&stray));
    assert_eq!(
        lake.get(&path(TABLE)).await.ok()["metadata-location"],
        location,
        "no commit"
    );
}

#[tokio::test]
async fn discarding_after_a_crash_finishes_the_work() {
    let lake = Lake::new().await;
    with_table(&lake).await;
    lake.run_writes(run_id(1), TABLE, Write::Append(2))
        .await
        .ok();
    // The branch went, then the process died before it deleted the files.
    let branch = run_id(1).branch();
    let updates = json!([{"action": "remove-snapshot-ref", "ref-name": branch}]);
    lake.commit(&user(), TABLE, json!([]), updates).await.ok();
    let catalog = lake.restarted();
    catalog.discard(run_id(1), &ident(TABLE)).await.unwrap();
    let metadata = lake.metadata(TABLE).await;
    assert_eq!(
        metadata.snapshots().len(),
        1,
        "also the snapshot that had lost its branch"
    );
    assert!(!lake.files(TABLE).iter().any(|file| file.contains(&branch)));
}

#[tokio::test]
async fn the_first_publish_makes_a_table_visible() {
    for lake in lakes().await {
        let caller = run(run_id(1), TABLE, &[]);
        lake.create(&caller, TABLE).await.ok();
        lake.run_writes(run_id(1), TABLE, Write::Append(4))
            .await
            .ok();
        lake.load(&user(), TABLE)
            .await
            .fails(404, "NoSuchTableException");
        let publication = published(publish(&lake, run_id(1)).await);
        assert_eq!(publication.totals.records, 4);
        let metadata = lake.metadata(TABLE).await;
        assert_eq!(
            metadata.current_snapshot_id(),
            Some(publication.snapshot_id)
        );
        assert!(metadata.snapshot_for_ref(&run_id(1).branch()).is_none());
        assert_eq!(lake.store.tables().list_all_staged().await.unwrap(), []);
        let again = PublishOutcome::AlreadyPublished(publication);
        assert_eq!(publish(&lake, run_id(1)).await, again);
        let discarded = lake
            .catalog
            .discard(run_id(1), &ident(TABLE))
            .await
            .unwrap();
        assert_eq!(discarded, DiscardOutcome::AlreadyPublished);
        assert_eq!(rows(&lake).await, 4);
    }
}

#[tokio::test]
async fn a_staged_table_without_rows_is_not_published() {
    let lake = Lake::new().await;
    lake.create(&run(run_id(1), TABLE, &[]), TABLE).await.ok();
    assert_eq!(
        publish(&lake, run_id(1)).await,
        PublishOutcome::NothingToPublish
    );
    lake.load(&user(), TABLE)
        .await
        .fails(404, "NoSuchTableException");
}

#[tokio::test]
async fn a_staged_table_that_somebody_else_created_is_a_conflict() {
    let lake = Lake::new().await;
    lake.create(&run(run_id(1), TABLE, &[]), TABLE).await.ok();
    lake.run_writes(run_id(1), TABLE, Write::Append(4))
        .await
        .ok();
    with_table(&lake).await;
    assert!(matches!(
        publish(&lake, run_id(1)).await,
        PublishOutcome::Conflict { .. }
    ));
    lake.catalog
        .discard(run_id(1), &ident(TABLE))
        .await
        .unwrap();
    assert_eq!(rows(&lake).await, 3, "the other table is whole");
    assert!(
        !lake
            .files(TABLE)
            .iter()
            .any(|file| file.contains(&run_id(1).branch()))
    );
    lake.run_writes(run_id(1), TABLE, Write::Append(4))
        .await
        .ok();
    assert_eq!(published(publish(&lake, run_id(1)).await).totals.records, 7);
}

#[tokio::test]
async fn discarding_a_staged_table_removes_its_folder() {
    for lake in lakes().await {
        lake.create(&run(run_id(1), TABLE, &[]), TABLE).await.ok();
        lake.run_writes(run_id(1), TABLE, Write::Append(4))
            .await
            .ok();
        assert!(lake.folder_exists(TABLE));
        for _ in 0..2 {
            let discarded = lake
                .catalog
                .discard(run_id(1), &ident(TABLE))
                .await
                .unwrap();
            assert_eq!(discarded, DiscardOutcome::Discarded);
            assert_eq!(lake.files(TABLE), Vec::<String>::new());
            assert!(!lake.folder_exists(TABLE));
        }
        assert_eq!(lake.catalog.run_branches().await.unwrap(), []);
        let caller = run(run_id(1), TABLE, &[]);
        lake.load(&caller, TABLE)
            .await
            .fails(404, "NoSuchTableException");
        assert_eq!(
            publish(&lake, run_id(1)).await,
            PublishOutcome::NothingToPublish
        );
    }
}

#[tokio::test]
async fn discarding_a_staged_table_after_a_crash_finishes_the_work() {
    let lake = Lake::new().await;
    let created = lake.create(&run(run_id(1), TABLE, &[]), TABLE).await.ok();
    // The process died after it had deleted the files and before it deleted the row.
    lake.io()
        .delete(created["metadata-location"].as_str().unwrap())
        .await
        .unwrap();
    let catalog = lake.restarted();
    catalog.discard(run_id(1), &ident(TABLE)).await.unwrap();
    assert_eq!(lake.store.tables().list_all_staged().await.unwrap(), []);
    assert!(!lake.folder_exists(TABLE));
}

#[tokio::test]
async fn discarding_one_run_spares_the_others() {
    let lake = Lake::new().await;
    with_table(&lake).await;
    lake.run_writes(run_id(1), TABLE, Write::Append(2))
        .await
        .ok();
    lake.run_writes(run_id(2), TABLE, Write::Append(20))
        .await
        .ok();
    lake.catalog
        .discard(run_id(1), &ident(TABLE))
        .await
        .unwrap();
    let publication = published(publish(&lake, run_id(2)).await);
    assert_eq!(
        (publication.totals.records, publication.rebased),
        (23, false)
    );
}

#[tokio::test]
async fn a_branch_that_somebody_moved_main_to_is_published_already() {
    let lake = Lake::new().await;
    with_table(&lake).await;
    let written = lake
        .run_writes(run_id(1), TABLE, Write::Append(2))
        .await
        .metadata();
    let head = written
        .snapshot_for_ref(&run_id(1).branch())
        .unwrap()
        .snapshot_id();
    let updates = json!([set_ref("main", head)]);
    lake.commit(&user(), TABLE, json!([]), updates).await.ok();
    assert!(matches!(
        publish(&lake, run_id(1)).await,
        PublishOutcome::AlreadyPublished(_)
    ));
    assert!(
        lake.metadata(TABLE)
            .await
            .snapshot_for_ref(&run_id(1).branch())
            .is_none()
    );
}

/// Run `number` appends, on top of what the table is now, rows that it computed from `seen`.
async fn appends_what_it_read(lake: &Lake, number: u32, seen: i64) {
    let run_id = run_id(number);
    let metadata = lake.metadata(TABLE).await;
    let file = format!("data/{}/rows.parquet", run_id.branch());
    let files = vec![lake.data_file(TABLE, &file, 2).await];
    let snapshot = SnapshotProducer::append(lake.io(), files)
        .with_run_id(run_id)
        .with_property(READ_SNAPSHOT_PROPERTY, seen.to_string())
        .produce(&metadata, metadata.current_snapshot_id())
        .await
        .unwrap();
    let updates = json!([
        add_snapshot(&snapshot),
        set_ref(&run_id.branch(), snapshot.snapshot_id())
    ]);
    let caller = run(run_id, TABLE, &[]);
    lake.commit(&caller, TABLE, json!([]), updates).await.ok();
}

#[tokio::test]
async fn rows_that_were_computed_from_the_table_are_not_rebased() {
    let lake = Lake::new().await;
    with_table(&lake).await;
    let seen = async || lake.metadata(TABLE).await.current_snapshot_id().unwrap();
    appends_what_it_read(&lake, 1, seen().await).await;
    assert_eq!(published(publish(&lake, run_id(1)).await).totals.records, 5);
    // Somebody else writes after the run has, or before it does and after it has read.
    appends_what_it_read(&lake, 2, seen().await).await;
    let before = seen().await;
    lake.append(TABLE, "b", 10).await;
    appends_what_it_read(&lake, 3, before).await;
    for number in [2, 3] {
        let outcome = publish(&lake, run_id(number)).await;
        assert!(
            matches!(outcome, PublishOutcome::Conflict { .. }),
            "{number}: {outcome:?}"
        );
    }
    assert_eq!(rows(&lake).await, 15);
}

#[tokio::test]
async fn publishing_and_discarding_what_never_was_is_no_error() {
    let lake = Lake::new().await;
    assert_eq!(
        publish(&lake, run_id(1)).await,
        PublishOutcome::NothingToPublish
    );
    let discarded = lake
        .catalog
        .discard(run_id(1), &ident(TABLE))
        .await
        .unwrap();
    assert_eq!(discarded, DiscardOutcome::Discarded);
    with_table(&lake).await;
    assert_eq!(
        publish(&lake, run_id(1)).await,
        PublishOutcome::NothingToPublish
    );
}
