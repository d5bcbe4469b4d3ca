//! A runner whose engine does as it is told, and a ratd that listens.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use chrono::Utc;
use futures::future::BoxFuture;
use rat_config::Address;
use rat_engine::{Hold, RunObserver};
use rat_proto::runner::v1::runner_service_client::RunnerServiceClient;
use rat_proto::runner::v1::runner_service_server::RunnerServiceServer;
use rat_proto::runner::v1::{
    CancelRunRequest, GetRunStatusRequest, GetRunStatusResponse, RunState as WireState,
    StreamLogsRequest, SubmitPipelineRequest,
};
use rat_runner::{Execute, Pool, PoolConfig, Service};
use rat_service::http::{self, HttpLimits};
use rat_service::{grpc, listen};
use rat_types::{LogEntry, LogLevel, RunId, RunOutcome, RunRequest, RunState, Secret};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::Channel;

/// Limit for anything that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the stand-in does is the pipeline's name: `quick`, `slow`, `blocked` or `broken`.
struct StandIn {
    started: mpsc::UnboundedSender<RunId>,
}

impl Execute for StandIn {
    fn execute(
        &self,
        request: Arc<RunRequest>,
        observer: Arc<dyn RunObserver>,
        cancel: CancellationToken,
        slot: Hold,
    ) -> BoxFuture<'static, Option<RunOutcome>> {
        let started = self.started.clone();
        Box::pin(async move {
            let _slot = slot;
            observer.phase("write");
            observer.log(LogLevel::Info, "it starts\nin two lines".to_owned());
            started.send(request.run_id).unwrap();
            let state = match request.pipeline.name.as_str() {
                "blocked" => {
                    cancel.cancelled().await;
                    RunState::Cancelled
                }
                "broken" => return None,
                "slow" => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    RunState::Succeeded
                }
                _ => RunState::Succeeded,
            };
            observer.log(LogLevel::Info, "it ends".to_owned());
            Some(RunOutcome {
                run_id: request.run_id,
                state,
                failure: None,
                rows_written: 3,
                bytes_written: 4,
                snapshot_id: Some(5),
                phases: Vec::new(),
                quality: Vec::new(),
                finished_at: Utc::now(),
            })
        })
    }
}

/// How long runs may go on after the end was asked for: longer than a slow one takes.
const DRAIN: Duration = Duration::from_secs(2);

/// What ratd was told.
pub(crate) struct Told {
    pub(crate) run_id: String,
    pub(crate) authorization: String,
    pub(crate) outcome: RunOutcome,
}

pub(crate) struct Fixture {
    folder: tempfile::TempDir,
    pub(crate) client: RunnerServiceClient<Channel>,
    pub(crate) started: mpsc::UnboundedReceiver<RunId>,
    pub(crate) told: mpsc::UnboundedReceiver<Told>,
    pub(crate) shutdown: CancellationToken,
    stop_ratd: CancellationToken,
    pub(crate) pool: JoinHandle<()>,
}

pub(crate) fn limits() -> PoolConfig {
    PoolConfig {
        slots: 1,
        queue: 1,
        log_lines: 100,
        keep_results: Duration::from_secs(600),
    }
}

pub(crate) async fn start(config: PoolConfig) -> Fixture {
    let (starting, started) = mpsc::unbounded_channel();
    let stand_in = Arc::new(StandIn { started: starting });
    let folder = tempfile::tempdir().unwrap();
    start_with(config, stand_in, folder, Router::new(), started).await
}

/// A runner with another engine, and a ratd that has other routes as well.
pub(crate) async fn start_with(
    config: PoolConfig,
    execute: Arc<dyn Execute>,
    folder: tempfile::TempDir,
    routes: Router,
    started: mpsc::UnboundedReceiver<RunId>,
) -> Fixture {
    let (shutdown, stop_ratd) = (CancellationToken::new(), CancellationToken::new());

    let (tell, told) = mpsc::unbounded_channel();
    let ratd = Router::new()
        .route("/internal/v1/runs/{id}/outcome", post(hear))
        .with_state(tell)
        .merge(routes);
    let listener = listen::bind(&Address::Unix(folder.path().join("ratd.sock")), None).await;
    let server = http::serve(
        listener.unwrap(),
        ratd,
        HttpLimits::default(),
        stop_ratd.clone(),
    );
    tokio::spawn(server);

    let pool = Pool::new(config, execute);
    let service = RunnerServiceServer::new(Service::new(pool.clone()));
    let address = Address::Unix(folder.path().join("runner.sock"));
    let listener = listen::bind(&address, None).await.unwrap();
    let grace = Duration::from_secs(5);
    let ended = CancellationToken::new();
    let routes = Routes::new(service);
    tokio::spawn(grpc::serve(listener, routes, grace, ended.clone()));
    let running = shutdown.clone();
    let pool = tokio::spawn(async move {
        pool.run(running).await;
        pool.drain(DRAIN).await;
        pool.stop(grace).await;
        ended.cancel();
    });

    let client = RunnerServiceClient::new(grpc::channel(&address).unwrap());
    Fixture {
        folder,
        client,
        started,
        told,
        shutdown,
        stop_ratd,
        pool,
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.stop_ratd.cancel();
    }
}

