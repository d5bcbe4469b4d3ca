//! Takes audit entries off the queue and stores them.

use std::time::Duration;

use chrono::Utc;
use rat_store::{AuditRecord, Store};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::{Audit, AuditConfig};
use crate::fault::Chain;

/// Entries of one transaction.
const BATCH: usize = 500;
/// How long an entry may wait for others to come.
const GATHER: Duration = Duration::from_millis(100);
/// How often summaries are looked for.
const SUMMARIES: Duration = Duration::from_secs(10);
/// How long storing one batch is tried before it is given up.
const TRY_FOR: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// How long what is left at the end may take.
const LAST_BATCHES: Duration = Duration::from_secs(5);

/// Writes the audit log; to be [run](Self::run) once.
#[derive(Debug)]
pub struct AuditWriter {
    store: Store,
    config: AuditConfig,
    entries: mpsc::Receiver<AuditRecord>,
    audit: Audit,
    /// Entries that the log line about lost ones has told.
    told: u64,
}

impl AuditWriter {
    pub(super) fn new(
        store: Store,
        config: AuditConfig,
        entries: mpsc::Receiver<AuditRecord>,
        audit: Audit,
    ) -> Self {
        Self {
            store,
            config,
            entries,
            audit,
            told: 0,
        }
    }

    /// Writes until `shutdown` is cancelled, and then what is left.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut prune = interval(self.config.prune_interval.max(Duration::from_secs(1)));
        prune.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut summaries = interval(SUMMARIES);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = self.entries.recv_many(&mut batch, BATCH) => {
                    sleep_or(&shutdown, GATHER).await;
                    while batch.len() < BATCH && let Ok(entry) = self.entries.try_recv() {
                        batch.push(entry);
                    }
                    self.write(&mut batch, &shutdown).await;
                }
                _ = summaries.tick() => {
                    batch.extend(self.audit.summaries());
                    self.write(&mut batch, &shutdown).await;
                    self.tell_lost();
                }
                _ = prune.tick() => self.prune().await,
            }
        }
        let rest = self.finish(batch);
        if tokio::time::timeout(LAST_BATCHES, rest).await.is_err() {
            tracing::warn!("the last audit entries could not be stored; the log has them");
        }
    }

    async fn finish(mut self, mut batch: Vec<AuditRecord>) {
        let shutdown = CancellationToken::new();
        self.entries.close();
        batch.extend(self.audit.rest());
        loop {
            while batch.len() < BATCH
                && let Ok(entry) = self.entries.try_recv()
            {
                batch.push(entry);
            }
            if batch.is_empty() {
                break;
            }
            self.write(&mut batch, &shutdown).await;
        }
        self.tell_lost();
    }

    /// Stores the batch, or gives it up when the database fails for long.
    async fn write(&mut self, batch: &mut Vec<AuditRecord>, shutdown: &CancellationToken) {
        let counters = &self.audit.shared.counters;
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        while !batch.is_empty() {
            let Err(error) = self.store.audit_log().append(batch).await else {
                self.audit.count(&counters.stored, batch.len() as u64);
                break;
            };
            tracing::warn!(error = %Chain(&error), "failed to store audit entries");
            if began.elapsed() + pause > TRY_FOR {
                self.audit.count(&counters.lost, batch.len() as u64);
                break;
            }
            if shutdown.is_cancelled() {
                // The end has its own limit, and tries this batch again.
                return;
            }
            sleep_or(shutdown, pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
        batch.clear();
    }

    fn tell_lost(&mut self) {
        let counters = &self.audit.shared.counters;
        let lost = counters.lost.load(std::sync::atomic::Ordering::Relaxed);
        if lost > self.told {
            tracing::error!(
                entries = lost - self.told,
                "audit entries are in the log and not in the database, which did not keep up"
            );
            self.told = lost;
        }
    }

    async fn prune(&self) {
        let age = chrono::Duration::from_std(self.config.max_age).unwrap_or(chrono::Duration::MAX);
        let oldest = Utc::now().checked_sub_signed(age).unwrap_or_default();
        match self
            .store
            .audit_log()
            .prune(oldest, self.config.max_rows)
            .await
        {
            Ok(0) => {}
            Ok(entries) => tracing::info!(entries, "removed old audit entries"),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "failed to remove old audit entries");
            }
        }
    }
}

async fn sleep_or(shutdown: &CancellationToken, pause: Duration) {
    shutdown.run_until_cancelled(sleep(pause)).await;
}
