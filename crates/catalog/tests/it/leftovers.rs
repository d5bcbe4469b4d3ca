//! The files of runs in a table's folder, counted on the disk.

use iceberg::spec::{DataFile, TableMetadata};
use rat_catalog::{DiscardOutcome, PublishOutcome};
use rat_iceberg::snapshot::{SnapshotProducer, live_files, manifests};
use serde_json::json;

use crate::support::{
    Lake, Write, add_snapshot, ident, lakes, path, run, run_id, set_ref, user, wider_schema,
};

const TABLE: &str = "default.bronze.t";

async fn with_table() -> Lake {
    let lake = Lake::new().await;
    lake.create(&user(), TABLE).await.ok();
    lake.append(TABLE, "first", 1).await;
    lake
}

/// Files that are not the table's history.
fn files(lake: &Lake) -> Vec<String> {
    let mut files = lake.files(TABLE);
    files.retain(|file| !file.ends_with(".metadata.json"));
    files
}

fn files_of_runs(lake: &Lake) -> Vec<String> {
    let mut files = files(lake);
    files.retain(|file| file.contains("/run-"));
    files
}

/// An attempt whose process is killed before it commits.
async fn killed_attempt(lake: &Lake) {
    let caller = run(run_id(1), TABLE, &[]);
    let metadata = lake.load(&caller, TABLE).await.metadata();
    let base = metadata.current_snapshot_id();
    lake.run_snapshot(run_id(1), TABLE, &metadata, base, Write::Overwrite(2))
        .await;
}

async fn discard(lake: &Lake) {
    let discarded = lake.catalog.discard(run_id(1), &ident(TABLE)).await;
    assert_eq!(discarded.unwrap(), DiscardOutcome::Discarded);
}

/// Every file that the table refers to, in any snapshot, is there.
async fn assert_readable(lake: &Lake) {
    let (io, metadata) = (lake.io(), lake.metadata(TABLE).await);
    for snapshot in metadata.snapshots() {
        manifests(&io, &metadata, snapshot).await.unwrap();
        for file in live_files(&io, &metadata, snapshot).await.unwrap() {
            let path = file.data_file.file_path();
            assert!(io.exists(path).await.unwrap(), "{path}");
        }
    }
}

#[tokio::test]
async fn a_killed_attempt_leaves_no_file() {
    let lake = with_table().await;
    let (before, history) = (files(&lake), lake.files(TABLE).len());
    killed_attempt(&lake).await;
    assert_eq!(
        files(&lake).len(),
        before.len() + 4,
        "a data file, two manifests and their list"
    );
    discard(&lake).await;
    assert_eq!(files(&lake), before);
    assert_eq!(lake.files(TABLE).len(), history, "and no commit was needed");
}

#[tokio::test]
async fn a_killed_run_that_created_its_table_leaves_no_folder() {
    for lake in lakes().await {
        lake.create(&run(run_id(1), TABLE, &[]), TABLE).await.ok();
        killed_attempt(&lake).await;
        discard(&lake).await;
        assert!(!lake.folder_exists(TABLE), "{:?}", lake.files(TABLE));
    }
}

#[tokio::test]
async fn publishing_leaves_one_attempt_of_several() {
    for rebased in [false, true] {
        let lake = with_table().await;
        killed_attempt(&lake).await;
        lake.run_writes(run_id(1), TABLE, Write::Append(2))
            .await
            .ok();
        if rebased {
            lake.append(TABLE, "other", 4).await;
        }
        let outcome = lake.catalog.publish(run_id(1), &ident(TABLE)).await;
        let PublishOutcome::Published(publication) = outcome.unwrap() else {
            panic!("not published");
        };
        assert_eq!(publication.rebased, rebased);
        assert_eq!(
            files_of_runs(&lake).len(),
            3,
            "a data file, its manifest and the list: {:?}",
            files_of_runs(&lake)
        );
        assert_readable(&lake).await;
    }
}

#[tokio::test]
async fn a_publisher_that_died_is_tidied_up_after() {
    let lake = with_table().await;
    lake.run_writes(run_id(1), TABLE, Write::Append(2))
        .await
        .ok();
    let publish = || async {
        lake.catalog
            .publish(run_id(1), &ident(TABLE))
            .await
            .unwrap()
    };
    publish().await;
    let published = files(&lake);
    killed_attempt(&lake).await;
    assert!(matches!(
        publish().await,
        PublishOutcome::AlreadyPublished(_)
    ));
    assert_eq!(files(&lake), published);
}

#[tokio::test]
async fn what_later_snapshots_carry_over_of_a_published_run_stays() {
    let lake = with_table().await;
    lake.run_writes(run_id(1), TABLE, Write::Append(2))
        .await
        .ok();
    lake.catalog
        .publish(run_id(1), &ident(TABLE))
        .await
        .unwrap();
    lake.append(TABLE, "later", 1).await;
    // The run's snapshot is expired, its rows live on in the later one.
    let metadata = lake.metadata(TABLE).await;
    let head = metadata.current_snapshot_id().unwrap();
    let old: Vec<i64> = metadata
        .snapshots()
        .map(|snapshot| snapshot.snapshot_id())
        .filter(|id| *id != head)
        .collect();
    let updates = json!([{"action": "remove-snapshots", "snapshot-ids": old}]);
    lake.commit(&user(), TABLE, json!([]), updates).await.ok();
    killed_attempt(&lake).await;
    discard(&lake).await;
    assert_readable(&lake).await;
    let of_runs = files_of_runs(&lake);
    assert_eq!(
        of_runs.len(),
        2,
        "the data file and its manifest: {of_runs:?}"
    );
}

