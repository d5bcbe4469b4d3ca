use rat_types::{
    QualityResult, QualityStatus, RunFailure, RunRequest, RunState, RunStatus, Severity,
};

use crate::fake::outcome;
use crate::lake::{Client, Write};
use crate::world::World;

#[tokio::test]
async fn a_lost_callback_costs_time_only() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let request = world.running(&table).await;
    let outcome = world.execute(&request, Write::Overwrite).await;
    world.fake.end(&outcome);
    let run = world.ended(request.run_id).await;
    assert_eq!(run.status, RunStatus::Success);
    assert_eq!(world.rows(&table).await, Some(3));
    assert!(world.fake.status_calls() > 0);
}

#[tokio::test]
async fn a_callback_that_comes_twice_changes_nothing() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let request = world.running(&table).await;
    let good = world.execute(&request, Write::Overwrite).await;
    let bad = outcome(request.run_id, RunState::Failed);
    world.report(good.clone()).await;
    world
        .handle()
        .outcome(request.run_id, bad.clone())
        .await
        .unwrap();
    let run = world.ended(request.run_id).await;
    assert_eq!(run.status, RunStatus::Success);
    world.handle().outcome(request.run_id, bad).await.unwrap();
    assert_eq!(world.run(request.run_id).await, run);
}

#[tokio::test]
async fn a_run_whose_executor_talks_nonsense_ends_and_the_next_one_starts() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let request = world.running(&table).await;
    world.fake.talk_nonsense();
    let run = world.ended(request.run_id).await;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.error.unwrap().code, "EXECUTOR_FAILED");
    world.running(&table).await;
}

#[tokio::test]
async fn of_a_log_without_end_the_beginning_is_stored() {
    const MOST: usize = 10_000;
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let run = world.running(&table).await.run_id;
    for _ in 0..MOST + 500 {
        world.fake.log(run, "again");
    }
    world.fake.end(&outcome(run, RunState::Failed));
    world.ended(run).await;
    let lines = world.store.run_logs().read(run, 0, u32::MAX).await.unwrap();
    assert!((MOST..MOST + 10).contains(&lines.len()), "{}", lines.len());
    let told = lines
        .iter()
        .any(|line| line.message.contains("further lines are not stored"));
    assert!(told);
}

#[tokio::test]
async fn an_outcome_has_to_be_an_end_of_that_run() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let (run, other) = (
        world.running(&table).await.run_id,
        rat_types::RunId::new_at(chrono::Utc::now()),
    );
    for (told, outcome) in [
        (run, outcome(run, RunState::Running)),
        (run, outcome(other, RunState::Failed)),
    ] {
        let error = world.handle().outcome(told, outcome).await.unwrap_err();
        assert_eq!(error.reason(), "INVALID_ARGUMENT");
    }
    assert_eq!(world.run(run).await.outcome, None);
}

#[tokio::test]
async fn a_failed_run_leaves_nothing() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    // Once without the table, which the run has staged, and once with it.
    for before in [None, Some(3)] {
        if before.is_some() {
            world.succeed(&table).await;
        }
        let request = world.running(&table).await;
        world.execute(&request, Write::Append).await;
        world
            .report(outcome(request.run_id, RunState::Failed))
            .await;
        let run = world.ended(request.run_id).await;
        assert_eq!(run.status, RunStatus::Failed);
        assert_eq!(run.error.unwrap().code, "SQL_INVALID");
        assert_eq!((run.snapshot_id, run.rows_written), (None, None));
        assert_eq!(world.rows(&table).await, before);
        assert!(world.has_no_leftovers().await);
    }
}

#[tokio::test]
async fn a_run_that_its_executor_lost_fails() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let request = world.running(&table).await;
    world.execute(&request, Write::Overwrite).await;
    world.fake.forget(request.run_id);
    let run = world.ended(request.run_id).await;
    assert_eq!(run.error.unwrap().code, "RUN_LOST");
    assert!(world.fake.status_calls() >= 3);
    assert_eq!(world.rows(&table).await, None);
    assert!(world.has_no_leftovers().await);
}

