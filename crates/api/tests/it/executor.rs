//! An executor that is never asked: the tests run no scheduler.

use async_trait::async_trait;
use rat_scheduler::{Executor, ExecutorError, LogStream, Progress};
use rat_types::{RunId, RunRequest, RunState};

#[derive(Debug)]
pub(crate) struct Idle;

fn refuse() -> ExecutorError {
    ExecutorError::Unavailable {
        executor: "idle".to_owned(),
        message: "idle".to_owned(),
    }
}

#[async_trait]
impl Executor for Idle {
    fn name(&self) -> &str {
        "idle"
    }

    async fn submit(&self, _: &RunRequest) -> Result<RunState, ExecutorError> {
        Err(refuse())
    }

    async fn status(&self, _: RunId) -> Result<Progress, ExecutorError> {
        Err(refuse())
    }

    async fn logs(&self, _: RunId, _: u64) -> Result<LogStream, ExecutorError> {
        Err(refuse())
    }

    async fn cancel(&self, _: RunId) -> Result<(), ExecutorError> {
        Err(refuse())
    }
}
