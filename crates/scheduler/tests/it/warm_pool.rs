use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::Utc;
use futures::{StreamExt, TryStreamExt, stream};
use rat_config::Address;
use rat_proto::runner::v1 as wire;
use rat_proto::runner::v1::runner_service_server::{RunnerService, RunnerServiceServer};
use rat_scheduler::{Executor, ExecutorError, Progress, WarmPoolExecutor};
use rat_service::{grpc, listen};
use rat_types::{LogEntry, LogLevel, RunId, RunRequest, RunState, Secret};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

use crate::fake::outcome;

/// A runner that answers every call in the same way.
#[derive(Debug, Clone)]
struct Runner {
    answer: Result<RunState, Code>,
    submitted: Arc<Mutex<Vec<RunRequest>>>,
    log: Vec<LogEntry>,
}

impl Runner {
    fn state(&self) -> Result<i32, Status> {
        match self.answer {
            Ok(state) => Ok(wire::RunState::from(state).into()),
            Err(code) => Err(Status::new(code, "as scripted")),
        }
    }
}

#[tonic::async_trait]
impl RunnerService for Runner {
    async fn submit_pipeline(
        &self,
        request: Request<wire::SubmitPipelineRequest>,
    ) -> Result<Response<wire::SubmitPipelineResponse>, Status> {
        let state = self.state()?;
        let request = RunRequest::try_from(request.into_inner()).unwrap();
        self.submitted.lock().unwrap().push(request);
        Ok(Response::new(wire::SubmitPipelineResponse { state }))
    }

    async fn get_run_status(
        &self,
        request: Request<wire::GetRunStatusRequest>,
    ) -> Result<Response<wire::GetRunStatusResponse>, Status> {
        let state = self.state()?;
        let run = request.into_inner().run_id.parse().unwrap();
        let ended = self.answer.is_ok_and(|state| state.is_terminal());
        let outcome = ended.then(|| (&outcome(run, RunState::Failed)).into());
        let phase = String::new();
        Ok(Response::new(wire::GetRunStatusResponse {
            state,
            phase,
            outcome,
        }))
    }

    type StreamLogsStream = stream::BoxStream<'static, Result<wire::StreamLogsResponse, Status>>;

    async fn stream_logs(
        &self,
        request: Request<wire::StreamLogsRequest>,
    ) -> Result<Response<Self::StreamLogsStream>, Status> {
        self.state()?;
        let after = request.into_inner().after;
        let messages: Vec<_> = self
            .log
            .iter()
            .filter(|entry| entry.seq > after)
            .map(|entry| {
                Ok(wire::StreamLogsResponse {
                    entries: vec![entry.into()],
                })
            })
            .collect();
        Ok(Response::new(stream::iter(messages).boxed()))
    }

    async fn cancel_run(
        &self,
        _: Request<wire::CancelRunRequest>,
    ) -> Result<Response<wire::CancelRunResponse>, Status> {
        Ok(Response::new(wire::CancelRunResponse {
            state: self.state()?,
        }))
    }
}

struct Served {
    executor: WarmPoolExecutor,
    runner: Runner,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

async fn served(answer: Result<RunState, Code>) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let address = Address::Unix(folder.path().join("runner.sock"));
    let listener = listen::bind(&address, None).await.unwrap();
    let entry = |seq, message: &str| LogEntry {
        seq,
        at: Utc::now(),
        level: LogLevel::Warn,
        message: message.into(),
    };
    let log = vec![entry(1, "one"), entry(2, "two"), entry(3, "three")];
    let runner = Runner {
        answer,
        submitted: Arc::default(),
        log,
    };
    let routes = Routes::new(RunnerServiceServer::new(runner.clone()));
    let stop = CancellationToken::new();
    let server = tokio::spawn(grpc::serve(
        listener,
        routes,
        Duration::from_secs(5),
        stop.clone(),
    ));
    let executor = WarmPoolExecutor::new(grpc::channel(&address).unwrap());
    Served {
        executor,
        runner,
        stop,
        server,
        _folder: folder,
    }
}

fn request() -> RunRequest {
    RunRequest {
        run_id: RunId::new_at(Utc::now()),
        pipeline: "default.bronze.orders".parse().unwrap(),
        attempt: 1,
        run_started_at: Utc::now(),
        sources: [("pipeline.sql".to_owned(), "SELECT 1".to_owned())].into(),
        source_hash: "ab".into(),
        landing_files: Vec::new(),
        control_plane: "unix:/internal.sock".into(),
        token: Secret::new("t"),
    }
}

#[tokio::test]
async fn a_request_reaches_the_runner_as_it_was() {
    let served = served(Ok(RunState::Queued)).await;
    let request = request();
    assert_eq!(
        served.executor.submit(&request).await.unwrap(),
        RunState::Queued
    );
    assert_eq!(*served.runner.submitted.lock().unwrap(), [request]);
}

#[tokio::test]
async fn status_and_outcome_come_back() {
    let run = RunId::new_at(Utc::now());
    let active = served(Ok(RunState::Running))
        .await
        .executor
        .status(run)
        .await
        .unwrap();
    assert_eq!(active, Progress::Active(RunState::Running));
    let ended = served(Ok(RunState::Failed))
        .await
        .executor
        .status(run)
        .await
        .unwrap();
    let Progress::Ended(ended) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!((ended.run_id, ended.state), (run, RunState::Failed));
    assert_eq!(ended.failure.unwrap().code, "SQL_INVALID");
}

#[tokio::test]
async fn a_log_is_streamed_from_where_it_is_wanted() {
    let served = served(Ok(RunState::Running)).await;
    let run = RunId::new_at(Utc::now());
    let messages: Vec<Vec<LogEntry>> = served
        .executor
        .logs(run, 1)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(messages.concat(), served.runner.log[1..]);
}

#[tokio::test]
async fn refusals_mean_what_the_contract_says() {
    let run = RunId::new_at(Utc::now());
    for (code, reason) in [
        (Code::NotFound, "RUN_UNKNOWN"),
        (Code::ResourceExhausted, "EXECUTOR_EXHAUSTED"),
        (Code::Unavailable, "EXECUTOR_UNAVAILABLE"),
        (Code::Internal, "EXECUTOR_INTERRUPTED"),
        (Code::DeadlineExceeded, "EXECUTOR_INTERRUPTED"),
        (Code::InvalidArgument, "EXECUTOR_REJECTED"),
        (Code::Unimplemented, "EXECUTOR_REJECTED"),
    ] {
        let executor = served(Err(code)).await;
        let executor = &executor.executor;
        let submitted = executor.submit(&request()).await.unwrap_err();
        let asked = executor.status(run).await.unwrap_err();
        let cancelled = executor.cancel(run).await.unwrap_err();
        let logs = executor.logs(run, 0).await.err().unwrap();
        for error in [submitted, asked, cancelled, logs] {
            assert_eq!(error.reason(), reason, "{code:?}");
        }
    }
}

#[tokio::test]
async fn a_runner_that_is_not_there_has_surely_not_heard_the_call() {
    let served = served(Ok(RunState::Queued)).await;
    served.executor.submit(&request()).await.unwrap();
    served.stop.cancel();
    served.server.await.unwrap();
    let error = served.executor.submit(&request()).await.unwrap_err();
    assert!(
        matches!(error, ExecutorError::Unavailable { .. }),
        "{error}"
    );
}
