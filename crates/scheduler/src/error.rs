//! What the scheduler answers to whoever calls its handle.

use rat_types::{Kind, RunId, RunStatus};

/// A call to the scheduler failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only a run that has not ended can be cancelled.
    #[error("run {run} is not cancellable: it has ended with {status}")]
    NotCancellable {
        /// The run.
        run: RunId,
        /// How it ended.
        status: RunStatus,
    },
    /// An executor reported something that cannot be the end of the run.
    #[error("the outcome is not valid for run {run}: {rule}")]
    InvalidOutcome {
        /// The run.
        run: RunId,
        /// What a valid one looks like.
        rule: &'static str,
    },
    /// The platform database failed, or does not know the run.
    #[error(transparent)]
    Store(#[from] rat_store::Error),
}

impl Error {
    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotCancellable { .. } => Kind::Conflict,
            Self::InvalidOutcome { .. } => Kind::InvalidArgument,
            Self::Store(source) => source.kind(),
        }
    }

    /// Stable code.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotCancellable { .. } => "NOT_CANCELLABLE",
            Self::InvalidOutcome { .. } => "INVALID_ARGUMENT",
            Self::Store(source) => source.reason(),
        }
    }
}