#[tokio::test]
async fn an_executor_that_does_not_answer_has_lost_nothing() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let request = world.running(&table).await;
    world.fake.be_deaf(true);
    world
        .until("it was asked often", async || world.fake.status_calls() > 5)
        .await;
    assert_eq!(world.run(request.run_id).await.status, RunStatus::Running);
    world.fake.be_deaf(false);
    let outcome = world.execute(&request, Write::Overwrite).await;
    world.fake.end(&outcome);
    assert_eq!(world.ended(request.run_id).await.status, RunStatus::Success);
}

#[tokio::test]
async fn an_append_is_rebased_when_somebody_else_wrote() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world.succeed(&table).await;
    let request = world.running(&table).await;
    let outcome = world.execute(&request, Write::Append).await;
    world.meddle(&table).await;
    world.report(outcome.clone()).await;
    let run = world.ended(request.run_id).await;
    assert_eq!((run.status, run.attempt), (RunStatus::Success, 1));
    assert_ne!(run.snapshot_id, outcome.snapshot_id);
    assert_eq!(world.rows(&table).await, Some(3 + 1 + 3));
    assert!(world.has_no_leftovers().await);
}

#[tokio::test]
async fn an_overwrite_is_executed_once_more_when_somebody_else_wrote() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world.succeed(&table).await;
    let first = world.running(&table).await;
    world.fake.log(first.run_id, "first attempt");
    let stale = world.execute(&first, Write::Overwrite).await;
    world.meddle(&table).await;
    world.report(stale).await;

    let second = world.taken().await;
    assert_eq!((second.run_id, second.attempt), (first.run_id, 2));
    assert_ne!(second.token.expose(), first.token.expose());
    world.fake.log(second.run_id, "second attempt");
    let fresh = world.execute(&second, Write::Overwrite).await;
    world.report(fresh.clone()).await;
    let run = world.ended(first.run_id).await;
    assert_eq!(
        (run.status, run.attempt),
        (RunStatus::Success, 2),
        "{run:#?}"
    );
    assert_eq!(run.snapshot_id, fresh.snapshot_id);
    assert_eq!(world.rows(&table).await, Some(3));
    let log = world.log(run.id).await;
    assert_eq!(
        (log[0].as_str(), log[2].as_str()),
        ("first attempt", "second attempt")
    );
    assert!(log[1].contains("changed by somebody else"), "{log:?}");
}

#[tokio::test]
async fn a_run_that_meets_somebody_else_twice_fails() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world.succeed(&table).await;
    let mut request = world.running(&table).await;
    for attempt in 1..=2 {
        let outcome = world.execute(&request, Write::Overwrite).await;
        world.meddle(&table).await;
        world.report(outcome).await;
        if attempt == 1 {
            request = world.taken().await;
        }
    }
    let run = world.ended(request.run_id).await;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.error.unwrap().code, "CONFLICT");
    assert_eq!(world.rows(&table).await, Some(3 + 1 + 1));
    assert!(world.has_no_leftovers().await);
}

// The tests of conflicts moved the table after the run's commit only, and most of a run's time is
// before it.
#[tokio::test]
async fn a_run_that_notices_somebody_else_by_itself_is_executed_once_more_too() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let lost = |request: &RunRequest| {
        let mut outcome = outcome(request.run_id, RunState::Failed);
        outcome.failure = Some(RunFailure::new("CONFLICT", "its base has changed"));
        outcome
    };
    let first = world.running(&table).await;
    world.report(lost(&first)).await;
    let second = world.taken().await;
    assert_eq!((second.run_id, second.attempt), (first.run_id, 2));
    let fresh = world.execute(&second, Write::Overwrite).await;
    world.report(fresh).await;
    assert_eq!(world.ended(first.run_id).await.status, RunStatus::Success);

    let first = world.running(&table).await;
    world.report(lost(&first)).await;
    let second = world.taken().await;
    world.report(lost(&second)).await;
    let run = world.ended(first.run_id).await;
    assert_eq!((run.status, run.attempt), (RunStatus::Failed, 2));
    assert_eq!(run.error.unwrap().code, "CONFLICT");
}

