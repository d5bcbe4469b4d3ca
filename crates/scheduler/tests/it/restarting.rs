use std::path::PathBuf;
use std::time::Duration;

use chrono::Utc;
use rat_iceberg::storage::local_path;
use rat_scheduler::Config;
use rat_store::RunStart;
use rat_types::{LogEntry, LogLevel, RunId, RunRequest, RunState, RunStatus, TableIdent};

use crate::fake::{NAME, outcome};
use crate::lake::Write;
use crate::world::World;

fn start(executor: &str, attempt: u32) -> RunStart {
    RunStart {
        executor: executor.into(),
        token_hash: "0".repeat(64),
        attempt,
        source_hash: "0".repeat(64),
        readable: Vec::new(),
    }
}

#[tokio::test]
async fn a_pending_run_is_found_after_a_start() {
    let mut world = World::stopped().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let run = world.trigger(&table).await;
    world.start();
    assert_eq!(world.taken().await.run_id, run);
}

#[tokio::test]
async fn a_claimed_run_is_submitted_after_a_start() {
    let mut world = World::stopped().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let run = world.trigger(&table).await;
    assert_eq!(world.store.runs().claim_next(1).await.unwrap().len(), 1);
    world.start();
    let request = world.taken().await;
    assert_eq!((request.run_id, request.attempt), (run, 1));
}

#[tokio::test]
async fn a_running_run_is_watched_on_after_a_start() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let request = world.running(&table).await;
    world.fake.log(request.run_id, "before");
    world.stop().await;
    assert_eq!(world.run(request.run_id).await.status, RunStatus::Running);
    world.fake.log(request.run_id, "after");
    world.start();
    let outcome = world.execute(&request, Write::Overwrite).await;
    world.report(outcome).await;
    let run = world.ended(request.run_id).await;
    assert_eq!(run.status, RunStatus::Success);
    let published = format!("Published as snapshot {}, 3 rows", run.snapshot_id.unwrap());
    assert_eq!(
        world.log(run.id).await,
        ["before", "after", published.as_str()]
    );
}

#[tokio::test]
async fn a_run_that_ended_meanwhile_is_found_without_a_callback() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let request = world.running(&table).await;
    world.stop().await;
    let outcome = world.execute(&request, Write::Overwrite).await;
    world.fake.end(&outcome);
    // The poll is far away: the first question has to come at once.
    let config = Config::new(String::new(), world.catalog.warehouse().clone());
    world.start_with(Config {
        poll_interval: Duration::from_secs(3600),
        ..config
    });
    assert_eq!(world.ended(request.run_id).await.status, RunStatus::Success);
    assert_eq!(world.rows(&table).await, Some(3));
}

#[tokio::test]
async fn a_recorded_outcome_is_carried_out_after_a_start() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    for state in [RunState::Succeeded, RunState::Failed, RunState::Cancelled] {
        let request = world.running(&table).await;
        let mut outcome = outcome(request.run_id, state);
        outcome.snapshot_id = world.execute(&request, Write::Append).await.snapshot_id;
        world.stop().await;
        assert!(
            world
                .store
                .runs()
                .record_outcome(request.run_id, &outcome)
                .await
                .unwrap()
        );
        // The executor knows nothing any more, and need not.
        world.fake.forget(request.run_id);
        world.start();
        let run = world.ended(request.run_id).await;
        let expected = match state {
            RunState::Succeeded => RunStatus::Success,
            RunState::Cancelled => RunStatus::Cancelled,
            _ => RunStatus::Failed,
        };
        assert_eq!(run.status, expected);
        assert_eq!(world.rows(&table).await, Some(3));
        assert!(world.has_no_leftovers().await);
    }
}

#[tokio::test]
async fn a_run_that_is_published_already_is_a_success_after_a_start() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    // Even if somebody wanted to cancel it in between: it is too late.
    for cancel in [false, true] {
        let request = world.running(&table).await;
        let outcome = world.execute(&request, Write::Overwrite).await;
        world.stop().await;
        let run = request.run_id;
        assert!(
            world
                .store
                .runs()
                .record_outcome(run, &outcome)
                .await
                .unwrap()
        );
        world.catalog.publish(run, &table).await.unwrap();
        if cancel {
            world
                .store
                .runs()
                .request_cancel(run, "anna")
                .await
                .unwrap();
        }
        world.start();
        let ended = world.ended(run).await;
        assert_eq!(ended.status, RunStatus::Success);
        assert_eq!(ended.snapshot_id, outcome.snapshot_id);
        assert_eq!(world.rows(&table).await, Some(3));
    }
}

