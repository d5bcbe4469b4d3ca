use std::time::Duration;

use rat_proto::runner::v1::{RunState as WireState, SubmitPipelineRequest};
use rat_runner::PoolConfig;
use rat_types::{RunId, RunState};
use tonic::Code;

use crate::support::{PATIENCE, limits, start};

#[tokio::test]
async fn a_run_is_executed_and_ratd_is_told() {
    let mut fixture = start(limits()).await;
    let run = fixture.run("quick").await;
    let outcome = fixture.outcome(run).await;
    assert_eq!(
        (outcome.state, outcome.rows_written),
        (RunState::Succeeded, 3)
    );
    assert_eq!(outcome.phases[0].name, "queue");
    let told = fixture.next_told().await;
    assert_eq!(told.run_id, run.to_string());
    assert_eq!(told.authorization, "Bearer rat_run_secret");
    assert_eq!(told.outcome.state, outcome.state);
    assert_eq!(told.outcome.phases, outcome.phases);
}

#[tokio::test]
async fn a_run_that_is_submitted_twice_is_executed_once() {
    let mut fixture = start(limits()).await;
    let request = fixture.request("quick");
    assert_eq!(fixture.submit(&request).await.unwrap(), WireState::Queued);
    fixture.outcome(request.run_id).await;
    assert_eq!(
        fixture.submit(&request).await.unwrap(),
        WireState::Succeeded
    );
    fixture.next_start().await;
    let next = fixture.run("quick").await;
    assert_eq!(fixture.next_start().await, next);
}

#[tokio::test]
async fn a_second_attempt_is_executed_with_a_log_of_its_own() {
    let fixture = start(limits()).await;
    let mut request = fixture.request("quick");
    fixture.submit(&request).await.unwrap();
    assert_eq!(fixture.log(request.run_id, 0).await.last().unwrap().seq, 3);
    request.attempt = 2;
    assert_eq!(fixture.submit(&request).await.unwrap(), WireState::Queued);
    let seqs: Vec<u64> = fixture
        .log(request.run_id, 0)
        .await
        .iter()
        .map(|e| e.seq)
        .collect();
    assert_eq!(seqs, [1, 2, 3]);
}

#[tokio::test]
async fn the_log_is_followed_line_by_line_from_where_it_was_left() {
    let mut fixture = start(limits()).await;
    let run = fixture.run("blocked").await;
    fixture.next_start().await;
    let (entries, state) = tokio::join!(fixture.log(run, 1), fixture.cancel(run));
    assert!(matches!(
        state.unwrap(),
        WireState::Running | WireState::Cancelled
    ));
    let lines: Vec<_> = entries
        .iter()
        .map(|e| (e.seq, e.message.as_str()))
        .collect();
    assert_eq!(lines, [(2, "in two lines"), (3, "it ends")]);
}

#[tokio::test]
async fn a_full_queue_refuses_and_takes_runs_again_when_there_is_room() {
    let mut fixture = start(limits()).await;
    let running = fixture.run("blocked").await;
    fixture.next_start().await;
    let waiting = fixture.run("quick").await;
    let refused = fixture.request("quick");
    let error = fixture.submit(&refused).await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert_eq!(
        error.message(),
        "1 runs are waiting, which is as many as may"
    );
    assert_eq!(
        fixture.status(refused.run_id).await.unwrap_err().code(),
        Code::NotFound
    );
    fixture.cancel(running).await.unwrap();
    assert_eq!(fixture.next_start().await, waiting);
    fixture.outcome(waiting).await;
    assert!(fixture.submit(&refused).await.is_ok());
}

#[tokio::test]
async fn a_waiting_run_is_cancelled_at_once_and_leaves_its_place() {
    let mut fixture = start(limits()).await;
    let running = fixture.run("blocked").await;
    fixture.next_start().await;
    let waiting = fixture.run("quick").await;
    assert_eq!(fixture.cancel(waiting).await.unwrap(), WireState::Cancelled);
    let told = fixture.next_told().await;
    assert_eq!(
        (told.run_id, told.outcome.state),
        (waiting.to_string(), RunState::Cancelled)
    );
    let next = fixture.run("quick").await;
    fixture.cancel(running).await.unwrap();
    assert_eq!(fixture.next_start().await, next);
}

#[tokio::test]
async fn an_executing_run_is_cancelled() {
    let mut fixture = start(limits()).await;
    let run = fixture.run("blocked").await;
    fixture.next_start().await;
    assert_eq!(fixture.status(run).await.unwrap().phase, "write");
    fixture.cancel(run).await.unwrap();
    assert_eq!(fixture.outcome(run).await.state, RunState::Cancelled);
    assert_eq!(fixture.next_told().await.outcome.state, RunState::Cancelled);
    // Cancelling what has ended changes nothing.
    assert_eq!(fixture.cancel(run).await.unwrap(), WireState::Cancelled);
}

#[tokio::test]
async fn a_run_that_breaks_off_fails_and_the_next_one_executes() {
    let mut fixture = start(limits()).await;
    let broken = fixture.run("broken").await;
    let outcome = fixture.outcome(broken).await;
    assert_eq!(outcome.state, RunState::Failed);
    assert_eq!(outcome.failure.unwrap().code, "INTERNAL");
    assert_eq!(fixture.next_told().await.outcome.state, RunState::Failed);
    let next = fixture.run("quick").await;
    assert_eq!(fixture.outcome(next).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn stopping_the_runner_stops_its_runs_and_says_why() {
    let mut fixture = start(limits()).await;
    let run = fixture.run("blocked").await;
    assert_eq!(fixture.next_start().await, run);
    fixture.shutdown.cancel();
    let told = fixture.next_told().await;
    assert_eq!(told.outcome.state, RunState::Failed);
    assert_eq!(told.outcome.failure.unwrap().code, "RUNNER_STOPPED");
    tokio::time::timeout(PATIENCE, &mut fixture.pool)
        .await
        .expect("the pool ends")
        .unwrap();
}

#[tokio::test]
async fn a_run_ends_before_the_runner_does() {
    let mut fixture = start(limits()).await;
    let run = fixture.run("slow").await;
    assert_eq!(fixture.next_start().await, run);
    let waits = fixture.run("quick").await;
    fixture.shutdown.cancel();
    // ratd submits what waited again, when there is another runner.
    let given_up = async {
        while fixture.status(waits).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, given_up).await.unwrap();
    let late = fixture.request("quick");
    let refused = fixture.submit(&late).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(fixture.next_told().await.outcome.state, RunState::Succeeded);
    tokio::time::timeout(PATIENCE, &mut fixture.pool)
        .await
        .expect("the pool ends")
        .unwrap();
}

#[tokio::test]
async fn ended_runs_are_forgotten_after_a_while() {
    let config = PoolConfig {
        keep_results: Duration::from_millis(20),
        ..limits()
    };
    let fixture = start(config).await;
    let run = fixture.run("quick").await;
    fixture.log(run, 0).await;
    let forgotten = async {
        while fixture.status(run).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, forgotten)
        .await
        .expect("the run is forgotten");
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let fixture = start(limits()).await;
    let unknown = RunId::new_at(chrono::Utc::now());
    assert_eq!(
        fixture.status(unknown).await.unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(
        fixture.cancel(unknown).await.unwrap_err().code(),
        Code::NotFound
    );
    let mut wire = SubmitPipelineRequest::from(&fixture.request("quick"));
    wire.pipeline.as_mut().unwrap().name = "../etc".to_owned();
    let error = fixture
        .client
        .clone()
        .submit_pipeline(wire)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(
        error.message().contains("pipeline.name"),
        "{}",
        error.message()
    );
}
