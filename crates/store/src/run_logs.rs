//! Log lines of runs, numbered by the run itself.

use rat_sql::{Builder, FromRow, Pool, Row, sql};
use rat_types::{LogEntry, RunId};

use crate::Error;
use crate::error::Constraint;

/// How many lines one call reads at most.
const MAX_LINES: u32 = 10_000;
/// How many lines one statement inserts; five binds each, far below SQLite's 32 766.
const LINES_PER_STATEMENT: usize = 200;

struct Line(LogEntry);

impl FromRow for Line {
    fn from_row(row: &Row) -> Result<Self, rat_sql::Error> {
        Ok(Self(LogEntry {
            seq: row.get("seq")?,
            at: row.get("logged_at")?,
            level: row.parse("level")?,
            message: row.get("message")?,
        }))
    }
}

/// Log lines. From [`crate::Store::run_logs`].
#[derive(Debug)]
pub struct RunLogs<'a> {
    pool: &'a Pool,
}

impl<'a> RunLogs<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool }
    }

    /// Adds lines; those whose `seq` the run already has are left as they are, so that a log
    /// stream can be read again from any point.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the run, or the database fails; then no line was added.
    pub async fn append(&self, run: RunId, entries: &[LogEntry]) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        rat_sql::retry(|| self.try_append(run, entries)).await
    }

    async fn try_append(&self, run: RunId, entries: &[LogEntry]) -> Result<(), Error> {
        let id = run.to_string();
        let mut tx = self.pool.begin().await?;
        for chunk in entries.chunks(LINES_PER_STATEMENT) {
            let mut query = Builder::new(
                "INSERT INTO run_logs (run_id, seq, logged_at, level, message) VALUES ",
            );
            for (index, entry) in chunk.iter().enumerate() {
                query
                    .push(if index == 0 { "(" } else { ", (" })
                    .bind(id.as_str());
                query.push(", ").bind(entry.seq);
                query.push(", ").bind(entry.at);
                query.push(", ").bind(entry.level.as_str());
                query.push(", ").bind(entry.message.as_str());
                query.push(")");
            }
            query.push(" ON CONFLICT (run_id, seq) DO NOTHING");
            tx.execute(query.build()).await.or_missing("run", run)?;
        }
        tx.commit().await.or_missing("run", run)
    }

    /// Up to `limit` (at most 10 000) lines with a `seq` greater than `after`, in order.
    ///
    /// # Errors
    /// The database fails.
    pub async fn read(&self, run: RunId, after: u64, limit: u32) -> Result<Vec<LogEntry>, Error> {
        let query = sql!(
            "SELECT seq, logged_at, level, message FROM run_logs
             WHERE run_id = $1 AND seq > $2
             ORDER BY seq
             LIMIT $3",
            run.to_string(),
            after,
            limit.min(MAX_LINES),
        );
        let lines: Vec<Line> = self.pool.fetch_all(query).await?;
        Ok(lines.into_iter().map(|line| line.0).collect())
    }
}
