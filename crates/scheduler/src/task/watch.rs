//! Waiting for the end of a run that is with an executor.
//!
//! The end is told by a callback; asking the executor from time to time makes a lost callback cost
//! time only. The log stream, which ends with its run, is a third hint.

use std::pin::Pin;
use std::time::Duration;

use rat_types::{RunFailure, RunId, RunOutcome};
use tokio::time::sleep;

use crate::active::Signals;
use crate::backoff::Backoff;
use crate::executor::{Error as ExecutorError, Executor, Progress, without_result};
use crate::retry::{self, Halt};
use crate::service::Shared;

/// How long the callback may take after the log has ended before the executor is asked.
const CALLBACK_GRACE: Duration = Duration::from_millis(200);

/// How the watch ended.
pub(super) enum Watched {
    /// The run has ended; its outcome is stored.
    Ended {
        outcome: RunOutcome,
        /// Whether all of the log is stored too.
        logs_done: bool,
    },
    /// The executor has no trace of the run.
    Lost,
}

/// What asking found.
enum Asked {
    Ended(RunOutcome),
    Lost,
}

pub(super) async fn watch<L: Future<Output = ()>>(
    shared: &Shared,
    signals: &Signals,
    executor: &dyn Executor,
    run: RunId,
    mut logs: Pin<&mut L>,
) -> Result<Watched, Halt> {
    let mut asking = std::pin::pin!(ask(shared, signals, executor, run));
    let mut stopping = std::pin::pin!(stop(shared, signals, executor, run));
    let mut grace = std::pin::pin!(sleep(Duration::ZERO));
    let (mut logs_done, mut in_grace) = (false, false);
    loop {
        tokio::select! {
            biased;
            outcome = signals.reported() => return Ok(Watched::Ended { outcome, logs_done }),
            asked = &mut asking => match asked? {
                Asked::Lost => return Ok(Watched::Lost),
                Asked::Ended(outcome) => return Ok(Watched::Ended { outcome, logs_done }),
            },
            () = shared.shutdown.cancelled() => return Err(Halt::Shutdown),
            () = logs.as_mut(), if !logs_done => {
                (logs_done, in_grace) = (true, true);
                grace.set(sleep(CALLBACK_GRACE));
            }
            () = &mut grace, if in_grace => {
                in_grace = false;
                signals.look.notify_one();
            }
            never = &mut stopping => match never {},
        }
    }
}

/// Asks the executor at intervals, or when somebody wants to know.
async fn ask(
    shared: &Shared,
    signals: &Signals,
    executor: &dyn Executor,
    run: RunId,
) -> Result<Asked, Halt> {
    let (mut unknown, mut refused) = (0, 0);
    loop {
        tokio::select! {
            () = sleep(shared.config.poll_interval) => {}
            () = signals.look.notified() => {}
        }
        if let Some(outcome) = look_at_row(shared, signals, run).await {
            return Ok(Asked::Ended(outcome));
        }
        match executor.status(run).await {
            Ok(Progress::Active(_)) => (unknown, refused) = (0, 0),
            Ok(Progress::Ended(outcome)) => return ended(shared, run, outcome).await,
            Err(ExecutorError::NotFound { .. }) => {
                unknown += 1;
                tracing::warn!(%run, unknown, "the executor does not know a run");
                if unknown >= shared.config.lost_after {
                    return Ok(Asked::Lost);
                }
            }
            Err(error) => {
                tracing::warn!(%run, %error, "failed to ask for the state of a run");
                let is_final = matches!(error, ExecutorError::Rejected { .. });
                refused = if is_final { refused + 1 } else { 0 };
                if refused >= shared.config.lost_after {
                    let failure = RunFailure::new("EXECUTOR_FAILED", error.to_string());
                    let outcome = without_result(run, Some(failure));
                    return ended(shared, run, outcome).await;
                }
            }
        }
    }
}

/// Stores the outcome, so that whoever goes on after a restart knows it too.
async fn ended(shared: &Shared, run: RunId, outcome: RunOutcome) -> Result<Asked, Halt> {
    let runs = shared.store.runs();
    let recorded = retry::store("store an outcome", &shared.shutdown, || {
        runs.record_outcome(run, &outcome)
    });
    recorded.await?;
    Ok(Asked::Ended(outcome))
}

/// What the row knows that this task was not told: a callback that came before the task was
/// there, a wish to cancel that came with the deletion of the pipeline.
async fn look_at_row(shared: &Shared, signals: &Signals, run: RunId) -> Option<RunOutcome> {
    match shared.store.runs().get(run).await {
        Ok(Some(row)) => {
            if row.cancel_requested {
                signals.stop.cancel();
            }
            row.outcome
        }
        Ok(None) => None,
        Err(error) => {
            tracing::warn!(%run, error = %retry::chain(&error), "failed to read a run");
            None
        }
    }
}

/// Passes the wish to cancel on, until the executor has heard it; then there is nothing to do but
/// wait for the outcome.
async fn stop(
    shared: &Shared,
    signals: &Signals,
    executor: &dyn Executor,
    run: RunId,
) -> std::convert::Infallible {
    signals.stop.cancelled().await;
    let mut backoff = Backoff::new(shared.config.first_pause, shared.config.last_pause);
    loop {
        match executor.cancel(run).await {
            Ok(()) => break,
            // The next question finds out, too.
            Err(ExecutorError::NotFound { .. } | ExecutorError::Rejected { .. }) => break,
            Err(error) => {
                tracing::warn!(%run, %error, "failed to pass on that a run is cancelled");
                sleep(backoff.pause()).await;
            }
        }
    }
    signals.look.notify_one();
    std::future::pending().await
}
