//! Why a query is not answered, and as what status the caller sees it.

use std::time::Duration;

use arrow::error::ArrowError;
use rat_types::{InvalidName, Kind};
use tonic::{Code, Status};

use crate::Busy;

/// Name of the metadata entry that carries the stable code.
const REASON: &str = "rat-reason";

/// A query that was refused or broke off.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no SQL in the request.
    #[error("there is no SQL to execute")]
    NoSql,
    /// The SQL is longer than the contract allows.
    #[error("the SQL has {characters} characters; at most {limit} are allowed")]
    SqlTooLong {
        /// Characters in the request.
        characters: usize,
        /// Characters that are allowed.
        limit: usize,
    },
    /// The namespace is not one.
    #[error(transparent)]
    Namespace(#[from] InvalidName),
    /// The request lacks what only ratd knows.
    #[error("{field}: is needed")]
    Missing {
        /// Field of the request.
        field: &'static str,
    },
    /// There is no room for another query.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] rat_engine::Error),
    /// The time was over before the caller had taken the last row.
    #[error("the query took longer than {} s", limit.as_secs())]
    Timeout {
        /// Time that a query may take.
        limit: Duration,
    },
    /// A row does not fit a message.
    #[error(
        "a row of the result has {bytes} bytes; at most {} are sent",
        crate::LARGEST_ROW
    )]
    RowTooLarge {
        /// Bytes of the row, encoded.
        bytes: usize,
    },
    /// The result has no form in Arrow IPC: a fault of ours.
    #[error("failed to encode the result")]
    Encode(#[source] ArrowError),
    /// The task that executed the query is gone: a fault of ours, or the end of the process.
    #[error("the query broke off")]
    Broken,
    /// All places are held by queries whose time was over long ago: only a restart helps.
    #[error("no query gets a place any more, because those that hold them do not end")]
    Stuck,
    /// The threads of the query cannot be started.
    #[error("failed to start the threads of the query")]
    Threads(#[source] std::io::Error),
}

impl Error {
    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSql | Self::SqlTooLong { .. } | Self::Namespace(_) | Self::Missing { .. } => {
                Kind::InvalidArgument
            }
            Self::Busy(_) | Self::RowTooLarge { .. } => Kind::ResourceExhausted,
            Self::Engine(error) => error.kind(),
            Self::Timeout { .. } => Kind::DeadlineExceeded,
            Self::Encode(_) | Self::Threads(_) => Kind::Internal,
            Self::Broken | Self::Stuck => Kind::Unavailable,
        }
    }

    /// Stable code.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoSql => "SQL_INVALID",
            Self::SqlTooLong { .. } => "SQL_TOO_LONG",
            Self::Namespace(_) | Self::Missing { .. } => "REQUEST_INVALID",
            Self::Busy(_) => "TOO_MANY_QUERIES",
            Self::Engine(error) => error.reason(),
            Self::Timeout { .. } => "TIMEOUT",
            Self::RowTooLarge { .. } => "ROW_TOO_LARGE",
            Self::Encode(_) | Self::Threads(_) => "INTERNAL",
            Self::Broken => "QUERY_BROKEN",
            Self::Stuck => "QUERIES_STUCK",
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let code = code_of(error.kind());
        let message = match code {
            // Nothing in there helps the caller; the log has it.
            Code::Internal => "the query failed inside ratq; its log has the detail".to_owned(),
            _ => error.to_string(),
        };
        let mut status = Self::new(code, message);
        if let Ok(reason) = error.reason().parse() {
            status.metadata_mut().insert(REASON, reason);
        }
        status
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_carries_code_message_and_reason() {
        let status = Status::from(Error::SqlTooLong {
            characters: 7,
            limit: 5,
        });
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(
            status.message(),
            "the SQL has 7 characters; at most 5 are allowed"
        );
        assert_eq!(status.metadata().get(REASON).unwrap(), "SQL_TOO_LONG");
    }

    #[test]
    fn a_fault_of_ours_does_not_tell_its_detail() {
        let status = Status::from(Error::Encode(ArrowError::SchemaError("secret".to_owned())));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("secret"));
    }
}
