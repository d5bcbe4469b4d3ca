//! Runs that a plugin executes: they stay with who took them, whoever stands in the slot.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use futures::{Stream, StreamExt as _};
use rat_api::{Holder, Plugins as _};
use rat_config::Slot;
use rat_proto::executor::v1::executor_service_server::{ExecutorService, ExecutorServiceServer};
use rat_proto::executor::v1::{
    CancelRequest, CancelResponse, GetRunStatusRequest, GetRunStatusResponse, ListRunsRequest,
    ListRunsResponse, StreamLogsRequest, StreamLogsResponse, SubmitRequest, SubmitResponse,
};
use rat_proto::runner::v1::{LogEntry, LogLevel, RunState};
use rat_scheduler::{ExecutorError, Progress};
use rat_types::{RunId, RunRequest, Secret};
use tonic::{Request, Response, Status};

use crate::support::plugin::{Script, Served, Services};
use crate::support::{Rig, one};

pub(crate) fn server(services: &Services) -> ExecutorServiceServer<Services> {
    ExecutorServiceServer::new(services.clone())
}

pub(crate) fn request(run: RunId) -> RunRequest {
    RunRequest {
        run_id: run,
        pipeline: "shop.gold.daily".parse().unwrap(),
        attempt: 1,
        run_started_at: Utc::now(),
        sources: [("pipeline.sql".to_owned(), "SELECT 1".to_owned())].into(),
        source_hash: "ab".repeat(32),
        landing_files: Vec::new(),
        control_plane: "unix:/run/rat/internal.sock".to_owned(),
        token: Secret::new("rat_run_x"),
    }
}

fn entry(seq: u64) -> StreamLogsResponse {
    StreamLogsResponse {
        entries: vec![LogEntry {
            seq,
            at: Some(prost_types::Timestamp::default()),
            level: LogLevel::Info.into(),
            message: format!("line {seq}"),
        }],
    }
}

#[tonic::async_trait]
impl ExecutorService for Services {
    type StreamLogsStream =
        Pin<Box<dyn Stream<Item = Result<StreamLogsResponse, Status>> + Send + 'static>>;

    async fn submit(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        self.0.asked().await?;
        let run = request.into_inner().run;
        let run = run.ok_or_else(|| Status::invalid_argument("no run"))?;
        assert_eq!(run.token, "rat_run_x");
        let state = RunState::Queued.into();
        Ok(Response::new(SubmitResponse { state }))
    }

    async fn cancel(&self, _: Request<CancelRequest>) -> Result<Response<CancelResponse>, Status> {
        self.0.asked().await?;
        let state = RunState::Cancelled.into();
        Ok(Response::new(CancelResponse { state }))
    }

    async fn get_run_status(
        &self,
        _: Request<GetRunStatusRequest>,
    ) -> Result<Response<GetRunStatusResponse>, Status> {
        self.0.asked().await?;
        Ok(Response::new(GetRunStatusResponse {
            state: RunState::Running.into(),
            ..GetRunStatusResponse::default()
        }))
    }

    async fn stream_logs(
        &self,
        request: Request<StreamLogsRequest>,
    ) -> Result<Response<Self::StreamLogsStream>, Status> {
        self.0.asked().await?;
        let after = request.get_ref().after;
        let entries = (after + 1..=3).map(|seq| Ok(entry(seq)));
        let entries = futures::stream::iter(entries.collect::<Vec<_>>());
        // `size` stands for how the stream ends.
        Ok(Response::new(match self.0.size.load(Ordering::SeqCst) {
            0 => entries.boxed(),
            1 => entries
                .chain(futures::stream::iter([Err(Status::internal("no disk"))]))
                .boxed(),
            2 => entries.chain(futures::stream::pending()).boxed(),
            _ => futures::stream::pending().boxed(),
        }))
    }

    async fn list_runs(
        &self,
        _: Request<ListRunsRequest>,
    ) -> Result<Response<ListRunsResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
}

async fn rig(script: &std::sync::Arc<Script>) -> (Rig, Served) {
    let rig = Rig::new().await;
    let socket = rig.socket("executor.sock");
    let served = Served::unix(&socket, script);
    rig.load(&one(Slot::Executor, &socket, "")).await;
    rig.until(Slot::Executor, Holder::Plugin).await;
    (rig, served)
}

