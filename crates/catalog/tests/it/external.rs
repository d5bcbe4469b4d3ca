//! In front of an external catalog: the same rules, the same ends of a run, its tables.

use rat_catalog::{DiscardOutcome, Publication, PublishOutcome};
use rat_types::RunId;
use serde_json::{Value, json};

use crate::support::{
    Lake, Write, add_snapshot, ident, path, run, run_id, schema_json, set_ref, user, wider_schema,
};
use crate::upstream::{Fault, PREFIX, Upstream};

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

fn files(lake: &Lake) -> Vec<String> {
    let mut files = lake.files(TABLE);
    files.retain(|file| !file.ends_with(".metadata.json"));
    files
}

#[tokio::test]
async fn a_table_of_a_user_is_a_table_of_the_external_catalog() {
    let upstream = Upstream::start().await;
    let front = upstream.front().await;
    let created = front.create(&user(), TABLE).await.metadata();
    front.append(TABLE, "first", 3).await;
    upstream.lake.append(TABLE, "second", 4).await;

    let (here, there) = (
        front.metadata(TABLE).await,
        upstream.lake.metadata(TABLE).await,
    );
    assert_eq!(here, there);
    assert_eq!(here.uuid(), created.uuid());
    let summary = front.catalog.table_summary(&ident(TABLE)).await.unwrap();
    assert_eq!(summary.row_count, 7);
    let tables = front.catalog.list_tables(None, None).await.unwrap();
    assert_eq!(tables, [ident(TABLE)]);
    assert_eq!(front.store.tables().list(None, None).await.unwrap(), []);
    front
        .create(&user(), TABLE)
        .await
        .fails(409, "AlreadyExistsException");
    let paths: Vec<String> = upstream
        .heard()
        .into_iter()
        .map(|heard| heard.path)
        .collect();
    assert!(
        paths[1..]
            .iter()
            .all(|path| path.starts_with(&format!("/catalog/v1/{PREFIX}/namespaces/"))),
        "{paths:?}"
    );

    front.delete(&path(TABLE)).await.ok();
    upstream
        .lake
        .get(&path(TABLE))
        .await
        .fails(404, "NoSuchTableException");
    front
        .delete(&path(TABLE))
        .await
        .fails(404, "NoSuchTableException");
}

#[tokio::test]
async fn a_creation_in_two_steps_reaches_it_in_one() {
    let upstream = Upstream::start().await;
    let front = upstream.front().await;
    let tables = "/v1/namespaces/default%1Fgold/tables";
    let body = json!({"name": "t", "schema": schema_json(), "stage-create": true});
    let staged = front.post(tables, body).await.metadata();
    assert_eq!(upstream.commits(), Vec::<Value>::new());
    let updates = json!([
        {"action": "assign-uuid", "uuid": staged.uuid()},
        {"action": "add-schema", "schema": schema_json()},
        {"action": "set-current-schema", "schema-id": -1}]);
    let require = json!([{"type": "assert-create"}]);
    front
        .commit(&user(), TABLE, require.clone(), updates.clone())
        .await
        .ok();
    assert_eq!(upstream.commits().len(), 1);
    front.append(TABLE, "first", 1).await;
    front
        .commit(&user(), TABLE, require, updates)
        .await
        .fails(409, "CommitFailedException");
}

#[tokio::test]
async fn a_new_table_of_a_run_is_nobody_s_until_it_is_published() {
    let upstream = Upstream::start().await;
    let front = upstream.front().await;
    front.create(&run(run_id(1), TABLE, &[]), TABLE).await.ok();
    front
        .run_writes(run_id(1), TABLE, Write::Append(4))
        .await
        .ok();
    upstream
        .lake
        .get(&path(TABLE))
        .await
        .fails(404, "NoSuchTableException");
    front
        .get(&path(TABLE))
        .await
        .fails(404, "NoSuchTableException");
    upstream.heard();

    let publication = published(publish(&front, run_id(1)).await);
    assert_eq!(publication.totals.records, 4);
    let commits = upstream.commits();
    assert_eq!(commits.len(), 1, "{commits:?}");
    assert_eq!(
        commits[0]["requirements"],
        json!([{"type": "assert-create"}])
    );
    let metadata = upstream.lake.metadata(TABLE).await;
    assert_eq!(
        metadata.current_snapshot_id(),
        Some(publication.snapshot_id)
    );
    assert!(metadata.snapshot_for_ref(&run_id(1).branch()).is_none());
    assert_eq!(front.store.tables().list_all_staged().await.unwrap(), []);
    assert_eq!(front.catalog.run_branches().await.unwrap(), []);
    assert!(matches!(
        publish(&front, run_id(1)).await,
        PublishOutcome::AlreadyPublished(_)
    ));
    assert_eq!(files(&front).len(), 3);
}

#[tokio::test]
async fn publishing_is_one_commit_under_requirements() {
    let upstream = Upstream::start().await;
    let front = upstream.front().await;
    front.create(&user(), TABLE).await.ok();
    let base = front.append(TABLE, "first", 1).await.snapshot_id();
    let schema = wider_schema(1);
    front
        .run_writes(run_id(1), TABLE, Write::Schema(2, &schema))
        .await
        .ok();
    let branch = run_id(1).branch();
    let head = front.metadata(TABLE).await;
    let head = head.snapshot_for_ref(&branch).unwrap().snapshot_id();
    upstream.heard();

    published(publish(&front, run_id(1)).await);
    let commits = upstream.commits();
    assert_eq!(commits.len(), 1, "{commits:?}");
    let requirements = commits[0]["requirements"].as_array().unwrap();
    for required in [
        json!({"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": base}),
        json!({"type": "assert-ref-snapshot-id", "ref": branch, "snapshot-id": head}),
        json!({"type": "assert-current-schema-id", "current-schema-id": 0}),
    ] {
        assert!(
            requirements.contains(&required),
            "{required} {requirements:?}"
        );
    }
    let metadata = upstream.lake.metadata(TABLE).await;
    assert_eq!(metadata.current_snapshot_id(), Some(head));
    assert_eq!(metadata.current_schema_id(), 1);
    assert!(metadata.snapshot_for_ref(&branch).is_none());
}

