//! The task of one run: from claimed to ended.
//!
//! It holds no state that matters: every step begins from the row, so the task may be dropped
//! anywhere and begun again from [`Task::drive`].

mod conclude;
mod last_line;
mod logs;
mod publish;
mod submit;
mod watch;

use std::sync::Arc;

use chrono::{SubsecRound, Utc};
use rat_store::{RunEnd, RunRecord};
use rat_types::{RunFailure, RunId, RunStatus};

use crate::active::Care;
use crate::retry::{self, Halt};
use crate::service::Shared;
use publish::Removed;
use submit::Submitted;
use watch::Watched;

/// Codes of failures that ratd itself finds.
const RUN_LOST: &str = "RUN_LOST";

/// How a watched run came to its executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This process handed it over, and the executor took it.
    HandedOver,
    /// An earlier process meant to.
    TakenUp,
}

/// Cares for one run that is `running` in the database.
pub(crate) struct Task {
    shared: Arc<Shared>,
    run: RunRecord,
    care: Care,
}

impl Task {
    pub(crate) fn new(shared: Arc<Shared>, run: RunRecord, care: Care) -> Self {
        Self { shared, run, care }
    }

    fn id(&self) -> RunId {
        self.run.id
    }

    /// Moves the run along as far as it goes.
    pub(crate) async fn drive(mut self) {
        match self.try_drive().await {
            Ok(()) => {}
            Err(Halt::Shutdown) => {
                tracing::debug!(run = %self.id(), "leaving the run to the next process");
            }
            Err(halt) => {
                tracing::error!(run = %self.id(), error = %retry::chain(&halt), "run is stuck");
            }
        }
    }

    async fn try_drive(&mut self) -> Result<(), Halt> {
        if self.run.cancel_requested {
            self.care.signals.stop.cancel();
        }
        let Some(executor) = self.run.executor.clone() else {
            return self.begin().await;
        };
        if let Some(outcome) = self.run.outcome.clone() {
            return self.conclude(outcome, None).await;
        }
        // What happened since the row was read is in the database and nowhere else.
        self.care.signals.look.notify_one();
        match self.shared.executors.get(&executor) {
            Some(executor) => self.watch(executor, Origin::TakenUp).await,
            None => {
                let message =
                    format!("executor {executor}, which took the run, is not configured any more");
                self.lose(message).await
            }
        }
    }

    /// A claimed run: submit it, then watch it.
    async fn begin(&mut self) -> Result<(), Halt> {
        let executor = self.shared.executors.current();
        match self.submit(executor.as_ref()).await? {
            Submitted::Taken => self.watch(executor, Origin::HandedOver).await,
            Submitted::Ended => Ok(()),
        }
    }

    async fn watch(
        &mut self,
        executor: Arc<dyn crate::Executor>,
        origin: Origin,
    ) -> Result<(), Halt> {
        let attempt = self.run.attempt;
        let logs = logs::LogPump::new(&self.shared, Arc::clone(&executor), self.id(), attempt);
        let mut logs = std::pin::pin!(logs.run());
        let watched = watch::watch(
            &self.shared,
            &self.care.signals,
            executor.as_ref(),
            self.run.id,
            logs.as_mut(),
        )
        .await?;
        match watched {
            Watched::Ended { outcome, logs_done } => {
                let rest = (!logs_done).then_some(logs as conclude::RestOfLog<'_>);
                self.conclude(outcome, rest).await
            }
            // That it never spoke does not prove that it did nothing: its log may be lost.
            Watched::Lost
                if origin == Origin::TakenUp
                    && self.never_spoke().await?
                    && self.discard().await? == Removed::Yes =>
            {
                tracing::info!(run = %self.id(), "the executor never had the run: it waits again");
                self.not_taken().await
            }
            Watched::Lost => {
                let message = format!(
                    "executor {} does not know the run any more",
                    executor.name()
                );
                self.lose(message).await
            }
        }
    }

    /// Whether nothing was ever heard of this attempt: the ratd that marked it as running was
    /// killed before the executor had it.
    async fn never_spoke(&self) -> Result<bool, Halt> {
        let logs = self.shared.store.run_logs();
        let before = logs::seq_in_run(self.run.attempt, 0);
        let lines = retry::store("read the log of a run", &self.shared.shutdown, || {
            logs.read(self.run.id, before, 1)
        });
        Ok(lines.await?.is_empty())
    }

    /// The executor has no trace of the run.
    async fn lose(&mut self, message: String) -> Result<(), Halt> {
        self.discard_and_end(RunStatus::Failed, Some(RunFailure::new(RUN_LOST, message)))
            .await
    }

    /// The row gets its end, and the log its last line.
    async fn end(&self, mut end: RunEnd) -> Result<(), Halt> {
        end.last_line = Some(self.last_line(&end).await?);
        let runs = self.shared.store.runs();
        let finished = retry::store("end a run", &self.shared.shutdown, || {
            runs.finish(self.run.id, &end)
        })
        .await?;
        let code = end.error.as_ref().map(|error| error.code.as_str());
        if finished {
            tracing::info!(
                run = %self.id(), pipeline = %self.run.pipeline, status = %end.status, code,
                "run ended"
            );
        } else {
            tracing::debug!(run = %self.id(), "the run had ended already");
        }
        Ok(())
    }

    /// An end without a result.
    fn end_without_result(status: RunStatus, error: Option<RunFailure>) -> RunEnd {
        RunEnd {
            status,
            error,
            rows_written: None,
            bytes_written: None,
            snapshot_id: None,
            phases: Vec::new(),
            finished_at: Utc::now().trunc_subsecs(6),
            last_line: None,
        }
    }
}
