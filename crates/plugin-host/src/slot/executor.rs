//! The executor slot: where runs are executed.
//!
//! The scheduler keeps the registry of executors, because the row of a run names the one that took
//! it; this module tells it which one takes new runs, and none while they are held.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream;
use prost::Message as _;
use rat_api::Holder;
use rat_config::OnDown;
use rat_proto::convert;
use rat_proto::executor::v1::{
    CancelRequest, CancelResponse, GetRunStatusRequest, GetRunStatusResponse, StreamLogsRequest,
    StreamLogsResponse, SubmitRequest, SubmitResponse,
};
use rat_proto::runner::v1::SubmitPipelineRequest;
use rat_scheduler::{Executor, ExecutorError, Executors, LogStream, Progress};
use rat_types::{LogEntry, RunId, RunRequest, RunState};

use super::Standing;
use crate::call::{CallError, Cause};
use crate::connection::Stream;
use crate::method::{CANCEL, RUN_STATUS, STREAM_LOGS, SUBMIT};
use crate::plugin::Plugin;

/// The part of the slot that tells the scheduler.
pub(crate) struct ExecutorSlot {
    executors: Executors,
    builtin: Arc<dyn Executor>,
}

impl ExecutorSlot {
    /// `builtin` takes runs wherever no plugin does.
    pub(crate) fn new(executors: Executors, builtin: Arc<dyn Executor>) -> Self {
        Self { executors, builtin }
    }

    /// Who takes runs from now on.
    pub(crate) fn follow(&self, standing: &Standing) {
        let plugin = standing.plugin.as_ref();
        let plugin = plugin.map(|plugin| self.executor(plugin));
        match (standing.holder, plugin) {
            (Holder::Plugin | Holder::Denied, Some(plugin)) => self.executors.switch(plugin),
            (Holder::Held, Some(plugin)) => self.executors.hold(plugin),
            (Holder::Fallback, Some(plugin)) => {
                // Runs that it took stay with it.
                self.executors.know(plugin);
                self.executors.switch(Arc::clone(&self.builtin));
            }
            (_, _) => self.executors.switch(Arc::clone(&self.builtin)),
        }
    }

    fn executor(&self, plugin: &Arc<Plugin>) -> Arc<dyn Executor> {
        let name = &plugin.who.name;
        Arc::new(PluginExecutor {
            name: match name == self.builtin.name() {
                // Rows must tell them apart.
                true => format!("plugin:{name}"),
                false => name.clone(),
            },
            plugin: Arc::clone(plugin),
        })
    }
}

/// A plugin as the scheduler sees it.
#[derive(Debug)]
struct PluginExecutor {
    name: String,
    plugin: Arc<Plugin>,
}

impl PluginExecutor {
    fn failed(&self, run: RunId, error: &CallError) -> ExecutorError {
        let (executor, message) = (self.name.clone(), error.to_string());
        match &error.cause {
            Cause::Answered { code, .. } => ExecutorError::answered(executor, run, *code, message),
            Cause::Down(_)
            | Cause::Unreachable(_)
            | Cause::Refused(_)
            | Cause::Misconfigured(_) => ExecutorError::Unavailable { executor, message },
            Cause::Broken(_) | Cause::Reset(_) | Cause::Timeout(_) | Cause::Idle(_) => {
                ExecutorError::Interrupted { executor, message }
            }
            Cause::TooLarge(_) | Cause::Garbage(_) => ExecutorError::Rejected { executor, message },
        }
    }

    /// The plugin speaks another version of the contract.
    fn nonsense(&self, error: &convert::Error) -> ExecutorError {
        ExecutorError::Rejected {
            executor: self.name.clone(),
            message: format!("{}: invalid answer: {error}", self.plugin.who),
        }
    }

    /// Under `deny` a run that needs a plugin that is down has failed.
    fn refuse_while_denied(&self) -> Result<(), ExecutorError> {
        if self.plugin.on_down() != OnDown::Deny || self.plugin.is_serving() {
            return Ok(());
        }
        let message = &self.plugin.state().message;
        Err(ExecutorError::Rejected {
            executor: self.name.clone(),
            message: format!("{} is down: {message}", self.plugin.who),
        })
    }
}

#[async_trait]
impl Executor for PluginExecutor {
    fn name(&self) -> &str {
        &self.name
    }

    async fn submit(&self, request: &RunRequest) -> Result<RunState, ExecutorError> {
        self.refuse_while_denied()?;
        let run = request.run_id;
        let message = SubmitRequest {
            run: Some(SubmitPipelineRequest::from(request)),
        };
        let answer = self.plugin.call::<SubmitResponse>(SUBMIT, &message).await;
        let answer = answer.map_err(|error| self.failed(run, &error))?;
        convert::run_state(answer.state).map_err(|error| self.nonsense(&error))
    }

    async fn status(&self, run: RunId) -> Result<Progress, ExecutorError> {
        let message = GetRunStatusRequest {
            run_id: run.to_string(),
        };
        let answer = self
            .plugin
            .call::<GetRunStatusResponse>(RUN_STATUS, &message);
        let answer = answer.await.map_err(|error| self.failed(run, &error))?;
        let state = convert::run_state(answer.state).map_err(|error| self.nonsense(&error))?;
        Progress::read(run, state, answer.outcome).map_err(|error| self.nonsense(&error))
    }

    async fn logs(&self, run: RunId, after: u64) -> Result<LogStream, ExecutorError> {
        let message = StreamLogsRequest {
            run_id: run.to_string(),
            after,
        };
        let messages = self.plugin.stream(STREAM_LOGS, &message).await;
        let messages = messages.map_err(|error| self.failed(run, &error))?;
        let this = Self {
            name: self.name.clone(),
            plugin: Arc::clone(&self.plugin),
        };
        let state = (this, messages);
        Ok(stream::try_unfold(state, move |state| next_entries(run, state)).boxed())
    }

    async fn cancel(&self, run: RunId) -> Result<(), ExecutorError> {
        let message = CancelRequest {
            run_id: run.to_string(),
        };
        let answer = self.plugin.call::<CancelResponse>(CANCEL, &message).await;
        answer.map(drop).map_err(|error| self.failed(run, &error))
    }
}

type Logs = (PluginExecutor, Stream);

async fn next_entries(
    run: RunId,
    (executor, mut messages): Logs,
) -> Result<Option<(Vec<LogEntry>, Logs)>, ExecutorError> {
    let failed = |cause: Cause| {
        executor.plugin.failed(STREAM_LOGS, &cause);
        executor.failed(run, &executor.plugin.error(STREAM_LOGS, cause))
    };
    let Some(bytes) = messages.next().await.map_err(failed)? else {
        return Ok(None);
    };
    let message = StreamLogsResponse::decode(bytes)
        .map_err(|error| failed(Cause::Garbage(error.to_string())))?;
    let entries: Result<Vec<LogEntry>, _> =
        message.entries.into_iter().map(TryInto::try_into).collect();
    let entries = entries.map_err(|error| executor.nonsense(&error))?;
    Ok(Some((entries, (executor, messages))))
}
