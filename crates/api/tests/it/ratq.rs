//! A query service and a runner on one port. The query service does what its SQL says: `rows N`, `error CODE`, `hang`, `garbage`,
//! `silence`; anything else is one row.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::ipc::writer::StreamWriter;
use futures::{Stream, StreamExt as _, stream};
use rat_proto::query::v1::query_service_server::{QueryService, QueryServiceServer};
use rat_proto::query::v1::{ExecuteQueryRequest, ExecuteQueryResponse};
use rat_proto::runner::v1::runner_service_server::{RunnerService, RunnerServiceServer};
use rat_proto::runner::v1::{
    CancelRunRequest, CancelRunResponse, GetRunStatusRequest, GetRunStatusResponse,
    StreamLogsRequest, StreamLogsResponse, SubmitPipelineRequest, SubmitPipelineResponse,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{self, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

type Answer = Pin<Box<dyn Stream<Item = Result<ExecuteQueryResponse, Status>> + Send>>;

#[derive(Clone)]
pub(crate) struct FakeRatq {
    seen: Arc<Mutex<Vec<ExecuteQueryRequest>>>,
    cancelled: Arc<AtomicUsize>,
    request_id: Arc<Mutex<Option<String>>>,
    mood: Arc<Mutex<Mood>>,
    probes: Arc<AtomicUsize>,
    address: String,
    _server: Arc<tokio_util::sync::DropGuard>,
}

/// How both services take it when they are asked whether they are well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Well,
    /// It answers that it is not.
    Unwell,
    /// It does not answer.
    Stuck,
}

/// The health check of ratq.
struct Nurse {
    mood: Arc<Mutex<Mood>>,
    probes: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Behaviour {
    seen: Arc<Mutex<Vec<ExecuteQueryRequest>>>,
    cancelled: Arc<AtomicUsize>,
    request_id: Arc<Mutex<Option<String>>>,
}

/// Counts streams that were dropped before their end.
struct Hanging(Arc<AtomicUsize>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl FakeRatq {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let behaviour = Behaviour {
            seen: Arc::default(),
            cancelled: Arc::default(),
            request_id: Arc::default(),
        };
        let (seen, cancelled) = (behaviour.seen.clone(), behaviour.cancelled.clone());
        let request_id = behaviour.request_id.clone();
        let (mood, probes) = (Arc::<Mutex<Mood>>::default(), Arc::<AtomicUsize>::default());
        let nurse = Nurse {
            mood: Arc::clone(&mood),
            probes: Arc::clone(&probes),
        };
        let stop = tokio_util::sync::CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let server = Server::builder()
            .add_service(QueryServiceServer::new(behaviour))
            .add_service(RunnerServiceServer::new(Forgetful(Arc::clone(&mood))))
            .add_service(HealthServer::new(nurse))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped);
        tokio::spawn(server);
        Self {
            seen,
            cancelled,
            request_id,
            mood,
            probes,
            address,
            _server: Arc::new(stop.drop_guard()),
        }
    }

    pub(crate) fn channel(&self) -> Channel {
        Endpoint::from_shared(self.address.clone())
            .unwrap()
            .connect_lazy()
    }

    pub(crate) fn last(&self) -> ExecuteQueryRequest {
        self.seen
            .lock()
            .unwrap()
            .last()
            .cloned()
            .expect("a query arrived")
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// How often it was asked whether it is well.
    pub(crate) fn probes(&self) -> usize {
        self.probes.load(Ordering::SeqCst)
    }

    pub(crate) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Id of the last request.
    pub(crate) fn request_id(&self) -> Option<String> {
        self.request_id.lock().unwrap().clone()
    }

    pub(crate) fn cancelled(&self) -> usize {
        self.cancelled.load(Ordering::SeqCst)
    }
}

#[tonic::async_trait]
impl QueryService for Behaviour {
    type ExecuteQueryStream = Answer;

    async fn execute_query(
        &self,
        request: Request<ExecuteQueryRequest>,
    ) -> Result<Response<Answer>, Status> {
        let id = request
            .metadata()
            .get("x-request-id")
            .and_then(|id| id.to_str().ok());
        *self.request_id.lock().unwrap() = id.map(str::to_owned);
        let request = request.into_inner();
        self.seen.lock().unwrap().push(request.clone());
        let words: Vec<&str> = request.sql.split_whitespace().collect();
        let answer: Answer = match words[..] {
            [] => return Err(Status::invalid_argument("an empty query")),
            ["error", code] => {
                let code: i32 = code.parse().unwrap();
                let mut status = Status::new(Code::from(code), "as you said");
                status
                    .metadata_mut()
                    .insert("rat-reason", "AS_YOU_SAID".parse().unwrap());
                return Err(status);
            }
            ["busy"] => {
                let mut status = Status::resource_exhausted("all places are taken");
                let reason = "TOO_MANY_QUERIES".parse().unwrap();
                status.metadata_mut().insert("rat-reason", reason);
                return Err(status);
            }
            ["late", "error"] => {
                let mut messages = messages(1, false);
                messages.push(Err(Status::resource_exhausted("out of memory")));
                Box::pin(stream::iter(messages))
            }
            ["hang"] => {
                let guard = Hanging(self.cancelled.clone());
                let schema = stream::iter(messages(0, false));
                Box::pin(schema.chain(stream::once(async move {
                    let _guard = guard;
                    std::future::pending().await
                })))
            }
            ["garbage"] => Box::pin(stream::iter([Ok(ExecuteQueryResponse {
                arrow_ipc: b"this is no arrow stream at all".to_vec(),
                truncated: false,
            })])),
            ["silence"] => Box::pin(stream::empty()),
            ["rows", count] => {
                let count: i64 = count.parse().unwrap();
                let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
                Box::pin(stream::iter(messages(count.min(limit), count > limit)))
            }
            // More rows than were asked for.
            ["flood", count] => Box::pin(stream::iter(messages(count.parse().unwrap(), false))),
            _ => Box::pin(stream::iter(messages(1, false))),
        };
        Ok(Response::new(answer))
    }
}

/// The schema, batches of at most 1000 rows, and the end.
fn messages(count: i64, truncated: bool) -> Vec<Result<ExecuteQueryResponse, Status>> {
    let mut writer = StreamWriter::try_new(Vec::new(), batch(0, 0).schema_ref()).unwrap();
    let mut messages = vec![std::mem::take(writer.get_mut())];
    let mut from = 0;
    while from < count {
        let to = (from + 1000).min(count);
        writer.write(&batch(from, to)).unwrap();
        messages.push(std::mem::take(writer.get_mut()));
        from = to;
    }
    writer.finish().unwrap();
    messages.push(std::mem::take(writer.get_mut()));
    let last = messages.len() - 1;
    let message = |(index, arrow_ipc)| {
        Ok(ExecuteQueryResponse {
            arrow_ipc,
            truncated: truncated && index == last,
        })
    };
    messages.into_iter().enumerate().map(message).collect()
}

fn batch(from: i64, to: i64) -> RecordBatch {
    let price: Decimal128Array = (from..to).map(|n| Some(i128::from(n) * 100 + 5)).collect();
    RecordBatch::try_from_iter([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(from..to)) as ArrayRef,
        ),
        (
            "price",
            Arc::new(price.with_precision_and_scale(12, 2).unwrap()) as ArrayRef,
        ),
        (
            "name",
            Arc::new(StringArray::from_iter_values(
                (from..to).map(|n| format!("row \"{n}\"")),
            )) as ArrayRef,
        ),
    ])
    .unwrap()
}

