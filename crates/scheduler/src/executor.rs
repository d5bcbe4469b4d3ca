//! Where runs are executed: the contract, and what may go wrong with it.
//!
//! An executor is handed a complete request and owns the run until it has ended. ratd asks it for
//! state and logs, by the run's id alone, so that ratd can be restarted at any moment. `dyn`,
//! because plugins will fill this slot while ratd runs.

mod warm_pool;

use async_trait::async_trait;
use chrono::Utc;
use futures::stream::BoxStream;
use rat_proto::convert;
use rat_proto::runner::v1::RunOutcome as WireOutcome;
use rat_types::{Kind, LogEntry, RunFailure, RunId, RunOutcome, RunRequest, RunState};
use tonic::Code;

pub use warm_pool::WarmPoolExecutor;

/// What a log stream yields: one or more entries at a time, in order, until the run has ended.
pub type LogStream = BoxStream<'static, Result<Vec<LogEntry>, Error>>;

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// In the executor's queue, or executing.
    Active(RunState),
    /// Ended, with what became of it.
    Ended(RunOutcome),
}

impl Progress {
    /// What an executor behind gRPC answered. The state is read by the caller: it is the part of
    /// the answer that both contracts have in common. A run whose end comes without an outcome has
    /// failed: nobody knows what there is to publish.
    ///
    /// # Errors
    /// The outcome does not fit the contract, or the state.
    pub fn read(
        run: RunId,
        state: RunState,
        outcome: Option<WireOutcome>,
    ) -> Result<Self, convert::Error> {
        if !state.is_terminal() {
            return Ok(Self::Active(state));
        }
        let Some(outcome) = outcome else {
            let failure = (state != RunState::Cancelled).then(|| {
                let message = format!("the executor says that the run has {state}, and no more");
                RunFailure::new("EXECUTOR_FAILED", message)
            });
            return Ok(Self::Ended(without_result(run, failure)));
        };
        Ok(Self::Ended(convert::outcome(run, state, Some(outcome))?))
    }
}

/// The outcome of a run of which nothing more is known: cancelled, unless there is a failure.
pub(crate) fn without_result(run_id: RunId, failure: Option<RunFailure>) -> RunOutcome {
    let state = match failure {
        Some(_) => RunState::Failed,
        None => RunState::Cancelled,
    };
    RunOutcome::without_rows(run_id, state, failure, Utc::now())
}

/// Executes runs somewhere else. Every method is idempotent and has a deadline of its own.
#[async_trait]
pub trait Executor: Send + Sync + std::fmt::Debug {
    /// The name that a run's row remembers, for as long as the run lives.
    fn name(&self) -> &str;

    /// Hands a run over. A run and attempt that the executor knows already is not started twice.
    ///
    /// # Errors
    /// See [`Error`]; after [`Error::Interrupted`] the run may have been taken all the same.
    async fn submit(&self, request: &RunRequest) -> Result<RunState, Error>;

    /// How far a run is.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the executor lost it.
    async fn status(&self, run: RunId) -> Result<Progress, Error>;

    /// The run's log after entry `after`, then following it. The stream ends with the run.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the executor lost it. The stream itself may break off with an
    /// error; it can be taken up again from the last entry.
    async fn logs(&self, run: RunId, after: u64) -> Result<LogStream, Error>;

    /// Asks a run to stop. Its outcome is then `cancelled`, unless it had already ended.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the executor lost it.
    async fn cancel(&self, run: RunId) -> Result<(), Error>;
}

/// Why an executor did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The run is unknown to the executor: it restarted, or ended long ago.
    #[error("executor {executor} does not know run {run}")]
    NotFound {
        /// The executor.
        executor: String,
        /// The run.
        run: RunId,
    },
    /// The executor is full; the run was not taken. Submit it again later.
    #[error("executor {executor} has no room: {message}")]
    Exhausted {
        /// The executor.
        executor: String,
        /// What it said.
        message: String,
    },
    /// The executor could not be reached; it has surely not heard the call.
    #[error("executor {executor} is not available: {message}")]
    Unavailable {
        /// The executor.
        executor: String,
        /// What is known about it.
        message: String,
    },
    /// The call broke off or took too long; the executor may have heard it.
    #[error("the call to executor {executor} broke off: {message}")]
    Interrupted {
        /// The executor.
        executor: String,
        /// What is known about it.
        message: String,
    },
    /// The executor refuses; asking again will not help.
    #[error("executor {executor} refused: {message}")]
    Rejected {
        /// The executor.
        executor: String,
        /// What it said.
        message: String,
    },
}

impl Error {
    /// The error that an executor behind gRPC answered itself.
    pub fn answered(executor: String, run: RunId, code: Code, message: String) -> Self {
        match code {
            Code::NotFound => Self::NotFound { executor, run },
            Code::ResourceExhausted => Self::Exhausted { executor, message },
            Code::Unavailable => Self::Unavailable { executor, message },
            Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Internal => Self::Interrupted { executor, message },
            Code::Ok
            | Code::InvalidArgument
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss
            | Code::Unauthenticated => Self::Rejected { executor, message },
        }
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } => Kind::NotFound,
            Self::Exhausted { .. } => Kind::ResourceExhausted,
            Self::Unavailable { .. } => Kind::Unavailable,
            Self::Interrupted { .. } => Kind::DeadlineExceeded,
            Self::Rejected { .. } => Kind::Upstream,
        }
    }

    /// Stable code.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "RUN_UNKNOWN",
            Self::Exhausted { .. } => "EXECUTOR_EXHAUSTED",
            Self::Unavailable { .. } => "EXECUTOR_UNAVAILABLE",
            Self::Interrupted { .. } => "EXECUTOR_INTERRUPTED",
            Self::Rejected { .. } => "EXECUTOR_REJECTED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_with_its_state_even_where_nothing_else_is_said() {
        let run = RunId::new_at(Utc::now());
        let ended = |state, outcome| match Progress::read(run, state, outcome).unwrap() {
            Progress::Ended(outcome) => outcome,
            Progress::Active(state) => panic!("{state}"),
        };
        for state in [RunState::Failed, RunState::Succeeded] {
            let outcome = ended(state, None);
            assert_eq!(outcome.state, RunState::Failed);
            assert_eq!(outcome.failure.unwrap().code, "EXECUTOR_FAILED");
        }
        let cancelled = ended(RunState::Cancelled, None);
        assert_eq!(
            (cancelled.state, cancelled.failure),
            (RunState::Cancelled, None)
        );
        // Without a time: it has ended by now.
        let outcome = ended(RunState::Succeeded, Some(WireOutcome::default()));
        assert_eq!(outcome.state, RunState::Succeeded);
        let active = Progress::read(run, RunState::Running, None).unwrap();
        assert_eq!(active, Progress::Active(RunState::Running));
    }
}
