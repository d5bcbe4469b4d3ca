//! The moves of a run from one state to the next.

use chrono::{DateTime, SubsecRound, Utc};
use rat_sql::{FromRow, Query, Row, Transaction, sql};
use rat_types::{RunId, RunOutcome, RunStatus};

use super::{Cancellation, LastLine, RunEnd, RunRecord, RunStart, Runs};
use crate::Error;
use crate::error::encode;
use crate::time::now;

impl Runs<'_> {
    /// Takes up to `limit` pending runs whose pipeline has no running run, oldest first and at most
    /// one per pipeline, and makes them `running` without an executor: the caller now has to
    /// [submit](Self::mark_running) or [return](Self::back_to_pending) each.
    ///
    /// Any number of callers may do this at once: a run goes to one of them, and a pipeline never
    /// gets a second running run. A caller that loses a race gets fewer runs than there were. A
    /// run that was asked to stop is never pending: the database refuses such a row.
    ///
    /// # Errors
    /// The database fails.
    pub async fn claim_next(&self, limit: u32) -> Result<Vec<RunRecord>, Error> {
        let candidates = sql!(
            "SELECT r.id FROM runs r
             WHERE r.status = 'pending'
               AND NOT EXISTS (SELECT 1 FROM runs a
                               WHERE a.pipeline_id = r.pipeline_id AND a.status = 'running')
               AND NOT EXISTS (SELECT 1 FROM runs o
                               WHERE o.pipeline_id = r.pipeline_id AND o.status = 'pending'
                                 AND (o.created_at, o.id) < (r.created_at, r.id))
             ORDER BY r.created_at, r.id
             LIMIT $1",
            limit,
        );
        let ids: Vec<String> = self.pool.fetch_all(candidates).await?;
        let mut claimed = Vec::with_capacity(ids.len());
        for id in ids {
            claimed.extend(self.claim(&id).await?);
        }
        Ok(claimed)
    }

    /// Claims one run if it is still pending and its pipeline still has no running run.
    async fn claim(&self, id: &str) -> Result<Option<RunRecord>, Error> {
        let query = sql!(
            "UPDATE runs SET status = 'running'
             WHERE id = $1 AND status = 'pending'
             RETURNING *",
            id,
        );
        match self.pool.fetch_optional(query).await {
            // The index says that somebody else's run of this pipeline came first.
            Err(error) if error.is_unique_violation() => Ok(None),
            other => Ok(other?),
        }
    }

    /// Gives a claimed run to an executor. Also takes a pending run, if its pipeline has no
    /// running one.
    ///
    /// Answers `false` when the run is neither, or another run of the pipeline is running.
    ///
    /// # Errors
    /// The database fails, or the list of tables cannot be encoded.
    pub async fn mark_running(&self, id: RunId, start: &RunStart) -> Result<bool, Error> {
        let query = sql!(
            "UPDATE runs SET status = 'running', executor = $2, token_hash = $3, attempt = $4,
                 source_hash = $5, readable = $6, started_at = $7, outcome = NULL
             WHERE id = $1
               AND (status = 'pending' OR (status = 'running' AND executor IS NULL))
               AND NOT cancel_requested",
            id.to_string(),
            &start.executor,
            &start.token_hash,
            start.attempt,
            &start.source_hash,
            encode("readable tables", &start.readable)?,
            now(),
        );
        match self.pool.execute(query).await {
            Err(error) if error.is_unique_violation() => Ok(false),
            other => Ok(other? == 1),
        }
    }

    /// Stores what the executor reported. The run stays `running` and its token stays valid until
    /// it is [finished](Self::finish). The first report of an attempt counts: answers `false` when
    /// there is one, or the run is not with an executor.
    ///
    /// # Errors
    /// The database fails, or the outcome cannot be encoded.
    pub async fn record_outcome(&self, id: RunId, outcome: &RunOutcome) -> Result<bool, Error> {
        let query = sql!(
            "UPDATE runs SET outcome = $2
             WHERE id = $1 AND status = 'running' AND executor IS NOT NULL AND outcome IS NULL",
            id.to_string(),
            encode("run outcome", outcome)?,
        );
        Ok(self.pool.execute(query).await? == 1)
    }

    /// Ends a run and takes its token away. A pending run can only fail or be cancelled.
    ///
    /// Answers `false` when the run is not in such a state, which includes that it has ended.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `end.status` is no end, or the database fails.
    pub async fn finish(&self, id: RunId, end: &RunEnd) -> Result<bool, Error> {
        if !end.status.is_terminal() {
            let rule = "a run ends as success, failed or cancelled";
            return Err(Error::invalid("run status", end.status.as_str(), rule));
        }
        rat_sql::retry(|| self.try_finish(id, end)).await
    }

    async fn try_finish(&self, id: RunId, end: &RunEnd) -> Result<bool, Error> {
        let mut tx = self.pool.begin().await?;
        let finished_at = end.finished_at.trunc_subsecs(6);
        let query = sql!(
            "UPDATE runs SET status = $2, error_code = $3, error_message = $4, rows_written = $5,
                 bytes_written = $6, snapshot_id = $7, phases = $8, finished_at = $9,
                 token_hash = NULL
             WHERE id = $1 AND (status = 'running' OR (status = 'pending' AND $2 <> 'success'))
             RETURNING started_at",
            id.to_string(),
            end.status.as_str(),
            end.error.as_ref().map(|error| error.code.as_str()),
            end.error.as_ref().map(|error| error.message.as_str()),
            end.rows_written,
            end.bytes_written,
            end.snapshot_id,
            encode("phases", &end.phases)?,
            finished_at,
        );
        let Some(StartedAt(started_at)) = tx.fetch_optional(query).await? else {
            return Ok(false);
        };
        if let Some(started_at) = started_at {
            let duration = (finished_at - started_at).num_milliseconds().max(0);
            let query = sql!(
                "UPDATE runs SET duration_ms = $2 WHERE id = $1",
                id.to_string(),
                duration
            );
            tx.execute(query).await?;
        }
        if let Some(line) = &end.last_line {
            line.append(&mut tx, &id.to_string(), finished_at).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Takes a running run back: its executor lost it, never got it, or the attempt has to be
    /// repeated. Its token dies. A run that was asked to stop becomes `cancelled` instead.
    ///
    /// Answers the new state, or `None` when the run is not running.
    ///
    /// # Errors
    /// The database fails.
    pub async fn back_to_pending(&self, id: RunId) -> Result<Option<RunStatus>, Error> {
        rat_sql::retry(|| self.try_back_to_pending(id)).await
    }

    async fn try_back_to_pending(&self, id: RunId) -> Result<Option<RunStatus>, Error> {
        let at = now();
        let query = sql!(
            "UPDATE runs SET
                 status = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'pending' END,
                 finished_at = CASE WHEN cancel_requested THEN $2 ELSE finished_at END,
                 executor = NULL, token_hash = NULL, started_at = NULL, outcome = NULL,
                 readable = NULL
             WHERE id = $1 AND status = 'running'
             RETURNING id, status, cancelled_by",
            id.to_string(),
            at,
        );
        self.stop_or_not(query, at).await
    }

    /// Like [`Self::back_to_pending`], for a run that was marked as running and that its executor
    /// did not take: there was no attempt, so it does not count.
    ///
    /// Answers the new state, or `None` when the run is not with an executor.
    ///
    /// # Errors
    /// The database fails.
    pub async fn not_taken(&self, id: RunId) -> Result<Option<RunStatus>, Error> {
        rat_sql::retry(|| self.try_not_taken(id)).await
    }

    async fn try_not_taken(&self, id: RunId) -> Result<Option<RunStatus>, Error> {
        let at = now();
        let query = sql!(
            "UPDATE runs SET
                 status = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'pending' END,
                 finished_at = CASE WHEN cancel_requested THEN $2 ELSE finished_at END,
                 attempt = attempt - 1,
                 executor = NULL, token_hash = NULL, started_at = NULL, outcome = NULL,
                 readable = NULL
             WHERE id = $1 AND status = 'running' AND executor IS NOT NULL
             RETURNING id, status, cancelled_by",
            id.to_string(),
            at,
        );
        self.stop_or_not(query, at).await
    }

    /// Cancels a pending run, or notes on a running one that it has to stop. `by` is the first who
    /// asked.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database fails.
    pub async fn request_cancel(&self, id: RunId, by: &str) -> Result<Cancellation, Error> {
        match rat_sql::retry(|| self.try_request_cancel(id, by)).await? {
            Some(RunStatus::Cancelled) => return Ok(Cancellation::Cancelled),
            Some(_) => return Ok(Cancellation::Requested),
            None => {}
        }
        let run = self
            .get(id)
            .await?
            .ok_or_else(|| Error::not_found("run", id))?;
        Ok(Cancellation::AlreadyEnded(run.status))
    }

    async fn try_request_cancel(&self, id: RunId, by: &str) -> Result<Option<RunStatus>, Error> {
        let at = now();
        let query = sql!(
            "UPDATE runs SET
                 cancelled_by = CASE WHEN cancel_requested THEN cancelled_by ELSE $3 END,
                 cancel_requested = TRUE,
                 finished_at = CASE WHEN status = 'pending' THEN $2 ELSE finished_at END,
                 status = CASE WHEN status = 'pending' THEN 'cancelled' ELSE status END
             WHERE id = $1 AND status IN ('pending', 'running')
             RETURNING id, status, cancelled_by",
            id.to_string(),
            at,
            by,
        );
        self.stop_or_not(query, at).await
    }

    /// Executes an update that may have cancelled a run. Answers its state.
    async fn stop_or_not(
        &self,
        update: Query,
        at: DateTime<Utc>,
    ) -> Result<Option<RunStatus>, Error> {
        let mut tx = self.pool.begin().await?;
        let Some(moved) = tx.fetch_optional::<Moved>(update).await? else {
            return Ok(None);
        };
        moved.close(&mut tx, at).await?;
        tx.commit().await?;
        Ok(Some(moved.status))
    }
}

/// A run that was asked to stop, or given back.
struct Moved {
    id: String,
    status: RunStatus,
    cancelled_by: Option<String>,
}

impl FromRow for Moved {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self {
            id: row.get("id")?,
            status: row.parse("status")?,
            cancelled_by: row.get("cancelled_by")?,
        })
    }
}

