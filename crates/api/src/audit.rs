//! The audit log in the database: written off the request path.
//!
//! Whoever has something to record hands it to [`Audit`], which never waits: entries go through a
//! bounded queue to one [`AuditWriter`], which stores them in batches and removes old ones. While
//! the database does not keep up the queue fills, and further entries are counted instead of
//! stored. The log line of each (target `rat::audit`) is written in any case and beforehand, so
//! that what is missing in the database can be found there.
//!
//! Anybody can be refused as often as they like, so refusals are sampled before they get to the
//! queue: a flood of them can neither fill the disk nor crowd out what people changed.

mod sampler;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::Utc;
use rat_catalog::Denial;
use rat_store::{AuditRecord, Store};
use tokio::sync::mpsc;

use sampler::Sampler;
pub use writer::AuditWriter;

/// Entries that wait to be stored.
const QUEUE: usize = 4096;
/// Refused authentications that are recorded one by one, in a minute.
const REFUSALS: u32 = 10;
/// Denied reads that are recorded one by one, in a minute.
const DENIALS: u32 = 60;
/// Other refused requests that are recorded one by one, in a minute.
const FAILURES: u32 = 60;
/// Characters of each text of an entry.
const LONGEST: usize = 500;

/// What `detail`, `action` and `outcome` of summaries say.
pub(crate) const AUTHENTICATE: &str = "authenticate";
const READ: &str = "read";
const REQUEST: &str = "request";
pub(crate) const DENIED: &str = "denied";
pub(crate) const REFUSED: &str = "refused";

/// How long entries are kept.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// Age of the oldest entry.
    pub max_age: Duration,
    /// Number of entries; of more, the oldest are removed.
    pub max_rows: u64,
    /// How often old entries are removed.
    pub prune_interval: Duration,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(365 * 24 * 3600),
            max_rows: 1_000_000,
            prune_interval: Duration::from_secs(3600),
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditEvent {
    /// Who did it; empty where nobody knows.
    pub user: String,
    /// What was done: `pipeline.write`.
    pub action: String,
    /// What it was done to; empty where it was nothing in particular.
    pub resource: String,
    /// The request, and why it was refused.
    pub detail: String,
    /// Address that the request came from; empty where there is none.
    pub ip: String,
    /// Id of the request; empty where there is none.
    pub request_id: String,
    /// HTTP status of the answer; 0 where there is none.
    pub status: u16,
    /// `done`, `refused`, `denied`, `failed` or `aborted`.
    pub outcome: &'static str,
}

