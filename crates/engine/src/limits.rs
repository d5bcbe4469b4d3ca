//! Ending work in the middle: cancellation and time limits.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Error;

/// When a piece of work has to stop, finished or not.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    cancel: CancellationToken,
    deadline: Instant,
    what: String,
    limit: Duration,
}

impl Limits {
    /// `what` may take `limit` from now.
    pub(crate) fn new(cancel: CancellationToken, what: impl Into<String>, limit: Duration) -> Self {
        let far = Duration::from_secs(60 * 60 * 24 * 365);
        let deadline = Instant::now() + limit.min(far);
        Self {
            cancel,
            deadline,
            what: what.into(),
            limit,
        }
    }

    /// A part of the work with a limit of its own; the whole's limit still holds.
    pub(crate) fn part(&self, what: impl Into<String>, limit: Duration) -> Self {
        let part = Self::new(self.cancel.clone(), what, limit);
        if part.deadline < self.deadline {
            part
        } else {
            self.clone()
        }
    }

    /// Whether the whole is over, rather than one part of it.
    pub(crate) fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || Instant::now() >= self.deadline
    }

    /// Fails when it is time to stop.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if Instant::now() >= self.deadline {
            return Err(self.timeout());
        }
        Ok(())
    }

    fn timeout(&self) -> Error {
        Error::Timeout {
            what: self.what.clone(),
            limit: self.limit,
        }
    }

    /// Drops `work` when it is time to stop.
    pub(crate) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::Cancelled),
            () = tokio::time::sleep_until(self.deadline) => Err(self.timeout()),
            result = work => result,
        }
    }
}
