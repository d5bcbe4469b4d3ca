//! `RunnerService` over a [`Pool`].

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use rat_proto::convert;
use rat_proto::runner::v1::runner_service_server::RunnerService;
use rat_proto::runner::v1::{
    CancelRunRequest, CancelRunResponse, GetRunStatusRequest, GetRunStatusResponse, LogEntry,
    RunState as WireState, StreamLogsRequest, StreamLogsResponse, SubmitPipelineRequest,
    SubmitPipelineResponse,
};
use rat_types::{RunId, RunRequest};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::{Error, Pool, Record};

/// Entries of one message.
const PER_MESSAGE: usize = 500;

/// The service.
#[derive(Clone)]
pub struct Service {
    pool: Pool,
}

impl Service {
    /// The service of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

fn run_id(text: &str) -> Result<RunId, Error> {
    convert::run_id(text).map_err(Error::Request)
}

#[tonic::async_trait]
impl RunnerService for Service {
    type StreamLogsStream = Pin<Box<dyn Stream<Item = Result<StreamLogsResponse, Status>> + Send>>;

    async fn submit_pipeline(
        &self,
        request: Request<SubmitPipelineRequest>,
    ) -> Result<Response<SubmitPipelineResponse>, Status> {
        let request = RunRequest::try_from(request.into_inner()).map_err(Error::Request)?;
        let state = self.pool.submit(request)?;
        Ok(Response::new(SubmitPipelineResponse {
            state: WireState::from(state).into(),
        }))
    }

    async fn get_run_status(
        &self,
        request: Request<GetRunStatusRequest>,
    ) -> Result<Response<GetRunStatusResponse>, Status> {
        let record = self.pool.record(run_id(&request.get_ref().run_id)?)?;
        let status = record.status();
        Ok(Response::new(GetRunStatusResponse {
            state: WireState::from(status.state).into(),
            phase: status.phase.to_owned(),
            outcome: status.outcome.as_deref().map(Into::into),
        }))
    }

    async fn stream_logs(
        &self,
        request: Request<StreamLogsRequest>,
    ) -> Result<Response<Self::StreamLogsStream>, Status> {
        let StreamLogsRequest { run_id: id, after } = request.into_inner();
        let record = self.pool.record(run_id(&id)?)?;
        let news = record.watch();
        let reader = Reader {
            record,
            news,
            after,
        };
        Ok(Response::new(Box::pin(futures::stream::unfold(
            reader,
            Reader::next,
        ))))
    }

    async fn cancel_run(
        &self,
        request: Request<CancelRunRequest>,
    ) -> Result<Response<CancelRunResponse>, Status> {
        let status = self.pool.cancel(run_id(&request.get_ref().run_id)?)?;
        Ok(Response::new(CancelRunResponse {
            state: WireState::from(status.state).into(),
        }))
    }
}

/// Follows a log to its end.
struct Reader {
    record: Arc<Record>,
    news: watch::Receiver<()>,
    after: u64,
}

impl Reader {
    async fn next(mut self) -> Option<(Result<StreamLogsResponse, Status>, Self)> {
        loop {
            // Marked as seen before reading, so that what comes in between is not missed.
            self.news.mark_unchanged();
            let (entries, more) = self.record.read_log(self.after, PER_MESSAGE);
            if let Some(last) = entries.last() {
                self.after = last.seq;
                let entries = entries.iter().map(LogEntry::from).collect();
                return Some((Ok(StreamLogsResponse { entries }), self));
            }
            if !more || self.news.changed().await.is_err() {
                return None;
            }
        }
    }
}
