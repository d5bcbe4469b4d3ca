//! What the log of a run says at its end: what ratd did with the result.

use rat_store::{LastLine, RunEnd};
use rat_types::{LogLevel, RunStatus};

use super::Task;
use crate::retry::{self, Halt};

impl Task {
    /// The last line of the log of a run that ends like this.
    pub(super) async fn last_line(&self, end: &RunEnd) -> Result<LastLine, Halt> {
        if end.status == RunStatus::Cancelled {
            return self.cancelled().await;
        }
        Ok(line(end, self.run.executor.is_some()))
    }

    /// The row knows who asked, and perhaps longer than this task.
    async fn cancelled(&self) -> Result<LastLine, Halt> {
        let runs = self.shared.store.runs();
        let row = retry::store("read a run", &self.shared.shutdown, || {
            runs.get(self.run.id)
        })
        .await?;
        Ok(match row.filter(|row| row.cancel_requested) {
            Some(row) => LastLine::cancelled(row.cancelled_by.as_deref()),
            None => LastLine::cancelled(Some("the executor")),
        })
    }
}

fn line(end: &RunEnd, was_handed_over: bool) -> LastLine {
    let (level, message) = match (&end.error, end.snapshot_id) {
        (Some(failure), _) => {
            let what = match was_handed_over {
                true => "Discarded",
                false => "Not started",
            };
            let message = format!("{what}: {}: {}", failure.code, failure.message);
            (LogLevel::Error, message)
        }
        (None, Some(snapshot)) => {
            let rows = match end.rows_written.unwrap_or_default() {
                1 => "1 row".to_owned(),
                rows => format!("{rows} rows"),
            };
            let message = format!("Published as snapshot {snapshot}, {rows}");
            (LogLevel::Info, message)
        }
        (None, None) => {
            let message = "Nothing to publish: the table stays as it was";
            (LogLevel::Info, message.to_owned())
        }
    };
    LastLine { level, message }
}
