//! One configured plugin: how it is, and the calls to it.
//!
//! Its status decides whether it is asked at all: while it is down, calls fail at once, without
//! dialling. Two things change the status: the health checks, and a call that found the connection
//! gone, which counts at once and wakes the checks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use prost::Message;
use rat_config::OnDown;
use rat_store::PluginStatus;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::call::{CallError, Cause, Method, Who};
use crate::connection::{Connection, Stream};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::record::Recorder;
use crate::slot::Cell;

/// Time between two complaints about a plugin.
const COMPLAINTS: Duration = Duration::from_secs(1);

/// How a plugin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) status: PluginStatus,
    /// What it says about that, or why it is not asked.
    pub(crate) message: String,
    pub(crate) version: Option<String>,
    pub(crate) latency: Option<Duration>,
    /// When it was last asked.
    pub(crate) at: Option<DateTime<Utc>>,
}

impl State {
    pub(crate) fn is_serving(&self) -> bool {
        match self.status {
            PluginStatus::Healthy | PluginStatus::Degraded => true,
            PluginStatus::Down | PluginStatus::Unknown => false,
        }
    }
}

/// What every plugin tells about its changes.
#[derive(Debug, Clone)]
pub(crate) struct Reports {
    pub(crate) metrics: Metrics,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) recorder: Recorder,
}

#[derive(Debug)]
pub(crate) struct Plugin {
    /// Sets it apart from every other plugin of this process, also from itself before a reload.
    pub(crate) number: u64,
    pub(crate) who: Arc<Who>,
    pub(crate) config: rat_config::Plugin,
    pub(crate) connection: Connection,
    pub(crate) reports: Reports,
    state: ArcSwap<State>,
    /// Counts the calls that found the connection gone; a check that began before one of them
    /// knows less than it.
    failures: AtomicU64,
    /// Held while the status changes.
    changing: Mutex<()>,
    /// Asks for a check now.
    pub(crate) wake: Arc<Notify>,
    /// When it was last called, other than for its health.
    called: watch::Sender<Instant>,
    /// The slot that it stands in.
    cell: Weak<Cell>,
    /// Out of the configuration: nobody checks it any more, and calls find out by themselves.
    retired: AtomicBool,
    /// When a failed call was last told to the operator.
    complained: Mutex<Option<Instant>>,
    /// When a refusal was.
    refused: Mutex<Option<Instant>>,
    pub(crate) stop: CancellationToken,
}

