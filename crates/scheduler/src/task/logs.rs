//! The log of a run, from its executor into the database.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use rat_types::{LogEntry, LogLevel, RunId};
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::executor::{Error as ExecutorError, Executor, LogStream};
use crate::retry;
use crate::service::Shared;

/// Messages of the stream that are stored together, if that many are there.
const BATCH: usize = 16;
/// Characters of one line; what is longer is cut.
const LONGEST_LINE: usize = 8_192;
/// Lines that are stored of one attempt, as many as a runner keeps. An executor that sends more is
/// not listened to.
const MOST_LINES: usize = 10_000;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// Distance between the sequence numbers of one attempt and the next: each attempt counts from 1.
const ATTEMPT: u64 = 1_000_000_000;

/// Sequence number that entry `seq` of an attempt has within its run.
pub(super) fn seq_in_run(attempt: u32, seq: u64) -> u64 {
    u64::from(attempt.saturating_sub(1)) * ATTEMPT + seq.min(ATTEMPT - 1)
}

/// Copies entries until the log ends.
pub(super) struct LogPump {
    shared: Arc<Shared>,
    executor: Arc<dyn Executor>,
    run: RunId,
    attempt: u32,
    after: u64,
    lines: usize,
}

impl LogPump {
    pub(super) fn new(
        shared: &Arc<Shared>,
        executor: Arc<dyn Executor>,
        run: RunId,
        attempt: u32,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            executor,
            run,
            attempt,
            after: 0,
            lines: 0,
        }
    }

    /// Ends with the log. An entry that was stored before is not stored again.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LAST_PAUSE);
        loop {
            let before = self.after;
            let broken = match self.executor.logs(self.run, self.after).await {
                Ok(stream) => match self.copy(stream).await {
                    Ok(()) => return,
                    Err(error) => error,
                },
                Err(error) => error,
            };
            match broken {
                ExecutorError::NotFound { .. } | ExecutorError::Rejected { .. } => {
                    tracing::debug!(run = %self.run, error = %broken, "there is no log");
                    return;
                }
                _ => tracing::debug!(run = %self.run, error = %broken, "the log broke off"),
            }
            if self.after > before {
                backoff = Backoff::new(FIRST_PAUSE, LAST_PAUSE);
            }
            sleep(backoff.pause()).await;
        }
    }

    async fn copy(&mut self, stream: LogStream) -> Result<(), ExecutorError> {
        let mut batches = stream.map_ok(cut).ready_chunks(BATCH);
        while let Some(batch) = batches.next().await {
            let mut entries = Vec::new();
            let mut broken = None;
            for message in batch {
                match message {
                    Ok(some) => entries.extend(some),
                    Err(error) => broken = Some(error),
                }
            }
            let room = MOST_LINES.saturating_sub(self.lines);
            let is_full = entries.len() > room;
            entries.truncate(room);
            if is_full && let Some(last) = entries.last_mut() {
                last.message = format!("further lines are not stored: there are {MOST_LINES}");
                last.level = LogLevel::Warn;
            }
            self.lines += entries.len();
            self.store(entries).await;
            if is_full {
                tracing::warn!(run = %self.run, "a log has too many lines; the rest is not read");
                return Ok(());
            }
            if let Some(error) = broken {
                return Err(error);
            }
        }
        Ok(())
    }

    async fn store(&mut self, mut entries: Vec<LogEntry>) {
        let Some(last) = entries.last().map(|entry| entry.seq) else {
            return;
        };
        for entry in &mut entries {
            entry.seq = seq_in_run(self.attempt, entry.seq);
        }
        let logs = self.shared.store.run_logs();
        let stored = retry::store("store log entries", &self.shared.shutdown, || {
            logs.append(self.run, &entries)
        });
        match stored.await {
            Ok(()) => self.after = last,
            // At the end of the process the next one copies the log again; anything else is about
            // these entries, and the run is worth more than they are.
            Err(error) => {
                tracing::warn!(run = %self.run, error = %retry::chain(&error), "log entries lost");
                self.after = last;
            }
        }
    }
}

/// An executor may be anybody's program: what is stored of a line is short, and one line.
fn cut(mut entries: Vec<LogEntry>) -> Vec<LogEntry> {
    for entry in &mut entries {
        let is_line = !entry.message.contains(['\n', '\r']);
        if entry.message.len() <= LONGEST_LINE && is_line {
            continue;
        }
        let characters = entry.message.chars().take(LONGEST_LINE);
        entry.message = characters
            .map(|character| match character {
                '\n' | '\r' => ' ',
                other => other,
            })
            .collect();
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_do_not_share_numbers() {
        assert_eq!(seq_in_run(1, 7), 7);
        assert_eq!(seq_in_run(2, 0), 1_000_000_000);
        assert_eq!(seq_in_run(2, 7), 1_000_000_007);
        assert_eq!(seq_in_run(1, u64::MAX), 999_999_999);
    }

    #[test]
    fn what_is_stored_of_a_line_is_short_and_one_line() {
        let entry = |message: &str| LogEntry {
            seq: 1,
            at: chrono::Utc::now(),
            level: LogLevel::Info,
            message: message.to_owned(),
        };
        let long = "é".repeat(LONGEST_LINE + 1);
        let entries = vec![entry("plain"), entry("hello\r\n forged"), entry(&long)];
        let stored = cut(entries);
        let messages: Vec<&str> = stored.iter().map(|entry| entry.message.as_str()).collect();
        assert_eq!(messages[..2], ["plain", "hello   forged"]);
        assert_eq!(messages[2].chars().count(), LONGEST_LINE);
    }
}
