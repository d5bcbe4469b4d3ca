//! Why the runner does not do what it was asked to.

use std::path::PathBuf;

use rat_types::{Kind, RunId};
use tonic::{Code, Status};

/// A refusal or a failure of the runner itself; what goes wrong in a run is in its outcome.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request breaks its contract.
    #[error("the request is not valid")]
    Request(#[source] rat_proto::convert::Error),
    /// The runner restarted, or the run ended longer ago than results are kept.
    #[error("run {run_id} is not known here")]
    NotFound {
        /// The run.
        run_id: RunId,
    },
    /// The caller keeps the run and submits it again later.
    #[error("{waiting} runs are waiting, which is as many as may")]
    QueueFull {
        /// Runs that wait.
        waiting: usize,
    },
    /// The runner is going down.
    #[error("the runner is being stopped")]
    Stopping,
    /// The engine cannot be set up.
    #[error(transparent)]
    Engine(#[from] rat_engine::Error),
    /// The file with the request cannot be read.
    #[error("failed to read {}", path.display())]
    ReadRequest {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file with the request is not one.
    #[error("{} is not a run request", path.display())]
    ParseRequest {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The outcome is lost, although the run has ended.
    #[error("failed to write {}", path.display())]
    WriteResult {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Request(_) | Self::ParseRequest { .. } => Kind::InvalidArgument,
            Self::NotFound { .. } => Kind::NotFound,
            Self::QueueFull { .. } => Kind::ResourceExhausted,
            Self::Stopping => Kind::Unavailable,
            Self::Engine(error) => error.kind(),
            Self::ReadRequest { .. } | Self::WriteResult { .. } => Kind::Internal,
        }
    }

    /// Stable code.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Request(_) | Self::ParseRequest { .. } => "REQUEST_INVALID",
            Self::NotFound { .. } => "RUN_NOT_FOUND",
            Self::QueueFull { .. } => "QUEUE_FULL",
            Self::Stopping => "RUNNER_STOPPING",
            Self::Engine(error) => error.reason(),
            Self::ReadRequest { .. } => "REQUEST_UNREADABLE",
            Self::WriteResult { .. } => "RESULT_NOT_WRITTEN",
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Self::new(
            code_of(error.kind()),
            rat_service::ErrorChain(&error).to_string(),
        )
    }
}

fn code_of(kind: Kind) -> Code {
    match kind {
        Kind::InvalidArgument => Code::InvalidArgument,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::PermissionDenied => Code::PermissionDenied,
        Kind::NotFound => Code::NotFound,
        Kind::AlreadyExists => Code::AlreadyExists,
        Kind::Conflict => Code::Aborted,
        Kind::PayloadTooLarge | Kind::ResourceExhausted => Code::ResourceExhausted,
        Kind::Cancelled => Code::Cancelled,
        Kind::Internal => Code::Internal,
        Kind::NotImplemented => Code::Unimplemented,
        Kind::Upstream | Kind::Unavailable => Code::Unavailable,
        Kind::DeadlineExceeded => Code::DeadlineExceeded,
    }
}
