//! What is stored about a run.

use chrono::{DateTime, Utc};
use rat_sql::{FromRow, Row};
use rat_types::{Phase, RunFailure, RunId, RunOutcome, RunStatus, TableIdent};

use super::LastLine;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// Id.
    pub id: RunId,
    /// Id of the pipeline's record, which may be deleted since.
    pub pipeline_id: String,
    /// The pipeline.
    pub pipeline: TableIdent,
    /// State.
    pub status: RunStatus,
    /// What started it: `manual`, `schedule:<cron>`, `trigger:<type>:<detail>`.
    pub trigger: String,
    /// Number of the attempt; 0 before the first.
    pub attempt: u32,
    /// Executor that took it; `None` while it is pending or only claimed.
    pub executor: Option<String>,
    /// User id of who started it.
    pub created_by: String,
    /// Roles that they had then.
    pub created_by_roles: Vec<String>,
    /// Hash of the sources that it executes.
    pub source_hash: Option<String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When an executor took the current attempt.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// From `started_at` to `finished_at` in milliseconds.
    pub duration_ms: Option<u64>,
    /// Rows that it wrote.
    pub rows_written: Option<u64>,
    /// Bytes of data files that it wrote.
    pub bytes_written: Option<u64>,
    /// The snapshot that it published.
    pub snapshot_id: Option<i64>,
    /// Why it failed.
    pub error: Option<RunFailure>,
    /// Phases in order.
    pub phases: Vec<Phase>,
    /// Whether somebody asked to cancel it.
    pub cancel_requested: bool,
    /// User id of who asked; `None` where its pipeline was deleted.
    pub cancelled_by: Option<String>,
    /// Tables that its token may read.
    pub readable: Vec<TableIdent>,
    /// What the executor reported for the current attempt.
    pub outcome: Option<RunOutcome>,
}

/// A run to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// Id; [`RunId::new_at`].
    pub id: RunId,
    /// The pipeline.
    pub pipeline: TableIdent,
    /// What started it.
    pub trigger: String,
    /// User id of who started it.
    pub created_by: String,
    /// Roles that they have.
    pub created_by_roles: Vec<String>,
}

/// What is known when a run goes to an executor.
#[derive(Clone, PartialEq, Eq)]
pub struct RunStart {
    /// The executor.
    pub executor: String,
    /// SHA-256 of the run's token, lower-case hex.
    pub token_hash: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Hash of the sources.
    pub source_hash: String,
    /// Tables that the token may read, besides the run's own.
    pub readable: Vec<TableIdent>,
}

impl std::fmt::Debug for RunStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunStart")
            .field("executor", &self.executor)
            .field("attempt", &self.attempt)
            .field("source_hash", &self.source_hash)
            .field("readable", &self.readable)
            .finish_non_exhaustive()
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// `success`, `failed` or `cancelled`.
    pub status: RunStatus,
    /// Why it failed.
    pub error: Option<RunFailure>,
    /// Rows that it wrote.
    pub rows_written: Option<u64>,
    /// Bytes of data files that it wrote.
    pub bytes_written: Option<u64>,
    /// The snapshot that it published.
    pub snapshot_id: Option<i64>,
    /// Phases in order.
    pub phases: Vec<Phase>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// What its log ends with.
    pub last_line: Option<LastLine>,
}

/// What became of the wish to cancel a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// It was pending and is cancelled.
    Cancelled,
    /// It is running; `cancel_requested` is set, and the executor has to be told.
    Requested,
    /// It has ended before, like this.
    AlreadyEnded(RunStatus),
}

impl FromRow for RunRecord {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        let code: Option<String> = row.get("error_code")?;
        let message: Option<String> = row.get("error_message")?;
        Ok(Self {
            id: row.parse("id")?,
            pipeline_id: row.get("pipeline_id")?,
            pipeline: crate::pipelines::ident(row)?,
            status: row.parse("status")?,
            trigger: row.get("run_trigger")?,
            attempt: row.get("attempt")?,
            executor: row.get("executor")?,
            created_by: row.get("created_by")?,
            created_by_roles: row.optional_json("created_by_roles")?.unwrap_or_default(),
            source_hash: row.get("source_hash")?,
            created_at: row.get("created_at")?,
            started_at: row.get("started_at")?,
            finished_at: row.get("finished_at")?,
            duration_ms: row.get("duration_ms")?,
            rows_written: row.get("rows_written")?,
            bytes_written: row.get("bytes_written")?,
            snapshot_id: row.get("snapshot_id")?,
            error: code.map(|code| RunFailure::new(code, message.unwrap_or_default())),
            phases: row.optional_json("phases")?.unwrap_or_default(),
            cancel_requested: row.get("cancel_requested")?,
            cancelled_by: row.get("cancelled_by")?,
            readable: row.optional_json("readable")?.unwrap_or_default(),
            outcome: row.optional_json("outcome")?,
        })
    }
}
