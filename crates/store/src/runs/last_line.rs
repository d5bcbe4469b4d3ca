//! The line with which a run's log ends: what became of the run.
//!
//! It is written together with the end itself, so that whoever sees that a run has ended finds it.

use chrono::{DateTime, Utc};
use rat_sql::{Transaction, sql};
use rat_types::LogLevel;

use crate::Error;

/// The last line of a run's log. Its number is the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastLine {
    /// Severity.
    pub level: LogLevel,
    /// Text.
    pub message: String,
}

impl LastLine {
    /// That of a run that was cancelled by `by`, or because its pipeline was deleted.
    pub fn cancelled(by: Option<&str>) -> Self {
        let message = match by {
            Some(user) => format!("Cancelled by {user}"),
            None => "Cancelled: the pipeline was deleted".to_owned(),
        };
        Self {
            level: LogLevel::Warn,
            message,
        }
    }

    pub(super) async fn append(
        &self,
        tx: &mut Transaction,
        run: &str,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let query = sql!(
            "INSERT INTO run_logs (run_id, seq, logged_at, level, message)
             SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4 FROM run_logs WHERE run_id = $1
             ON CONFLICT (run_id, seq) DO NOTHING",
            run,
            at,
            self.level.as_str(),
            &self.message,
        );
        tx.execute(query).await?;
        Ok(())
    }
}
