//! The built-in executor: a pool of warm `rat-runner` processes behind gRPC.
//!
//! The channel is given, so that this module neither dials nor knows addresses. It never retries:
//! what a failure means is the scheduler's to decide.

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use rat_proto::convert;
use rat_proto::runner::v1::runner_service_client::RunnerServiceClient;
use rat_proto::runner::v1::{
    CancelRunRequest, GetRunStatusRequest, StreamLogsRequest, StreamLogsResponse,
    SubmitPipelineRequest,
};
use rat_types::{LogEntry, RunId, RunRequest, RunState};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use super::{Error, Executor, LogStream, Progress};

/// Name of the built-in executor in the rows of runs.
const NAME: &str = "warm-pool";
/// Deadline of a call, and of the first answer of a stream.
const CALL: Duration = Duration::from_secs(10);
/// How long a log stream may be silent before it is opened again: a run may have nothing to say
/// for long, but a peer that vanished must not be waited for.
const IDLE: Duration = Duration::from_secs(60);

/// Submits runs to `rat-runner` over gRPC.
#[derive(Debug, Clone)]
pub struct WarmPoolExecutor {
    client: RunnerServiceClient<Channel>,
}

impl WarmPoolExecutor {
    /// An executor behind `channel`.
    pub fn new(channel: Channel) -> Self {
        Self {
            client: RunnerServiceClient::new(channel),
        }
    }
}

#[async_trait]
impl Executor for WarmPoolExecutor {
    fn name(&self) -> &str {
        NAME
    }

    async fn submit(&self, request: &RunRequest) -> Result<RunState, Error> {
        let run = request.run_id;
        let message = SubmitPipelineRequest::from(request);
        let answer = call(run, self.client.clone().submit_pipeline(message)).await?;
        convert::run_state(answer.into_inner().state).map_err(|error| broken(&error))
    }

    async fn status(&self, run: RunId) -> Result<Progress, Error> {
        let message = GetRunStatusRequest {
            run_id: run.to_string(),
        };
        let answer = call(run, self.client.clone().get_run_status(message))
            .await?
            .into_inner();
        let state = convert::run_state(answer.state).map_err(|error| broken(&error))?;
        Progress::read(run, state, answer.outcome).map_err(|error| broken(&error))
    }

    async fn logs(&self, run: RunId, after: u64) -> Result<LogStream, Error> {
        let message = StreamLogsRequest {
            run_id: run.to_string(),
            after,
        };
        let messages = call(run, self.client.clone().stream_logs(message))
            .await?
            .into_inner();
        Ok(stream::try_unfold(messages, move |messages| next_entries(run, messages)).boxed())
    }

    async fn cancel(&self, run: RunId) -> Result<(), Error> {
        let message = CancelRunRequest {
            run_id: run.to_string(),
        };
        call(run, self.client.clone().cancel_run(message)).await?;
        Ok(())
    }
}

async fn next_entries(
    run: RunId,
    mut messages: Streaming<StreamLogsResponse>,
) -> Result<Option<(Vec<LogEntry>, Streaming<StreamLogsResponse>)>, Error> {
    let message = timeout(IDLE, messages.message())
        .await
        .map_err(|_| interrupted(format!("no log entry for {IDLE:?}")))?
        .map_err(|status| from_status(run, &status))?;
    let Some(message) = message else {
        return Ok(None);
    };
    let entries: Result<Vec<LogEntry>, _> =
        message.entries.into_iter().map(TryInto::try_into).collect();
    Ok(Some((entries.map_err(|error| broken(&error))?, messages)))
}

async fn call<T>(run: RunId, request: impl Future<Output = Result<T, Status>>) -> Result<T, Error> {
    match timeout(CALL, request).await {
        Ok(answer) => answer.map_err(|status| from_status(run, &status)),
        Err(_) => Err(interrupted(format!("no answer within {CALL:?}"))),
    }
}

fn interrupted(message: String) -> Error {
    Error::Interrupted {
        executor: NAME.to_owned(),
        message,
    }
}

/// The peer speaks another version of the contract.
fn broken(error: &convert::Error) -> Error {
    Error::Rejected {
        executor: NAME.to_owned(),
        message: format!("invalid answer: {error}"),
    }
}

/// `UNAVAILABLE` is what tonic says when it could not connect, and what a server says that did
/// not take the call. When a connection breaks after the call was sent, tonic says something else
/// (`CANCELLED`, `UNKNOWN`, `INTERNAL`): then nobody knows.
fn from_status(run: RunId, status: &Status) -> Error {
    let message = match status.code() {
        Code::ResourceExhausted => status.message().to_owned(),
        Code::Unavailable => chain(status),
        code => format!("{code:?}: {}", status.message()),
    };
    Error::answered(NAME.to_owned(), run, status.code(), message)
}

/// tonic hides why it could not connect in the sources ("tcp connect error" says little).
fn chain(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}