impl Moved {
    /// Ends the log of a run that is cancelled now.
    async fn close(&self, tx: &mut Transaction, at: DateTime<Utc>) -> Result<(), Error> {
        match self.status {
            RunStatus::Cancelled => {
                let line = LastLine::cancelled(self.cancelled_by.as_deref());
                line.append(tx, &self.id, at).await
            }
            _ => Ok(()),
        }
    }
}

struct StartedAt(Option<DateTime<Utc>>);

impl FromRow for StartedAt {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self(row.get("started_at")?))
    }
}

/// Cancels what waits, and asks to stop what runs, of one pipeline.
pub(crate) async fn cancel_all(tx: &mut Transaction, pipeline_id: &str) -> Result<(), Error> {
    let at = now();
    let query = sql!(
        "UPDATE runs SET
             cancel_requested = TRUE,
             finished_at = CASE WHEN status = 'pending' THEN $2 ELSE finished_at END,
             status = CASE WHEN status = 'pending' THEN 'cancelled' ELSE status END
         WHERE pipeline_id = $1 AND status IN ('pending', 'running')
         RETURNING id, status, cancelled_by",
        pipeline_id,
        at,
    );
    let moved: Vec<Moved> = tx.fetch_all(query).await?;
    for run in &moved {
        run.close(tx, at).await?;
    }
    Ok(())
}