impl From<AuditEvent> for AuditRecord {
    fn from(event: AuditEvent) -> Self {
        Self {
            id: Self::new_id(),
            at: Utc::now(),
            user_id: cut(&event.user),
            action: cut(&event.action),
            resource: cut(&event.resource),
            detail: cut(&event.detail),
            ip: cut(&event.ip),
            request_id: cut(&event.request_id),
            status: event.status,
            outcome: event.outcome.to_owned(),
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// The way to the audit log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Audit {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: mpsc::Sender<AuditRecord>,
    refusals: Sampler,
    denials: Sampler,
    failures: Sampler,
    counters: Counters,
}

/// How many entries went where, since the process started.
#[derive(Debug, Default)]
struct Counters {
    stored: AtomicU64,
    /// There was no room, or the database failed for long.
    lost: AtomicU64,
    /// Refusals beyond what is recorded one by one.
    summarised: AtomicU64,
}

impl Audit {
    /// The way to the audit log in `store`, and what writes it: to be run once, and to be joined
    /// when everybody who may record something has ended.
    pub fn new(store: Store, config: AuditConfig) -> (Self, AuditWriter) {
        let (queue, entries) = mpsc::channel(QUEUE);
        let audit = Self {
            shared: Arc::new(Shared {
                queue,
                refusals: Sampler::new(REFUSALS),
                denials: Sampler::new(DENIALS),
                failures: Sampler::new(FAILURES),
                counters: Counters::default(),
            }),
        };
        let writer = AuditWriter::new(store, config, entries, audit.clone());
        (audit, writer)
    }

    /// Records what happened. Never waits.
    pub fn record(&self, event: AuditEvent) {
        log(&event);
        self.push(event);
    }

    /// Records a refused authentication, or counts it where there are many.
    pub(crate) fn refused(&self, event: AuditEvent) {
        self.sample(event, &self.shared.refusals);
    }

    /// Records something that was not allowed, or counts it where there is much of that.
    pub(crate) fn not_allowed(&self, event: AuditEvent) {
        self.sample(event, &self.shared.denials);
    }

    /// Records a request that was refused for what it says, or counts it where there are many.
    pub(crate) fn not_done(&self, event: AuditEvent) {
        self.sample(event, &self.shared.failures);
    }

    fn sample(&self, event: AuditEvent, sampler: &Sampler) {
        log(&event);
        match sampler.admit() {
            true => self.push(event),
            false => self.count(&self.shared.counters.summarised, 1),
        }
    }

    /// [`Self::not_allowed`] of a denial by access control.
    pub fn denied(&self, denial: &Denial, ip: &str, request_id: &str, request: &str) {
        self.not_allowed(AuditEvent {
            user: denial.user.clone(),
            action: denial.action.clone(),
            resource: denial.resource.clone(),
            detail: explain(request, &denial.reason),
            ip: ip.to_owned(),
            request_id: request_id.to_owned(),
            status: 403,
            outcome: DENIED,
        });
    }

    /// Counters in the text format of OpenMetrics, without its end mark.
    pub(crate) fn metrics(&self) -> String {
        let Counters {
            stored,
            lost,
            summarised,
        } = &self.shared.counters;
        let mut text = String::new();
        for (name, help, value) in [
            ("stored", "Audit entries stored in the database.", stored),
            ("lost", "Audit entries that are in the log only.", lost),
            (
                "summarised",
                "Refusals that were counted in one audit entry with others.",
                summarised,
            ),
        ] {
            let name = format!("rat_audit_{name}");
            let value = value.load(Ordering::Relaxed);
            text += &format!("# TYPE {name} counter\n# HELP {name} {help}\n{name}_total {value}\n");
        }
        text
    }

    fn push(&self, event: AuditEvent) {
        if self.shared.queue.try_send(event.into()).is_err() {
            self.count(&self.shared.counters.lost, 1);
        }
    }

    fn count(&self, counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }

    /// Entries about refusals that were not recorded one by one, of minutes that are over.
    fn summaries(&self) -> Vec<AuditRecord> {
        self.summed_up(Sampler::surplus)
    }

    /// The same at the end, of the minute that is not over.
    fn rest(&self) -> Vec<AuditRecord> {
        self.summed_up(Sampler::rest)
    }

    fn summed_up(&self, left: impl Fn(&Sampler) -> Option<u64>) -> Vec<AuditRecord> {
        let shared = &self.shared;
        let kinds = [
            (
                &shared.refusals,
                AUTHENTICATE,
                "refused authentications",
                401,
                DENIED,
            ),
            (&shared.denials, READ, "denied reads", 403, DENIED),
            (&shared.failures, REQUEST, "refused requests", 0, REFUSED),
        ];
        let summary = |(sampler, action, what, status, outcome): (&Sampler, &str, &str, u16, _)| {
            let count = left(sampler)?;
            Some(AuditRecord::from(AuditEvent {
                action: action.to_owned(),
                detail: format!("{count} more {what} within a minute; the log has each"),
                status,
                outcome,
                ..AuditEvent::default()
            }))
        };
        kinds.into_iter().filter_map(summary).collect()
    }
}

/// A request and why it was not granted, in one line.
pub(crate) fn explain(request: &str, reason: &str) -> String {
    match reason.trim() {
        "" => request.to_owned(),
        reason => format!("{request}: {reason}"),
    }
}

fn log(event: &AuditEvent) {
    tracing::info!(
        target: "rat::audit",
        user = event.user,
        client = event.ip,
        action = event.action,
        resource = event.resource,
        detail = event.detail,
        status = event.status,
        outcome = event.outcome,
        "audit"
    );
}

#[cfg(test)]
mod tests {
    use rat_store::AuditFilter;
    use tokio_util::sync::CancellationToken;

    use super::*;

    async fn audit() -> (Store, Audit, AuditWriter) {
        let store = Store::open(&"sqlite::memory:".parse().unwrap())
            .await
            .unwrap();
        let (audit, writer) = Audit::new(store.clone(), AuditConfig::default());
        (store, audit, writer)
    }

    fn event(number: usize) -> AuditEvent {
        AuditEvent {
            action: "pipeline.write".to_owned(),
            resource: format!("default.gold.p{number}"),
            detail: "x".repeat(LONGEST + 100),
            outcome: "done",
            ..AuditEvent::default()
        }
    }

    fn lost(audit: &Audit) -> u64 {
        audit.shared.counters.lost.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn what_finds_no_room_is_counted_and_nobody_waits() {
        let (store, audit, writer) = audit().await;
        (0..QUEUE + 3).for_each(|number| audit.record(event(number)));
        assert_eq!(lost(&audit), 3);
        // What waits at the end is stored.
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        writer.run(shutdown).await;
        let filter = AuditFilter::default();
        let stored = store.audit_log().list(&filter).await.unwrap();
        assert_eq!(stored.total, QUEUE as u64);
        assert_eq!(stored.items[0].detail.len(), LONGEST);
    }

    #[tokio::test]
    async fn a_database_that_is_gone_costs_entries_and_no_request() {
        let (store, audit, writer) = audit().await;
        store.close().await;
        tokio::time::pause();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(writer.run(shutdown.clone()));
        audit.record(event(1));
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(lost(&audit), 1);
        audit.record(event(2));
        shutdown.cancel();
        running.await.unwrap();
    }
}