#[tokio::test]
async fn a_conflict_is_carried_on_after_a_start() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let request = world.running(&table).await;
    let outcome = world.execute(&request, Write::Overwrite).await;
    world.stop().await;
    // ratd died after it had discarded the branch and before the run was pending again.
    assert!(
        world
            .store
            .runs()
            .record_outcome(request.run_id, &outcome)
            .await
            .unwrap()
    );
    world.catalog.discard(request.run_id, &table).await.unwrap();
    world.start();
    let again = world.taken().await;
    assert_eq!((again.run_id, again.attempt), (request.run_id, 2));
    let outcome = world.execute(&again, Write::Overwrite).await;
    world.report(outcome).await;
    assert_eq!(world.ended(request.run_id).await.status, RunStatus::Success);
}

#[tokio::test]
async fn a_run_that_went_down_with_its_executor_fails() {
    let mut world = World::stopped().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let run = world.trigger(&table).await;
    assert!(
        world
            .store
            .runs()
            .mark_running(run, &start(NAME, 1))
            .await
            .unwrap()
    );
    let line = LogEntry {
        seq: 1,
        at: Utc::now(),
        level: LogLevel::Info,
        message: "it has begun".to_owned(),
    };
    world.store.run_logs().append(run, &[line]).await.unwrap();
    world.start();
    let ended = world.ended(run).await;
    assert_eq!(ended.error.unwrap().code, "RUN_LOST");
}

#[tokio::test]
async fn a_run_that_never_reached_its_executor_is_handed_over_again() {
    let mut world = World::stopped().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let run = world.trigger(&table).await;
    let runs = world.store.runs();
    assert!(runs.mark_running(run, &start(NAME, 1)).await.unwrap());
    world.start();
    let request = world.taken().await;
    assert_eq!((request.run_id, request.attempt), (run, 1));
    let outcome = world.execute(&request, Write::Overwrite).await;
    world.report(outcome).await;
    assert_eq!(world.ended(run).await.status, RunStatus::Success);
}

/// A run that the executor worked on, and of whose log nothing was stored, when all were killed.
async fn killed_in_silence(world: &mut World, table: &TableIdent) -> (RunRequest, PathBuf) {
    world.succeed(table).await;
    let request = world.running(table).await;
    world.execute(&request, Write::Append).await;
    world.stop().await;
    world.fake.forget(request.run_id);
    let warehouse = world.catalog.warehouse();
    let folder = local_path(&warehouse.run_data_location(table, request.run_id)).unwrap();
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["a.parquet", ".b.parquet.tmp"] {
        std::fs::write(folder.join(name), "rows").unwrap();
    }
    (request, folder)
}

#[tokio::test]
async fn nothing_is_left_of_an_attempt_when_its_run_waits_again() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let (first, folder) = killed_in_silence(&mut world, &table).await;
    world.start();
    let second = world.taken().await;
    assert_eq!((second.run_id, second.attempt), (first.run_id, 1));
    assert!(!folder.exists());
    assert!(world.has_no_leftovers().await);
    let outcome = world.execute(&second, Write::Append).await;
    world.report(outcome).await;
    assert_eq!(world.ended(first.run_id).await.status, RunStatus::Success);
    assert_eq!(world.rows(&table).await, Some(3 + 3), "no row twice");
}

#[tokio::test]
async fn a_run_whose_lost_attempt_cannot_be_removed_fails() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let (request, _) = killed_in_silence(&mut world, &table).await;
    world
        .sabotage(
            "CREATE TRIGGER sabotage BEFORE UPDATE ON iceberg_tables
             BEGIN SELECT RAISE(FAIL, 'sabotaged'); END",
        )
        .await;
    world.start();
    let run = world.ended(request.run_id).await;
    assert_eq!(run.error.unwrap().code, "RUN_LOST");
    world.nothing_is_taken();
    assert_eq!(world.rows(&table).await, Some(3));
}

#[tokio::test]
async fn a_run_of_an_executor_that_is_gone_fails() {
    let mut world = World::stopped().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let run = world.trigger(&table).await;
    assert!(
        world
            .store
            .runs()
            .mark_running(run, &start("systemd", 1))
            .await
            .unwrap()
    );
    world.start();
    let error = world.ended(run).await.error.unwrap();
    assert_eq!(error.code, "RUN_LOST");
    assert!(error.message.contains("systemd"), "{}", error.message);
}

#[tokio::test]
async fn what_an_ended_run_left_is_removed_at_the_start() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world.succeed(&table).await;
    let alive = world.running(&table).await;
    world.execute(&alive, Write::Append).await;
    // A run that the database, restored from a backup, does not know.
    let mut forgotten = alive.clone();
    forgotten.run_id = RunId::new_at(Utc::now());
    world.execute(&forgotten, Write::Append).await;
    world.stop().await;
    assert_eq!(world.catalog.run_branches().await.unwrap().len(), 2);
    world.start();
    world
        .until("one branch is left", async || {
            world.catalog.run_branches().await.unwrap().len() == 1
        })
        .await;
    assert_eq!(
        world.catalog.run_branches().await.unwrap()[0].run,
        alive.run_id
    );
    assert_eq!(world.rows(&table).await, Some(3));
}