impl Plugin {
    pub(crate) fn new(
        who: Arc<Who>,
        config: rat_config::Plugin,
        (connection, wake): (Connection, Arc<Notify>),
        reports: Reports,
        cell: &Arc<Cell>,
        stop: CancellationToken,
    ) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        reports.metrics.is(&who, PluginStatus::Unknown);
        Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            who,
            config,
            connection,
            reports,
            state: ArcSwap::from_pointee(State {
                status: PluginStatus::Unknown,
                message: "it was not asked yet".to_owned(),
                version: None,
                latency: None,
                at: None,
            }),
            failures: AtomicU64::new(0),
            changing: Mutex::new(()),
            wake,
            called: watch::Sender::new(Instant::now()),
            cell: Arc::downgrade(cell),
            retired: AtomicBool::new(false),
            complained: Mutex::new(None),
            refused: Mutex::new(None),
            stop,
        }
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.state.load().is_serving()
    }

    pub(crate) fn on_down(&self) -> OnDown {
        self.config.on_down
    }

    /// One answer to one message.
    pub(crate) async fn call<A: Message + Default>(
        &self,
        method: Method,
        request: &impl Message,
    ) -> Result<A, CallError> {
        self.refuse_while_down(method)?;
        let message = Bytes::from(request.encode_to_vec());
        let asked = Instant::now();
        let answer = self.connection.unary(method, message).await;
        let answer = answer
            .and_then(|bytes| A::decode(bytes).map_err(|error| Cause::Garbage(error.to_string())));
        self.note(method, answer.as_ref().err(), asked.elapsed());
        answer.map_err(|cause| self.error(method, cause))
    }

    /// A stream of answers to one message.
    pub(crate) async fn stream(
        &self,
        method: Method,
        request: &impl Message,
    ) -> Result<Stream, CallError> {
        self.refuse_while_down(method)?;
        let message = Bytes::from(request.encode_to_vec());
        let asked = Instant::now();
        let answer = self.connection.stream(method, message).await;
        self.note(method, answer.as_ref().err(), asked.elapsed());
        answer.map_err(|cause| self.error(method, cause))
    }

    pub(crate) fn error(&self, method: Method, cause: Cause) -> CallError {
        CallError {
            who: Arc::clone(&self.who),
            method: method.name(),
            cause,
        }
    }

    /// Waits while the plugin may have ended because nobody calls it: a question of ours would
    /// start it again. Nothing is known of it meanwhile but how it was.
    pub(crate) async fn awake(&self) {
        let Some(limit) = self.config.idle_stop else {
            return;
        };
        let mut calls = self.called.subscribe();
        while self.is_serving() && calls.borrow_and_update().elapsed() >= limit {
            tokio::select! {
                // An error would mean that the plugin is gone, and with it this task.
                _ = calls.changed() => {}
                // A call that goes on for long has failed.
                () = self.wake.notified() => return,
            }
        }
    }

    fn refuse_while_down(&self, method: Method) -> Result<(), CallError> {
        self.called.send_replace(Instant::now());
        let state = self.state.load();
        if state.is_serving() || self.retired.load(Ordering::Acquire) {
            return Ok(());
        }
        let cause = Cause::Down(state.message.clone());
        let (who, metrics) = (&self.who, &self.reports.metrics);
        metrics.called(who, method, Some(&cause), Duration::ZERO);
        Err(self.error(method, cause))
    }

    fn note(&self, method: Method, failed: Option<&Cause>, took: Duration) {
        self.reports.metrics.called(&self.who, method, failed, took);
        if let Some(cause) = failed {
            self.failed(method, cause);
        }
    }

    /// What a call that failed says about the plugin.
    pub(crate) fn failed(&self, method: Method, cause: &Cause) {
        match cause {
            Cause::Down(_) | Cause::Answered { .. } => {}
            cause if cause.is_about_the_connection() => {
                // Another replica may still be there.
                if !self.connection.is_serving() {
                    self.down_by_a_call(method, cause);
                }
                self.wake.notify_one();
            }
            // The plugin is slow, or wrong about this call; a check tells which.
            _ => self.wake.notify_one(),
        }
    }

    /// Tells the operator of a call without an answer: not of each, when every call fails.
    pub(crate) fn complain(&self, error: &CallError) {
        if is_due(&self.complained) {
            tracing::warn!(target: "rat::plugins", %error, "a plugin did not answer a call");
        } else {
            tracing::debug!(target: "rat::plugins", %error, "a plugin did not answer a call");
        }
    }

    /// Tells why a credential was refused, of which its caller is told nothing: not of each, when
    /// somebody tries many.
    pub(crate) fn tell_refusal(&self, error: &CallError) {
        if is_due(&self.refused) {
            tracing::info!(target: "rat::auth", %error, "a credential was refused");
        } else {
            tracing::debug!(target: "rat::auth", %error, "a credential was refused");
        }
    }

    fn down_by_a_call(&self, method: Method, cause: &Cause) {
        let changing = self.lock();
        self.failures.fetch_add(1, Ordering::AcqRel);
        let state = self.state.load();
        if state.is_serving() {
            let next = State {
                status: PluginStatus::Down,
                message: format!("{}: {cause}", method.name()),
                latency: None,
                ..State::clone(&state)
            };
            self.change(next);
        }
        drop(changing);
    }

    /// How many calls have found the connection gone until now.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Acquire)
    }

    /// Takes over what a check found that began when `failures` had failed. False where a call
    /// has failed since.
    pub(crate) fn checked(&self, found: State, failures: u64) -> bool {
        let _changing = self.lock();
        if self.failures() != failures && found.is_serving() {
            return false;
        }
        self.change(found);
        true
    }

    /// Puts the new state in place, and its slot after it. To be called under the lock.
    fn change(&self, next: State) {
        if self.retired.load(Ordering::Acquire) {
            // The row and the slot are somebody else's.
            return;
        }
        let before = self.state.swap(Arc::new(next.clone()));
        self.reports.recorder.record(&self.who.name, &next);
        let (status, message) = (&next.status, &next.message);
        if before.status == *status && before.message == *message {
            return;
        }
        // Callers are told the message too.
        if let Some(cell) = self.cell.upgrade() {
            cell.update();
        }
        if before.status != *status {
            self.tell(&before, &next);
        }
    }

    fn tell(&self, before: &State, next: &State) {
        let (who, metrics) = (&self.who, &self.reports.metrics);
        metrics.is(who, next.status);
        metrics.changed(who, next.status);
        let (slot, plugin, address) = (who.slot.as_str(), &who.name, &who.address);
        let (from, to, detail) = (before.status.as_str(), next.status.as_str(), &next.message);
        let on_down = self.config.on_down.as_str();
        match next.is_serving() {
            true => tracing::info!(
                target: "rat::plugins", slot, plugin, address, from, to, detail,
                "the plugin's status changed"
            ),
            false => tracing::warn!(
                target: "rat::plugins", slot, plugin, address, from, to, detail, on_down,
                "the plugin's status changed"
            ),
        }
        let event = Event {
            plugin: plugin.clone(),
            slot: who.slot,
            from: before.status,
            to: next.status,
            message: detail.clone(),
            at: Utc::now(),
        };
        // Nobody may be listening.
        let _ = self.reports.events.send(event);
    }

    /// The plugin is out of the configuration. Who still holds it may ask it.
    pub(crate) fn retire(&self) {
        let changing = self.lock();
        self.retired.store(true, Ordering::Release);
        drop(changing);
        self.stop.cancel();
        self.reports.metrics.gone(&self.who);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the last line of this kind is long enough ago.
fn is_due(last: &Mutex<Option<Instant>>) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let is_due = last.is_none_or(|at| now.duration_since(at) >= COMPLAINTS);
    if is_due {
        *last = Some(now);
    }
    is_due
}
