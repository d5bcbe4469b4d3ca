//! The way to the executor.

use rat_types::{RunFailure, RunStatus};

use super::Task;
use super::publish::Removed;
use crate::backoff::Backoff;
use crate::executor::{Error as ExecutorError, Executor};
use crate::prepare::{self, Failed, Prepared};
use crate::retry::{self, Halt};
use crate::service::Shared;

/// What became of a claimed run.
pub(super) enum Submitted {
    /// The executor has it, or may have it.
    Taken,
    /// It has ended, or waits again.
    Ended,
}

/// Why a claimed run is not handed over.
enum Refused {
    /// It fails.
    Failed(RunFailure),
    /// It is none the worse and waits for this.
    Waits(String),
}

impl Task {
    /// Prepares the claimed run, marks it as running and hands it over.
    pub(super) async fn submit(&mut self, executor: &dyn Executor) -> Result<Submitted, Halt> {
        let prepared = match self.prepare(executor.name()).await? {
            Ok(prepared) => prepared,
            Err(Refused::Failed(failure)) => {
                let end = Self::end_without_result(RunStatus::Failed, Some(failure));
                self.end(end).await?;
                return Ok(Submitted::Ended);
            }
            Err(Refused::Waits(message)) => {
                tracing::warn!(run = %self.id(), message, "a run waits for access control");
                self.shared.gate.close();
                self.not_taken().await?;
                return Ok(Submitted::Ended);
            }
        };
        let runs = self.shared.store.runs();
        let marked = retry::store("mark a run as running", &self.shared.shutdown, || {
            runs.mark_running(self.run.id, &prepared.start)
        })
        .await?;
        if !marked {
            // Somebody cancelled it since it was claimed: that is what it turns into.
            self.give_back().await?;
            return Ok(Submitted::Ended);
        }
        self.run.attempt = prepared.start.attempt;
        self.run.executor = Some(prepared.start.executor.clone());
        self.run.started_at = Some(prepared.started_at);
        self.hand_over(executor, &prepared).await
    }

    async fn prepare(&self, executor: &str) -> Result<Result<Prepared, Refused>, Halt> {
        let Shared {
            store,
            config,
            shutdown,
            ..
        } = self.shared.as_ref();
        retry::store("prepare a run", shutdown, || async {
            match prepare::prepare(store, config, &self.run, executor).await {
                Ok(prepared) => Ok(Ok(prepared)),
                Err(Failed::Run(failure)) => Ok(Err(Refused::Failed(failure))),
                Err(Failed::Access(message)) => Ok(Err(Refused::Waits(message))),
                Err(Failed::Store(error)) => Err(error),
            }
        })
        .await
    }

    /// Submits until it is known whether the executor has the run. The request stays the same, so
    /// that an executor that heard an earlier call does not start it twice.
    async fn hand_over(
        &mut self,
        executor: &dyn Executor,
        prepared: &Prepared,
    ) -> Result<Submitted, Halt> {
        let config = &self.shared.config;
        let mut backoff = Backoff::new(config.first_pause, config.last_pause);
        let mut perhaps_heard = false;
        loop {
            let error = match executor.submit(&prepared.request).await {
                Ok(state) => {
                    tracing::debug!(run = %self.id(), %state, "the executor took a run");
                    self.shared.gate.open();
                    return Ok(Submitted::Taken);
                }
                Err(error) => error,
            };
            tracing::warn!(
                run = %self.id(), pipeline = %self.run.pipeline, code = error.reason(), %error,
                "the executor did not take a run"
            );
            match error {
                ExecutorError::Exhausted { .. } | ExecutorError::Unavailable { .. } => {
                    self.shared.gate.close();
                    // An executor that was restarted in between may have worked before.
                    if perhaps_heard && self.discard().await? != Removed::Yes {
                        self.lose(error.to_string()).await?;
                    } else {
                        self.not_taken().await?;
                    }
                    return Ok(Submitted::Ended);
                }
                ExecutorError::Interrupted { .. } => {
                    perhaps_heard = true;
                    retry::pause_or_halt(backoff.pause(), &self.shared.shutdown).await?;
                }
                ExecutorError::NotFound { .. } | ExecutorError::Rejected { .. } => {
                    let failure = RunFailure::new("EXECUTOR_REJECTED", error.to_string());
                    self.discard_and_end(RunStatus::Failed, Some(failure))
                        .await?;
                    return Ok(Submitted::Ended);
                }
            }
        }
    }

    /// Back to pending; the attempt counts.
    pub(super) async fn give_back(&self) -> Result<(), Halt> {
        let runs = self.shared.store.runs();
        retry::store("give a run back", &self.shared.shutdown, || {
            runs.back_to_pending(self.run.id)
        })
        .await?;
        Ok(())
    }

    /// Back to pending; the attempt does not count, because there was none, or nothing is left of
    /// it.
    pub(super) async fn not_taken(&self) -> Result<(), Halt> {
        let runs = self.shared.store.runs();
        retry::store("give a run back", &self.shared.shutdown, || {
            runs.not_taken(self.run.id)
        })
        .await?;
        Ok(())
    }
}
