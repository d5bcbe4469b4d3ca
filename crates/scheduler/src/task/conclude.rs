//! The end of a run: publish it, discard it, or run it once more.
//!
//! Only what the executor reported and what the database holds decides, and every step may be
//! repeated, so that a ratd that dies half-way ends the run in the same way after its restart.

use std::pin::Pin;
use std::time::{Duration, Instant};

use chrono::{SubsecRound, Utc};
use rat_store::RunEnd;
use rat_types::{LogEntry, LogLevel, Phase, RunFailure, RunOutcome, RunState, RunStatus};
use tokio::time::timeout;

use super::publish::{Published, Removed};
use super::{Task, logs};
use crate::retry::{self, Halt};

const CONFLICT: &str = "CONFLICT";
/// How often a run is executed when somebody else moved its table meanwhile.
const ATTEMPTS: u32 = 2;

/// What is left to do with the row.
enum Settled {
    End(RunEnd),
    /// The table moved under the run: execute it once more.
    Again,
}

/// What is still to come of the log.
pub(super) type RestOfLog<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send + 'a)>;

impl Task {
    /// Ends the run as `outcome` says.
    pub(super) async fn conclude(
        &mut self,
        outcome: RunOutcome,
        rest_of_log: Option<RestOfLog<'_>>,
    ) -> Result<(), Halt> {
        // Who follows the log stops when the run has ended: all of it has to be there by then.
        let drain = async {
            if let Some(rest) = rest_of_log
                && timeout(self.shared.config.log_drain, rest).await.is_err()
            {
                tracing::warn!(run = %self.run.id, "the end of the log did not come in time");
            }
        };
        let (settled, ()) = tokio::join!(self.settle(&outcome), drain);
        match settled? {
            Settled::End(end) => self.end(end).await,
            Settled::Again => self.again().await,
        }
    }

    /// Cleans up and ends the run without a result.
    pub(super) async fn discard_and_end(
        &self,
        status: RunStatus,
        error: Option<RunFailure>,
    ) -> Result<(), Halt> {
        self.discard().await?;
        self.end(Self::end_without_result(status, error)).await
    }

    async fn settle(&self, outcome: &RunOutcome) -> Result<Settled, Halt> {
        self.store_quality(outcome).await?;
        match outcome.state {
            RunState::Succeeded => self.settle_success(outcome).await,
            RunState::Cancelled => {
                self.discard().await?;
                Ok(Settled::End(self.ended(
                    outcome,
                    RunStatus::Cancelled,
                    None,
                )))
            }
            // An end is all that gets here; anything else is no success.
            RunState::Failed | RunState::Queued | RunState::Running => {
                let failure = outcome.failure.clone().unwrap_or_else(|| {
                    RunFailure::new(
                        "INTERNAL",
                        "the executor reported a failure without a reason",
                    )
                });
                if failure.code == CONFLICT {
                    return self.settle_conflict(outcome, failure).await;
                }
                self.discard().await?;
                Ok(Settled::End(self.ended(
                    outcome,
                    RunStatus::Failed,
                    Some(failure),
                )))
            }
        }
    }

    /// The table moved under the run: before its commit, as the run itself noticed, or after it.
    async fn settle_conflict(
        &self,
        outcome: &RunOutcome,
        failure: RunFailure,
    ) -> Result<Settled, Halt> {
        // What an attempt left must never mix with the rows of the next.
        let removed = self.discard().await?;
        if removed == Removed::Yes && self.is_cancelled().await? {
            let end = self.ended(outcome, RunStatus::Cancelled, None);
            return Ok(Settled::End(end));
        }
        if removed == Removed::Yes && self.run.attempt < ATTEMPTS {
            return Ok(Settled::Again);
        }
        let end = self.ended(outcome, RunStatus::Failed, Some(failure));
        Ok(Settled::End(end))
    }

    async fn settle_success(&self, outcome: &RunOutcome) -> Result<Settled, Halt> {
        // A ratd that died between publishing and ending the run finds the result on `main`: then it
        // is too late to cancel. Where nobody knows, publishing finds out.
        if self.is_cancelled().await? && self.discard().await? == Removed::Yes {
            return Ok(Settled::End(self.ended(
                outcome,
                RunStatus::Cancelled,
                None,
            )));
        }
        let started = Instant::now();
        match self.publish(outcome).await? {
            Published::Yes(snapshot) => {
                if snapshot.is_some() {
                    self.own_table().await?;
                }
                let mut end = self.ended(outcome, RunStatus::Success, None);
                end.rows_written = Some(outcome.rows_written);
                end.bytes_written = Some(outcome.bytes_written);
                end.snapshot_id = snapshot;
                end.phases.push(phase("publish", started.elapsed()));
                Ok(Settled::End(end))
            }
            Published::Cancelled => Ok(Settled::End(self.ended(
                outcome,
                RunStatus::Cancelled,
                None,
            ))),
            Published::Conflict(message) => {
                let failure = RunFailure::new(CONFLICT, message);
                self.settle_conflict(outcome, failure).await
            }
            Published::No(failure) => {
                self.discard().await?;
                Ok(Settled::End(self.ended(
                    outcome,
                    RunStatus::Failed,
                    Some(failure),
                )))
            }
        }
    }
}

impl Task {
    async fn store_quality(&self, outcome: &RunOutcome) -> Result<(), Halt> {
        // A second attempt without tests must not keep the verdicts of the first.
        if outcome.quality.is_empty() && self.run.attempt <= 1 {
            return Ok(());
        }
        let quality = self.shared.store.quality();
        retry::store(
            "store the results of quality tests",
            &self.shared.shutdown,
            || quality.replace(self.run.id, &outcome.quality),
        )
        .await
    }

    /// Sends the run round again, because its table moved while it was executed. What the attempt
    /// left is gone.
    async fn again(&self) -> Result<(), Halt> {
        tracing::info!(
            run = %self.run.id, pipeline = %self.run.pipeline, attempt = self.run.attempt,
            "the table moved under a run, executing it once more"
        );
        let entry = LogEntry {
            seq: logs::seq_in_run(self.run.attempt + 1, 0),
            at: Utc::now().trunc_subsecs(6),
            level: LogLevel::Warn,
            message: format!(
                "table {} was changed by somebody else while the run was executed: once more",
                self.run.pipeline
            ),
        };
        let run_logs = self.shared.store.run_logs();
        retry::store("store a log entry", &self.shared.shutdown, || {
            run_logs.append(self.run.id, std::slice::from_ref(&entry))
        })
        .await?;
        self.give_back().await
    }

    fn ended(&self, outcome: &RunOutcome, status: RunStatus, error: Option<RunFailure>) -> RunEnd {
        let queue = self
            .run
            .started_at
            .map(|at| (at - self.run.created_at).to_std());
        let mut queue = phase("queue", queue.and_then(Result::ok).unwrap_or_default());
        // The executor may have let it wait, too.
        let (waited, worked): (Vec<Phase>, Vec<Phase>) =
            (outcome.phases.iter().cloned()).partition(|phase| phase.name == queue.name);
        queue.duration_us += waited.iter().map(|phase| phase.duration_us).sum::<u64>();
        let mut end = Self::end_without_result(status, error);
        end.phases = std::iter::once(queue).chain(worked).collect();
        end
    }
}

fn phase(name: &str, duration: Duration) -> Phase {
    let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    Phase {
        name: name.to_owned(),
        duration_us,
    }
}
