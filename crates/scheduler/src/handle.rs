//! What the rest of ratd can say to the scheduler.

use std::sync::Arc;

use rat_store::Cancellation;
use rat_types::{RunId, RunOutcome, RunStatus};

use crate::service::Shared;
use crate::{Error, Executors};

/// The way to the scheduler. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// There is a new pending run. Without this it would be found a little later.
    pub fn notify(&self) {
        self.shared.wake.notify_one();
    }

    /// An executor reports the end of a run. When this returns, the report is stored; a second
    /// report of the same attempt changes nothing.
    ///
    /// Whoever calls this has checked that the report comes from that run.
    ///
    /// # Errors
    /// The report is not one of this run's end, or the database fails; then the executor should
    /// report again (and is asked in any case).
    pub async fn outcome(&self, run: RunId, outcome: RunOutcome) -> Result<(), Error> {
        if outcome.run_id != run {
            return Err(Error::InvalidOutcome {
                run,
                rule: "it names another run",
            });
        }
        if !outcome.state.is_terminal() {
            return Err(Error::InvalidOutcome {
                run,
                rule: "its state is not an end",
            });
        }
        let first = self
            .shared
            .store
            .runs()
            .record_outcome(run, &outcome)
            .await?;
        tracing::debug!(%run, state = %outcome.state, first, "an executor reports the end of a run");
        if first {
            match self.shared.active.get(run) {
                Some(signals) => signals.report(outcome),
                // The process has just started.
                None => self.shared.stray.notify_one(),
            }
        }
        Ok(())
    }

    /// Cancels a run for the user `by`: a pending one at once, a running one as soon as its
    /// executor stops it. Answers its state now.
    ///
    /// # Errors
    /// [`Error::NotCancellable`] when it has ended, or the database fails or does not know it.
    pub async fn cancel(&self, run: RunId, by: &str) -> Result<RunStatus, Error> {
        match self.shared.store.runs().request_cancel(run, by).await? {
            Cancellation::Cancelled => Ok(RunStatus::Cancelled),
            Cancellation::Requested => {
                match self.shared.active.get(run) {
                    Some(signals) => signals.stop.cancel(),
                    None => self.shared.stray.notify_one(),
                }
                Ok(RunStatus::Running)
            }
            Cancellation::AlreadyEnded(status) => Err(Error::NotCancellable { run, status }),
        }
    }

    /// The executors, to switch the slot.
    pub fn executors(&self) -> &Executors {
        &self.shared.executors
    }
}
