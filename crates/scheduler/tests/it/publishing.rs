//! Publishing that fails: the run ends all the same, and the row says what the table shows.

use std::path::PathBuf;
use std::time::Duration;

use rat_iceberg::snapshot::manifests;
use rat_iceberg::storage::local_path;
use rat_scheduler::Config;
use rat_types::{RunRequest, RunStatus, TableIdent};

use crate::fake::Answer;
use crate::lake::{Client, Write};
use crate::world::{POLL, World};

/// The manifest that the run wrote to its branch.
async fn manifest(world: &World, request: &RunRequest) -> PathBuf {
    let metadata = Client::run(&world.catalog, request)
        .load(&request.pipeline)
        .await
        .unwrap();
    let head = metadata.snapshot_for_ref(&request.run_id.branch()).unwrap();
    let all = manifests(world.catalog.file_io(), &metadata, head)
        .await
        .unwrap();
    let own = all
        .iter()
        .find(|manifest| manifest.added_snapshot_id == head.snapshot_id())
        .unwrap();
    local_path(&own.manifest_path).unwrap()
}

/// A run whose append has to be rebased, and its outcome.
async fn to_be_rebased(
    world: &mut World,
    table: &TableIdent,
) -> (RunRequest, rat_types::RunOutcome) {
    world.succeed(table).await;
    let request = world.running(table).await;
    let outcome = world.execute(&request, Write::Append).await;
    world.meddle(table).await;
    (request, outcome)
}

#[tokio::test]
async fn a_result_that_can_never_be_published_fails_its_run() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let (request, outcome) = to_be_rebased(&mut world, &table).await;
    std::fs::remove_file(manifest(&world, &request).await).unwrap();
    world.report(outcome).await;
    let run = world.ended(request.run_id).await;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.error.unwrap().code, "MANIFEST_UNREADABLE");
    assert_eq!(world.rows(&table).await, Some(3 + 1));
    assert!(world.has_no_leftovers().await);
    // The pipeline is free again.
    world.succeed(&table).await;
}

#[tokio::test]
async fn a_run_whose_publishing_fails_can_be_cancelled() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let (request, outcome) = to_be_rebased(&mut world, &table).await;
    // Reading a folder fails, and might not the next time.
    let manifest = manifest(&world, &request).await;
    std::fs::remove_file(&manifest).unwrap();
    std::fs::create_dir(&manifest).unwrap();
    world.report(outcome).await;
    world.handle().cancel(request.run_id, "anna").await.unwrap();
    let run = world.ended(request.run_id).await;
    assert_eq!(run.status, RunStatus::Cancelled, "{run:#?}");
    assert_eq!(world.rows(&table).await, Some(3 + 1));
    assert!(world.has_no_leftovers().await);
}

#[tokio::test]
async fn publishing_is_not_tried_for_ever() {
    let mut world = World::stopped().await;
    let config = Config {
        poll_interval: POLL,
        publish_for: Duration::from_millis(100),
        orphans_interval: Duration::from_millis(100),
        ..Config::new(
            "unix:/internal.sock".into(),
            world.catalog.warehouse().clone(),
        )
    };
    world.start_with(config);
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world.succeed(&table).await;
    let request = world.running(&table).await;
    let outcome = world.execute(&request, Write::Append).await;
    world
        .sabotage(
            "CREATE TRIGGER sabotage BEFORE UPDATE ON iceberg_tables
             BEGIN SELECT RAISE(FAIL, 'sabotaged'); END",
        )
        .await;
    world.report(outcome).await;
    let run = world.ended(request.run_id).await;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.error.unwrap().code, "PUBLISH_FAILED");
    assert_eq!(world.rows(&table).await, Some(3));
    // What could not be removed then goes later, without a restart.
    world.sabotage("DROP TRIGGER sabotage").await;
    world
        .until("nothing is left", async || world.has_no_leftovers().await)
        .await;
    assert_eq!(world.rows(&table).await, Some(3));
}

#[tokio::test]
async fn a_run_that_cannot_be_removed_is_not_called_cancelled() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world.succeed(&table).await;
    let request = world.running(&table).await;
    let outcome = world.execute(&request, Write::Append).await;
    world
        .sabotage(
            "CREATE TRIGGER sabotage BEFORE UPDATE ON iceberg_tables
             BEGIN SELECT RAISE(FAIL, 'sabotaged'); END",
        )
        .await;
    world.handle().cancel(request.run_id, "anna").await.unwrap();
    world.report(outcome).await;
    // Longer than all tries to remove it.
    let waited = tokio::time::timeout(
        Duration::from_secs(3),
        world.wait_for(request.run_id, |run| run.status.is_terminal()),
    );
    assert!(waited.await.is_err(), "nobody knows what the table shows");
    world.sabotage("DROP TRIGGER sabotage").await;
    let run = world.ended(request.run_id).await;
    assert_eq!(run.status, RunStatus::Success);
    assert_eq!(world.rows(&table).await, Some(3 + 3));
    assert!(world.has_no_leftovers().await);
}

#[tokio::test]
async fn a_published_table_has_the_owner_of_its_pipeline() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world.succeed(&table).await;
    let store = world.store.clone();
    let described = store.table_metadata();
    let stored = described.get(&table).await.unwrap().unwrap();
    assert_eq!(stored.owner, "anonymous");
    // Somebody else's it stays.
    let owners = store.owners();
    owners
        .give_table(&table, "anonymous", "anna")
        .await
        .unwrap();
    world.succeed(&table).await;
    let stored = described.get(&table).await.unwrap().unwrap();
    assert_eq!(stored.owner, "anna");
}

#[tokio::test]
async fn an_executor_that_is_restarted_before_it_answers_leaves_nothing() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world.succeed(&table).await;
    world
        .fake
        .answer([Answer::InterruptedTaken, Answer::Unavailable]);
    world.fake.hold_after(1);
    let first = world.running(&table).await;
    world.execute(&first, Write::Append).await;
    world.fake.forget(first.run_id);
    world.fake.release();
    let second = world.taken().await;
    assert_eq!(second.run_id, first.run_id);
    assert!(world.has_no_leftovers().await);
    let outcome = world.execute(&second, Write::Append).await;
    world.report(outcome).await;
    assert_eq!(world.ended(first.run_id).await.status, RunStatus::Success);
    assert_eq!(world.rows(&table).await, Some(3 + 3));
}
