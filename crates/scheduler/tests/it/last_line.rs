//! What a run's log ends with.

use rat_types::{RunId, RunState, RunStatus};

use crate::fake::outcome;
use crate::lake::Write;
use crate::world::World;

async fn last_line(world: &World, run: RunId) -> String {
    world.log(run).await.pop().unwrap_or_default()
}

#[tokio::test]
async fn a_log_ends_with_what_became_of_the_result() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;

    let request = world.running(&table).await;
    world.fake.log(request.run_id, "a line of the executor");
    let result = world.execute(&request, Write::Overwrite).await;
    world.report(result).await;
    let run = world.ended(request.run_id).await;
    let snapshot = run.snapshot_id.unwrap();
    let published = format!("Published as snapshot {snapshot}, 3 rows");
    assert_eq!(last_line(&world, run.id).await, published);

    let run = world.running(&table).await.run_id;
    world.report(outcome(run, RunState::Succeeded)).await;
    world.ended(run).await;
    let nothing = "Nothing to publish: the table stays as it was";
    assert_eq!(last_line(&world, run).await, nothing);

    let run = world.running(&table).await.run_id;
    world.report(outcome(run, RunState::Failed)).await;
    world.ended(run).await;
    let discarded = "Discarded: SQL_INVALID: column x does not exist";
    assert_eq!(last_line(&world, run).await, discarded);

    let empty = world.pipeline("bronze.empty", " ").await;
    let run = world.trigger(&empty).await;
    world.ended(run).await;
    let line = last_line(&world, run).await;
    assert!(
        line.starts_with("Not started: PIPELINE_INVALID: "),
        "{line}"
    );
}

#[tokio::test]
async fn a_log_ends_with_who_cancelled_the_run() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let first = world.running(&table).await;
    let second = world.trigger(&table).await;
    world.handle().cancel(second, "anna").await.unwrap();
    assert_eq!(last_line(&world, second).await, "Cancelled by anna");

    let run = first.run_id;
    world.handle().cancel(run, "bert").await.unwrap();
    world.handle().cancel(run, "anna").await.unwrap();
    assert_eq!(last_line(&world, run).await, "");
    world.report(outcome(run, RunState::Cancelled)).await;
    world.ended(run).await;
    assert_eq!(last_line(&world, run).await, "Cancelled by bert");

    let run = world.running(&table).await.run_id;
    world.report(outcome(run, RunState::Cancelled)).await;
    world.ended(run).await;
    assert_eq!(last_line(&world, run).await, "Cancelled by the executor");

    let first = world.running(&table).await.run_id;
    let second = world.trigger(&table).await;
    world.store.pipelines().delete(&table).await.unwrap();
    let deleted = "Cancelled: the pipeline was deleted";
    assert_eq!(world.run(second).await.status, RunStatus::Cancelled);
    assert_eq!(last_line(&world, second).await, deleted);
    world.report(outcome(first, RunState::Cancelled)).await;
    world.ended(first).await;
    assert_eq!(last_line(&world, first).await, deleted);
}
