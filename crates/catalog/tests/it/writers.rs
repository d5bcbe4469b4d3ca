use std::sync::Arc;

use rat_iceberg::snapshot::SnapshotProducer;
use serde_json::json;

use crate::support::{Answer, Lake, add_snapshot, data_file, ident, lakes, set_ref, user};

const TABLE: &str = "default.gold.t";
const WRITERS: u64 = 32;
const APPENDS: u64 = 4;

/// One writer as a client of the specification is: load, append, commit, and load again after a
/// conflict. Answers how many conflicts there were.
async fn write(lake: Arc<Lake>, writer: u64) -> u64 {
    let mut conflicts = 0;
    for i in 0..APPENDS {
        let location = lake.catalog.warehouse().table_location(&ident(TABLE));
        let file = data_file(&format!("{location}/data/{writer}-{i}.parquet"), 1);
        let mut producer = SnapshotProducer::append(lake.io(), vec![file]);
        while !append(&lake, &mut producer).await {
            conflicts += 1;
        }
    }
    conflicts
}

async fn append(lake: &Lake, producer: &mut SnapshotProducer) -> bool {
    let metadata = lake.metadata(TABLE).await;
    let base = metadata.current_snapshot_id();
    let snapshot = producer.produce(&metadata, base).await.unwrap();
    let require = json!([
        {"type": "assert-table-uuid", "uuid": metadata.uuid()},
        {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": base}]);
    let updates = json!([
        add_snapshot(&snapshot),
        set_ref("main", snapshot.snapshot_id())
    ]);
    let answer: Answer = lake.commit(&user(), TABLE, require, updates).await;
    if answer.status.is_success() {
        return true;
    }
    answer.fails(409, "CommitFailedException");
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_two_writers_lose_nothing_and_see_only_conflicts() {
    for lake in lakes().await {
        lake.create(&user(), TABLE).await.ok();
        let lake = Arc::new(lake);
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write(lake.clone(), writer));
        }
        let conflicts: u64 = writers.join_all().await.into_iter().sum();
        let summary = lake.catalog.table_summary(&ident(TABLE)).await.unwrap();
        assert_eq!(summary.row_count, WRITERS * APPENDS);
        assert_eq!(summary.file_count, WRITERS * APPENDS);
        let metadata = lake.metadata(TABLE).await;
        assert_eq!(metadata.snapshots().len() as u64, WRITERS * APPENDS);
        assert!(conflicts > 0, "the writers did not even meet");
        // Each commit left one metadata file, those that failed left none; the oldest are gone.
        let files = lake.files(TABLE);
        let current = files
            .iter()
            .filter(|file| file.ends_with(".metadata.json"))
            .count();
        assert_eq!(current, 101, "the current one and a hundred before");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_create_one_table_one_succeeds() {
    for lake in lakes().await {
        let lake = Arc::new(lake);
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let lake = lake.clone();
            writers.spawn(async move {
                let answer = lake.create(&user(), TABLE).await;
                let created = answer.status.is_success();
                if !created {
                    answer.fails(409, "AlreadyExistsException");
                }
                created
            });
        }
        let created = writers.join_all().await;
        assert_eq!(created.iter().filter(|created| **created).count(), 1);
        assert_eq!(lake.files(TABLE).len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_on_one_database_lose_nothing_either() {
    for lake in lakes().await {
        lake.create(&user(), TABLE).await.ok();
        let lake = Arc::new(lake);
        // Another process has locks of its own: only the compare-and-set stands between them.
        let mut writers = tokio::task::JoinSet::new();
        for number in 0..8_u32 {
            let router = rat_catalog::rest::router(lake.restarted());
            writers.spawn(async move {
                let updates = json!([{"action": "set-properties",
                                      "updates": {format!("p{number}"): "1"}}]);
                let body = json!({"requirements": [], "updates": updates}).to_string();
                for _ in 0..100 {
                    let mut request = http::Request::post(crate::support::path(TABLE))
                        .body(axum::body::Body::from(body.clone()))
                        .unwrap();
                    request.extensions_mut().insert(user());
                    let answer = tower::ServiceExt::oneshot(router.clone(), request)
                        .await
                        .unwrap();
                    match answer.status().as_u16() {
                        200 => return,
                        409 => {}
                        other => panic!("{other}"),
                    }
                }
                panic!("never got through");
            });
        }
        writers.join_all().await;
        let metadata = lake.metadata(TABLE).await;
        for number in 0..8 {
            assert!(
                metadata.properties().contains_key(&format!("p{number}")),
                "{number}"
            );
        }
        let files = lake.files(TABLE).len();
        assert_eq!(files, 9, "no metadata file of a lost race is left");
    }
}
