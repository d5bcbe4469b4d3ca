//! Kinds of error: the small closed set from which HTTP and gRPC codes are derived.

use serde::{Deserialize, Serialize};

/// What sort of failure an error is, independent of transport.
///
/// Public errors of the libraries answer `kind()` with one of these; the edge turns it into an
/// HTTP or gRPC status in one place, without a wildcard arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The caller's input is wrong; repeating it will not help.
    InvalidArgument,
    /// The caller did not say who it is, or not believably.
    Unauthenticated,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// The named thing does not exist.
    NotFound,
    /// A thing with that name exists.
    AlreadyExists,
    /// The thing is not in a state in which this can be done, or changed meanwhile.
    Conflict,
    /// The input is larger than a limit.
    PayloadTooLarge,
    /// A rate, queue or memory limit; later it may work.
    ResourceExhausted,
    /// The caller or somebody on its behalf cancelled.
    Cancelled,
    /// A fault of ours.
    Internal,
    /// Not offered by this installation.
    NotImplemented,
    /// Another service answered with nonsense or an error.
    Upstream,
    /// Another service does not answer; later it may.
    Unavailable,
    /// A time limit passed.
    DeadlineExceeded,
}

/// Why a run failed, for people and for machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFailure {
    /// Stable code in SCREAMING_SNAKE_CASE, for example `SQL_INVALID`.
    pub code: String,
    /// What happened, to which thing, what to do.
    pub message: String,
}

impl RunFailure {
    /// A failure with `code` and `message`.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }
}
