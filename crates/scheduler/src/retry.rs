//! Database and catalog calls that have to succeed in the end.
//!
//! A run's row is the only place that knows the run, so a write to it is repeated until the
//! database is back. What cannot succeed by repeating ends the task; the service takes the run up
//! again later.

use std::time::Duration;

use rat_types::Kind;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Why a run's task ends before its run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// The process ends; the next one takes over from the database.
    #[error("the scheduler is stopping")]
    Shutdown,
    /// The database refuses what should be possible.
    #[error("failed to {what}")]
    Store {
        /// What was tried.
        what: &'static str,
        #[source]
        source: rat_store::Error,
    },
}

/// Whether doing it again may help.
pub(crate) fn is_transient(kind: Kind) -> bool {
    match kind {
        Kind::Unavailable
        | Kind::DeadlineExceeded
        | Kind::ResourceExhausted
        | Kind::Internal
        | Kind::Upstream
        | Kind::Cancelled => true,
        Kind::InvalidArgument
        | Kind::Unauthenticated
        | Kind::PermissionDenied
        | Kind::NotFound
        | Kind::AlreadyExists
        | Kind::Conflict
        | Kind::PayloadTooLarge
        | Kind::NotImplemented => false,
    }
}

/// Repeats `call` while its failure is one that passes.
pub(crate) async fn store<T, F>(
    what: &'static str,
    shutdown: &CancellationToken,
    mut call: impl FnMut() -> F,
) -> Result<T, Halt>
where
    F: Future<Output = Result<T, rat_store::Error>>,
{
    let mut backoff = Backoff::new(FIRST_PAUSE, LAST_PAUSE);
    loop {
        let source = match call().await {
            Ok(done) => return Ok(done),
            Err(error) if is_transient(error.kind()) => error,
            Err(source) => return Err(Halt::Store { what, source }),
        };
        let pause = backoff.pause();
        tracing::warn!(what, error = %chain(&source), ?pause, "the database failed, trying again");
        pause_or_halt(pause, shutdown).await?;
    }
}

/// Waits, unless the process ends.
pub(crate) async fn pause_or_halt(
    pause: Duration,
    shutdown: &CancellationToken,
) -> Result<(), Halt> {
    match shutdown
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
    {
        Some(()) => Ok(()),
        None => Err(Halt::Shutdown),
    }
}

/// An error with its sources in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        text = format!("{text}: {next}");
        source = next.source();
    }
    text
}