#[tokio::test]
async fn a_tag_keeps_the_files_of_a_discarded_run() {
    let lake = with_table().await;
    let before = files(&lake);
    let schema = wider_schema(1);
    lake.run_writes(run_id(1), TABLE, Write::Schema(2, &schema))
        .await
        .ok();
    let metadata = lake.metadata(TABLE).await;
    let head = metadata.snapshot_for_ref(&run_id(1).branch()).unwrap();
    let tag = json!({"action": "set-snapshot-ref", "ref-name": "look-at-this", "type": "tag",
                     "snapshot-id": head.snapshot_id()});
    lake.commit(&user(), TABLE, json!([]), json!([tag]))
        .await
        .ok();
    let tagged = files(&lake);
    killed_attempt(&lake).await;
    discard(&lake).await;
    assert_eq!(files(&lake), tagged, "the other attempt went");
    assert_readable(&lake).await;
    let metadata = lake.metadata(TABLE).await;
    assert!(metadata.snapshot_for_ref("look-at-this").is_some());
    assert!(metadata.schema_by_id(1).is_some(), "the tag needs it");

    let updates = json!([{"action": "remove-snapshot-ref", "ref-name": "look-at-this"}]);
    lake.commit(&user(), TABLE, json!([]), updates).await.ok();
    discard(&lake).await;
    assert_eq!(files(&lake), before);
}

#[tokio::test]
async fn a_branch_keeps_the_files_of_a_run_whose_snapshot_it_expired() {
    let lake = with_table().await;
    lake.run_writes(run_id(1), TABLE, Write::Append(2))
        .await
        .ok();
    let metadata = lake.metadata(TABLE).await;
    let head = metadata
        .snapshot_for_ref(&run_id(1).branch())
        .unwrap()
        .snapshot_id();
    let mine = user_snapshot(&lake, &metadata, Some(head), vec![]).await;
    let updates = json!([add_snapshot(&mine), set_ref("mine", mine.snapshot_id())]);
    lake.commit(&user(), TABLE, json!([]), updates).await.ok();
    let expire = json!([
        {"action": "remove-snapshot-ref", "ref-name": run_id(1).branch()},
        {"action": "remove-snapshots", "snapshot-ids": [head]}]);
    lake.commit(&user(), TABLE, json!([]), expire).await.ok();
    discard(&lake).await;
    assert_readable(&lake).await;
    assert_eq!(files_of_runs(&lake).len(), 2, "{:?}", files_of_runs(&lake));
}

#[tokio::test]
async fn a_data_file_that_a_user_took_over_outlives_its_run() {
    let lake = with_table().await;
    lake.run_writes(run_id(1), TABLE, Write::Append(2))
        .await
        .ok();
    let metadata = lake.metadata(TABLE).await;
    let branch = metadata.snapshot_for_ref(&run_id(1).branch()).unwrap();
    let taken = live_files(&lake.io(), &metadata, branch).await.unwrap();
    let taken: Vec<DataFile> = taken
        .into_iter()
        .map(|file| file.data_file)
        .filter(|file| file.file_path().contains("/run-"))
        .collect();
    let main = metadata.current_snapshot_id();
    let picked = user_snapshot(&lake, &metadata, main, taken).await;
    let updates = json!([add_snapshot(&picked), set_ref("main", picked.snapshot_id())]);
    lake.commit(&user(), TABLE, json!([]), updates).await.ok();
    discard(&lake).await;
    assert_readable(&lake).await;
    assert_eq!(files_of_runs(&lake).len(), 1, "{:?}", files_of_runs(&lake));
}

async fn user_snapshot(
    lake: &Lake,
    metadata: &TableMetadata,
    base: Option<i64>,
    files: Vec<DataFile>,
) -> iceberg::spec::Snapshot {
    let mut producer = SnapshotProducer::append(lake.io(), files);
    producer.produce(metadata, base).await.unwrap()
}

#[tokio::test]
async fn a_discarded_run_takes_its_schema_along() {
    let lake = with_table().await;
    let before = lake.get(&path(TABLE)).await.ok();
    let schema = wider_schema(1);
    lake.run_writes(run_id(1), TABLE, Write::Schema(2, &schema))
        .await
        .ok();
    discard(&lake).await;
    let after = lake.get(&path(TABLE)).await.ok();
    assert_eq!(after["metadata"]["schemas"], before["metadata"]["schemas"]);
    assert_eq!(
        after["metadata"]["last-column-id"], 2,
        "a column id is given out once"
    );
    // The table goes on as before, under the same schema id.
    lake.run_writes(run_id(2), TABLE, Write::Schema(3, &schema))
        .await
        .ok();
    lake.catalog
        .publish(run_id(2), &ident(TABLE))
        .await
        .unwrap();
    assert_eq!(lake.metadata(TABLE).await.current_schema_id(), 1);
}

#[tokio::test]
async fn damaged_manifests_do_not_cost_files() {
    let lake = with_table().await;
    let metadata = lake.metadata(TABLE).await;
    let list = metadata
        .current_snapshot()
        .unwrap()
        .manifest_list()
        .to_owned();
    killed_attempt(&lake).await;
    let left = files(&lake).len();
    lake.io().delete(&list).await.unwrap();
    discard(&lake).await;
    assert_eq!(files(&lake).len(), left - 1, "nobody knows what is needed");
}
