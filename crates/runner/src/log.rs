//! The last lines of a run's log.

use std::collections::VecDeque;

use chrono::Utc;
use rat_types::{LogEntry, LogLevel};

/// Characters of one line; what is longer is cut.
const LONGEST_LINE: usize = 8_192;
/// A ring: the newest lines matter most, because they say how it ended.
#[derive(Debug)]
pub(crate) struct Log {
    entries: VecDeque<LogEntry>,
    limit: usize,
    last: u64,
}

impl Log {
    /// An empty log of at most `limit` lines.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            limit: limit.max(1),
            last: 0,
        }
    }

    /// Adds a message, as one entry per line of it.
    pub(crate) fn push(&mut self, level: LogLevel, message: &str) {
        let at = Utc::now();
        for line in message.lines().filter(|line| !line.trim().is_empty()) {
            if self.entries.len() == self.limit {
                self.entries.pop_front();
            }
            self.last += 1;
            let message = line.chars().take(LONGEST_LINE).collect();
            self.entries.push_back(LogEntry {
                seq: self.last,
                at,
                level,
                message,
            });
        }
    }

    /// At most `count` entries after number `after`, oldest first.
    pub(crate) fn read(&self, after: u64, count: usize) -> Vec<LogEntry> {
        let start = self.entries.partition_point(|entry| entry.seq <= after);
        self.entries
            .iter()
            .skip(start)
            .take(count)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seqs(log: &Log, after: u64) -> Vec<u64> {
        log.read(after, 100).iter().map(|entry| entry.seq).collect()
    }

    #[test]
    fn the_newest_lines_are_kept_and_keep_their_numbers() {
        let mut log = Log::new(3);
        log.push(LogLevel::Info, "one\n\ntwo\r\nthree");
        log.push(LogLevel::Info, "four");
        assert_eq!(seqs(&log, 0), [2, 3, 4]);
        assert_eq!(seqs(&log, 3), [4]);
        assert_eq!(seqs(&log, 9), [0; 0]);
        assert_eq!(log.read(0, 1)[0].message, "two");
    }
}