#[tokio::test]
async fn what_others_committed_there_is_a_conflict_or_rebased() {
    let upstream = Upstream::start().await;
    let front = upstream.front().await;
    front.create(&user(), TABLE).await.ok();
    front.append(TABLE, "first", 1).await;
    front
        .run_writes(run_id(1), TABLE, Write::Append(2))
        .await
        .ok();
    front
        .run_writes(run_id(2), TABLE, Write::Overwrite(9))
        .await
        .ok();
    upstream.lake.append(TABLE, "theirs", 4).await;
    // Somebody is faster once more, in the very moment.
    upstream.next([Fault::None, Fault::Refused(409)]);
    let publication = published(publish(&front, run_id(1)).await);
    assert!(publication.rebased);
    assert_eq!(publication.totals.records, 7);
    assert!(matches!(
        publish(&front, run_id(2)).await,
        PublishOutcome::Conflict { .. }
    ));
}

#[tokio::test]
async fn discarding_removes_the_branch_there_and_the_files_here() {
    let upstream = Upstream::start().await;
    let front = upstream.front().await;
    front.create(&user(), TABLE).await.ok();
    front.append(TABLE, "first", 1).await;
    let before = files(&front);
    front
        .run_writes(run_id(1), TABLE, Write::Append(2))
        .await
        .ok();
    let branch = run_id(1).branch();
    let there = upstream.lake.metadata(TABLE).await;
    assert!(there.snapshot_for_ref(&branch).is_some());
    for _ in 0..2 {
        let discarded = front.catalog.discard(run_id(1), &ident(TABLE)).await;
        assert_eq!(discarded.unwrap(), DiscardOutcome::Discarded);
        assert_eq!(files(&front), before);
    }
    let there = upstream.lake.metadata(TABLE).await;
    assert!(there.snapshot_for_ref(&branch).is_none());
    assert_eq!(there.snapshots().len(), 1);
}

#[tokio::test]
async fn what_a_run_must_not_do_is_not_even_asked_of_it() {
    let upstream = Upstream::start().await;
    let front = upstream.front().await;
    front.create(&user(), TABLE).await.ok();
    let snapshot = front.append(TABLE, "first", 1).await;
    upstream.heard();
    let caller = run(run_id(1), TABLE, &[]);
    let branch = run_id(1).branch();
    for updates in [
        json!([set_ref("main", snapshot.snapshot_id())]),
        json!([{"action": "set-properties", "updates": {"a": "b"}}]),
        json!([{"action": "remove-snapshot-ref", "ref-name": "main"}]),
        json!([
            add_snapshot(&snapshot),
            set_ref(&branch, snapshot.snapshot_id())
        ]),
    ] {
        front
            .commit(&caller, TABLE, json!([]), updates)
            .await
            .fails(403, "ForbiddenException");
    }
    assert_eq!(upstream.commits(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_commit_that_loses_is_checked_against_the_table_as_it_is_then() {
    let upstream = Upstream::start().await;
    let front = upstream.front().await;
    front.create(&user(), TABLE).await.ok();
    let metadata = front.metadata(TABLE).await;
    let properties = json!([{"action": "set-properties", "updates": {"a": "b"}}]);
    upstream.next([Fault::None, Fault::Refused(409)]);
    front
        .commit(&user(), TABLE, json!([]), properties)
        .await
        .ok();
    assert_eq!(upstream.lake.metadata(TABLE).await.properties()["a"], "b");

    upstream.lake.append(TABLE, "theirs", 1).await;
    let stale = json!([{"type": "assert-ref-snapshot-id", "ref": "main",
                        "snapshot-id": metadata.current_snapshot_id()}]);
    let updates = json!([{"action": "set-properties", "updates": {"c": "d"}}]);
    front
        .commit(&user(), TABLE, stale, updates)
        .await
        .fails(409, "CommitFailedException");
}

#[tokio::test]
async fn a_namespace_follows_and_goes_when_it_is_empty() {
    let upstream = Upstream::start().await;
    let front = upstream.front().await;
    let namespace = json!({"namespace": ["shop"]});
    front.post("/v1/namespaces", namespace).await.ok();
    upstream
        .lake
        .get("/v1/namespaces/shop")
        .await
        .fails(404, "NoSuchNamespaceException");
    front.create(&user(), "shop.silver.t").await.ok();
    upstream.lake.get("/v1/namespaces/shop").await.ok();
    for namespace in ["/v1/namespaces/shop", "/v1/namespaces/shop%1Fsilver"] {
        front
            .delete(namespace)
            .await
            .fails(409, "NamespaceNotEmptyException");
    }
    front.delete(&path("shop.silver.t")).await.ok();
    front.delete("/v1/namespaces/shop").await.ok();
    upstream
        .lake
        .get("/v1/namespaces/shop")
        .await
        .fails(404, "NoSuchNamespaceException");
}