#[tokio::test]
async fn a_table_that_somebody_else_created_is_a_conflict_too() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let first = world.running(&table).await;
    let outcome = world.execute(&first, Write::Overwrite).await;
    Client::user(&world.catalog)
        .write(&table, Write::Append, 1)
        .await;
    world.report(outcome).await;
    let second = world.taken().await;
    assert_eq!(second.attempt, 2);
    let outcome = world.execute(&second, Write::Append).await;
    world.report(outcome).await;
    assert_eq!(world.ended(first.run_id).await.status, RunStatus::Success);
    assert_eq!(world.rows(&table).await, Some(1 + 3));
}

#[tokio::test]
async fn a_run_with_nothing_to_add_succeeds() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world.succeed(&table).await;
    let request = world.running(&table).await;
    world
        .report(outcome(request.run_id, RunState::Succeeded))
        .await;
    let run = world.ended(request.run_id).await;
    assert_eq!(
        (run.status, run.snapshot_id),
        (RunStatus::Success, None),
        "{run:#?}"
    );
    assert_eq!(world.rows(&table).await, Some(3));
}

#[tokio::test]
async fn results_of_quality_tests_are_stored_whatever_the_end() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    for state in [RunState::Succeeded, RunState::Failed] {
        let request = world.running(&table).await;
        let mut outcome = outcome(request.run_id, state);
        outcome.quality = vec![QualityResult {
            name: "positive".into(),
            severity: Severity::Warn,
            status: QualityStatus::Fail,
            violations: 1,
            duration_us: 9,
            message: String::new(),
            samples: vec!["{}".into()],
        }];
        world.report(outcome.clone()).await;
        world.ended(request.run_id).await;
        let stored = world.store.quality().list(request.run_id).await.unwrap();
        assert_eq!(stored, outcome.quality);
    }
}

#[tokio::test]
async fn a_log_that_breaks_off_is_taken_up_where_it_ended() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    world.fake.break_log_after(2);
    let request = world.running(&table).await;
    for line in ["one", "two", "three", "four"] {
        world.fake.log(request.run_id, line);
    }
    world
        .until("the log is there", async || {
            world.log(request.run_id).await.len() == 4
        })
        .await;
    let outcome = world.execute(&request, Write::Overwrite).await;
    world.report(outcome).await;
    world.ended(request.run_id).await;
    let log = world.log(request.run_id).await;
    assert_eq!(log[..4], ["one", "two", "three", "four"]);
    assert_eq!(log.len(), 5, "{log:?}");
}

#[tokio::test]
async fn a_database_that_fails_for_a_while_keeps_no_run_from_its_end() {
    let mut world = World::new().await;
    let table = world.pipeline("bronze.orders", "SELECT 1 AS id").await;
    let request = world.running(&table).await;
    world
        .sabotage(
            "CREATE TRIGGER sabotage BEFORE UPDATE ON runs WHEN NEW.status = 'success'
             BEGIN SELECT RAISE(FAIL, 'sabotaged'); END",
        )
        .await;
    let outcome = world.execute(&request, Write::Overwrite).await;
    world.report(outcome).await;
    world
        .until("it is published", async || {
            world.rows(&table).await == Some(3)
        })
        .await;
    assert_eq!(world.run(request.run_id).await.status, RunStatus::Running);
    world.sabotage("DROP TRIGGER sabotage").await;
    assert_eq!(world.ended(request.run_id).await.status, RunStatus::Success);
    // And the loop goes on.
    world.succeed(&table).await;
}
