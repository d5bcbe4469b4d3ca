use rat_types::{RunState, RunStatus};

use crate::fake::{Answer, outcome};
use crate::lake::Write;
use crate::world::World;

#[tokio::test]
async fn a_waiting_run_is_cancelled_at_once() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let first = world.running(&table).await;
    let second = world.trigger(&table).await;
    assert_eq!(
        world.handle().cancel(second, "anna").await.unwrap(),
        RunStatus::Cancelled
    );
    assert_eq!(world.run(second).await.status, RunStatus::Cancelled);
    let outcome = world.execute(&first, Write::Overwrite).await;
    world.report(outcome).await;
    assert_eq!(world.ended(first.run_id).await.status, RunStatus::Success);
    world.nothing_is_taken();
}

#[tokio::test]
async fn a_running_run_is_stopped_by_its_executor() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let request = world.running(&table).await;
    let run = request.run_id;
    world.execute(&request, Write::Overwrite).await;
    assert_eq!(
        world.handle().cancel(run, "anna").await.unwrap(),
        RunStatus::Running
    );
    world
        .until("the executor hears of it", async || {
            world.fake.was_told_to_cancel(run)
        })
        .await;
    assert_eq!(world.run(run).await.status, RunStatus::Running);
    world.report(outcome(run, RunState::Cancelled)).await;
    let ended = world.ended(run).await;
    assert_eq!((ended.status, ended.error), (RunStatus::Cancelled, None));
    assert_eq!(world.rows(&table).await, None);
    assert!(world.has_no_leftovers().await);
}

#[tokio::test]
async fn a_wish_to_cancel_counts_until_the_run_is_published() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let request = world.running(&table).await;
    let outcome = world.execute(&request, Write::Overwrite).await;
    world.handle().cancel(request.run_id, "anna").await.unwrap();
    // The executor was faster: the run had succeeded before it heard of the wish.
    world.report(outcome).await;
    assert_eq!(
        world.ended(request.run_id).await.status,
        RunStatus::Cancelled
    );
    assert_eq!(world.rows(&table).await, None);
    assert!(world.has_no_leftovers().await);
}

#[tokio::test]
async fn a_run_that_has_ended_is_not_cancellable() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let run = world.succeed(&table).await;
    let error = world.handle().cancel(run.id, "anna").await.unwrap_err();
    assert_eq!(error.reason(), "NOT_CANCELLABLE");
    assert_eq!(world.run(run.id).await, run);
}

#[tokio::test]
async fn a_wish_that_only_the_database_knows_is_passed_on() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let run = world.running(&table).await.run_id;
    // As when the pipeline is deleted.
    world
        .store
        .runs()
        .request_cancel(run, "anna")
        .await
        .unwrap();
    world
        .until("the executor hears of it", async || {
            world.fake.was_told_to_cancel(run)
        })
        .await;
}

#[tokio::test]
async fn a_run_that_waits_for_a_full_executor_can_be_cancelled() {
    let world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world.fake.answer([Answer::Exhausted; 1000]);
    let run = world.trigger(&table).await;
    world
        .until("it was tried", async || world.fake.submissions() > 2)
        .await;
    // Whether it is waiting or being tried at this moment, it ends.
    world.handle().cancel(run, "anna").await.unwrap();
    assert_eq!(world.ended(run).await.status, RunStatus::Cancelled);
}