#[tokio::test]
async fn a_run_is_handed_over_asked_for_and_cancelled() {
    let script = Script::new();
    let (rig, _served) = rig(&script).await;
    let executor = rig.executors.current();
    assert_eq!(executor.name(), "executor-one");
    let run = RunId::new_at(Utc::now());
    let state = executor.submit(&request(run)).await.unwrap();
    assert_eq!(state, rat_types::RunState::Queued);
    let progress = executor.status(run).await.unwrap();
    assert_eq!(progress, Progress::Active(rat_types::RunState::Running));
    executor.cancel(run).await.unwrap();
    let failed = |error: Status| {
        script.fail(error);
        executor.status(run)
    };
    let error = failed(Status::not_found("?")).await.unwrap_err();
    assert!(matches!(error, ExecutorError::NotFound { .. }), "{error}");
    let error = failed(Status::resource_exhausted("full"))
        .await
        .unwrap_err();
    assert!(matches!(error, ExecutorError::Exhausted { .. }), "{error}");
    let error = failed(Status::invalid_argument("bad")).await.unwrap_err();
    assert!(matches!(error, ExecutorError::Rejected { .. }), "{error}");
    let error = failed(Status::internal("bug")).await.unwrap_err();
    assert!(
        matches!(error, ExecutorError::Interrupted { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("executor-one at unix:"),
        "{error}"
    );
}

#[tokio::test]
async fn a_log_is_streamed_to_its_end_and_a_silent_one_is_given_up() {
    let script = Script::new();
    let (rig, _served) = rig(&script).await;
    let executor = rig.executors.current();
    let run = RunId::new_at(Utc::now());
    let read = async |after: u64| {
        let mut log = executor.logs(run, after).await.unwrap();
        let (mut seen, mut end) = (Vec::new(), None);
        while let Some(entries) = log.next().await {
            match entries {
                Ok(entries) => seen.extend(entries.into_iter().map(|entry| entry.seq)),
                Err(error) => end = Some(error.to_string()),
            }
        }
        (seen, end)
    };
    assert_eq!(read(0).await, (vec![1, 2, 3], None));
    assert_eq!(read(2).await, (vec![3], None));
    script.size.store(1, Ordering::SeqCst);
    let (seen, end) = read(0).await;
    assert_eq!(seen, [1, 2, 3]);
    assert!(end.unwrap().contains("no disk"));
    // After a message, the limit of silence; before the first one, that of a call.
    for (ending, message) in [(2, "no message for 300ms"), (3, "no answer within 1s")] {
        script.size.store(ending, Ordering::SeqCst);
        let begun = std::time::Instant::now();
        let (_, end) = read(0).await;
        let end = end.unwrap();
        assert!(end.contains(message), "{end}");
        assert!(begun.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn a_run_stays_with_who_took_it() {
    let script = Script::new();
    let (rig, served) = rig(&script).await;
    let run = RunId::new_at(Utc::now());
    rig.executors.current().submit(&request(run)).await.unwrap();
    served.kill();
    rig.until(Slot::Executor, Holder::Fallback).await;
    assert_eq!(rig.executors.current().name(), "warm-pool");
    let took = rig.executors.get("executor-one").unwrap();
    let error = took.status(run).await.unwrap_err();
    assert!(
        matches!(error, ExecutorError::Unavailable { .. }),
        "{error}"
    );
    let _served = Served::unix(&rig.socket("executor.sock"), &script);
    rig.until(Slot::Executor, Holder::Plugin).await;
    took.status(run).await.unwrap();

    // Out of the configuration, the run is still asked for where it is.
    rig.write("plugins: {}");
    rig.host.reload().await.unwrap();
    assert_eq!(rig.executors.current().name(), "warm-pool");
    took.status(run).await.unwrap();
    rig.executors
        .get("executor-one")
        .unwrap()
        .cancel(run)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_plugin_that_is_called_like_the_built_in_is_told_apart() {
    let rig = Rig::new().await;
    let socket = rig.socket("executor.sock");
    let _served = Served::unix(&socket, &Script::new());
    rig.load(&one(Slot::Executor, &socket, ", name: warm-pool"))
        .await;
    rig.until(Slot::Executor, Holder::Plugin).await;
    assert_eq!(rig.executors.current().name(), "plugin:warm-pool");
    assert!(rig.executors.get("warm-pool").is_some());
}