/// Waits for ever where the service is stuck.
async fn feel(mood: &Mutex<Mood>) -> Mood {
    let mood = *mood.lock().unwrap();
    if mood == Mood::Stuck {
        std::future::pending::<()>().await;
    }
    mood
}

#[tonic::async_trait]
impl health_server::Health for Nurse {
    type WatchStream = stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        let status = match feel(&self.mood).await {
            Mood::Well => ServingStatus::Serving,
            Mood::Unwell | Mood::Stuck => ServingStatus::NotServing,
        };
        let status = status.into();
        Ok(Response::new(HealthCheckResponse { status }))
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("not in this test"))
    }
}

/// A runner that knows no run.
struct Forgetful(Arc<Mutex<Mood>>);

#[tonic::async_trait]
impl RunnerService for Forgetful {
    type StreamLogsStream = stream::Empty<Result<StreamLogsResponse, Status>>;

    async fn submit_pipeline(
        &self,
        _: Request<SubmitPipelineRequest>,
    ) -> Result<Response<SubmitPipelineResponse>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn get_run_status(
        &self,
        _: Request<GetRunStatusRequest>,
    ) -> Result<Response<GetRunStatusResponse>, Status> {
        match feel(&self.0).await {
            Mood::Well => Err(Status::not_found("no such run")),
            Mood::Unwell | Mood::Stuck => Err(Status::internal("out of order")),
        }
    }

    async fn stream_logs(
        &self,
        _: Request<StreamLogsRequest>,
    ) -> Result<Response<Self::StreamLogsStream>, Status> {
        Err(Status::not_found("no such run"))
    }

    async fn cancel_run(
        &self,
        _: Request<CancelRunRequest>,
    ) -> Result<Response<CancelRunResponse>, Status> {
        Err(Status::not_found("no such run"))
    }
}