async fn hear(
    State(tell): State<mpsc::UnboundedSender<Told>>,
    Path(run_id): Path<String>,
    headers: HeaderMap,
    Json(outcome): Json<RunOutcome>,
) -> StatusCode {
    let authorization = headers["authorization"].to_str().unwrap().to_owned();
    tell.send(Told {
        run_id,
        authorization,
        outcome,
    })
    .unwrap();
    StatusCode::NO_CONTENT
}

/// A request for a pipeline called `name`.
pub(crate) fn request(name: &str, control_plane: String) -> RunRequest {
    let now = Utc::now();
    RunRequest {
        run_id: RunId::new_at(now),
        pipeline: format!("shop.bronze.{name}").parse().unwrap(),
        attempt: 1,
        run_started_at: now,
        sources: BTreeMap::from([("pipeline.sql".to_owned(), "SELECT 1 AS one".to_owned())]),
        source_hash: String::new(),
        landing_files: Vec::new(),
        control_plane,
        token: Secret::new("rat_run_secret"),
    }
}

impl Fixture {
    fn control_plane(&self) -> String {
        let socket: PathBuf = self.folder.path().join("ratd.sock");
        format!("unix:{}", socket.display())
    }

    pub(crate) fn request(&self, name: &str) -> RunRequest {
        request(name, self.control_plane())
    }

    pub(crate) async fn submit(&self, request: &RunRequest) -> Result<WireState, Status> {
        let mut client = self.client.clone();
        let answer = client
            .submit_pipeline(SubmitPipelineRequest::from(request))
            .await?;
        Ok(answer.into_inner().state())
    }

    /// Submits a run of pipeline `name`.
    pub(crate) async fn run(&self, name: &str) -> RunId {
        let request = self.request(name);
        self.submit(&request).await.unwrap();
        request.run_id
    }

    pub(crate) async fn status(&self, run: RunId) -> Result<GetRunStatusResponse, Status> {
        let request = GetRunStatusRequest {
            run_id: run.to_string(),
        };
        self.client
            .clone()
            .get_run_status(request)
            .await
            .map(tonic::Response::into_inner)
    }

    pub(crate) async fn cancel(&self, run: RunId) -> Result<WireState, Status> {
        let request = CancelRunRequest {
            run_id: run.to_string(),
        };
        self.client
            .clone()
            .cancel_run(request)
            .await
            .map(|answer| answer.into_inner().state())
    }

    /// Follows the log to the end of the run.
    pub(crate) async fn log(&self, run: RunId, after: u64) -> Vec<LogEntry> {
        let request = StreamLogsRequest {
            run_id: run.to_string(),
            after,
        };
        let mut stream = self
            .client
            .clone()
            .stream_logs(request)
            .await
            .unwrap()
            .into_inner();
        let mut entries = Vec::new();
        let read = async {
            while let Some(message) = stream.message().await.unwrap() {
                entries.extend(
                    message
                        .entries
                        .into_iter()
                        .map(|e| LogEntry::try_from(e).unwrap()),
                );
            }
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("the log ends");
        entries
    }

    /// Follows a run to its end.
    pub(crate) async fn outcome(&self, run: RunId) -> RunOutcome {
        self.log(run, 0).await;
        let status = self.status(run).await.unwrap();
        let state = rat_proto::convert::run_state(status.state).unwrap();
        rat_proto::convert::outcome(run, state, status.outcome).unwrap()
    }

    pub(crate) async fn next_start(&mut self) -> RunId {
        let next = tokio::time::timeout(PATIENCE, self.started.recv());
        next.await.expect("a run starts").unwrap()
    }

    pub(crate) async fn next_told(&mut self) -> Told {
        let next = tokio::time::timeout(PATIENCE, self.told.recv());
        next.await.expect("ratd is told").unwrap()
    }
}
