//! What is known of one run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chrono::Utc;
use rat_engine::RunObserver;
use rat_types::{LogEntry, LogLevel, Phase, RunFailure, RunId, RunOutcome, RunRequest, RunState};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::log::Log;

/// State of a run, as it is told to whoever asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The state.
    pub state: RunState,
    /// The phase that executes now; empty otherwise.
    pub phase: &'static str,
    /// Set once the run has ended.
    pub outcome: Option<Arc<RunOutcome>>,
}

/// A run that the runner knows.
#[derive(Debug)]
pub struct Record {
    run_id: RunId,
    attempt: u32,
    submitted: Instant,
    cancel: CancellationToken,
    progress: Mutex<Progress>,
    /// Changes whenever there is something new to read.
    news: watch::Sender<()>,
}

#[derive(Debug)]
struct Progress {
    /// Gone once the run has ended: it holds the token, and it can be large.
    request: Option<Arc<RunRequest>>,
    state: RunState,
    phase: &'static str,
    /// Time in the queue, once it has left it.
    queued: Option<Phase>,
    log: Log,
    outcome: Option<Arc<RunOutcome>>,
    ended: Option<Instant>,
    /// Somebody asked for this run to stop, rather than for the runner to.
    cancel_requested: bool,
}

impl Record {
    pub(crate) fn new(request: RunRequest, log_lines: usize) -> Self {
        let (run_id, attempt) = (request.run_id, request.attempt);
        Self {
            run_id,
            attempt,
            submitted: Instant::now(),
            cancel: CancellationToken::new(),
            progress: Mutex::new(Progress {
                request: Some(Arc::new(request)),
                state: RunState::Queued,
                phase: "",
                queued: None,
                log: Log::new(log_lines),
                outcome: None,
                ended: None,
                cancel_requested: false,
            }),
            news: watch::Sender::new(()),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run's id.
    pub fn run_id(&self) -> RunId {
        self.run_id
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// State, phase, and outcome if there is one.
    pub fn status(&self) -> Status {
        let progress = self.progress();
        let (state, phase) = (progress.state, progress.phase);
        Status {
            state,
            phase,
            outcome: progress.outcome.clone(),
        }
    }

    /// Cancelled when the run shall stop.
    pub(crate) fn cancellation(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Asks this run to stop. Whether it was waiting, so that nobody is there to stop it.
    pub(crate) fn request_cancel(&self) -> bool {
        let mut progress = self.progress();
        if !progress.state.is_terminal() {
            progress.cancel_requested = true;
        }
        self.cancel.cancel();
        progress.state == RunState::Queued
    }

    /// Leaves the queue. `None` when the run has ended there.
    pub(crate) fn start(&self) -> Option<Arc<RunRequest>> {
        let mut progress = self.progress();
        if progress.state != RunState::Queued {
            return None;
        }
        let request = progress.request.clone()?;
        progress.state = RunState::Running;
        progress.queued = Some(self.time_in_queue());
        drop(progress);
        self.news.send_replace(());
        Some(request)
    }

    fn time_in_queue(&self) -> Phase {
        let duration_us = u64::try_from(self.submitted.elapsed().as_micros()).unwrap_or(u64::MAX);
        Phase {
            name: "queue".to_owned(),
            duration_us,
        }
    }

    /// Ends with the engine's outcome, or with a failure when there is none. The request comes
    /// back for the callback; `None` when the run has ended before.
    pub(crate) fn end(
        &self,
        outcome: Option<RunOutcome>,
    ) -> Option<(Arc<RunRequest>, Arc<RunOutcome>)> {
        let mut progress = self.progress();
        let request = progress.request.take()?;
        let mut outcome = outcome.unwrap_or_else(|| self.broken(&progress));
        if outcome.state == RunState::Cancelled && !progress.cancel_requested {
            // Nobody cancelled this run; the runner goes down and the run may be tried again.
            outcome.state = RunState::Failed;
            let message = "the runner was stopped while the run was executing";
            outcome.failure = Some(RunFailure::new("RUNNER_STOPPED", message));
        }
        if let Some(queued) = progress.queued.take() {
            outcome.phases.insert(0, queued);
        }
        let outcome = Arc::new(outcome);
        progress.state = outcome.state;
        progress.phase = "";
        progress.outcome = Some(Arc::clone(&outcome));
        progress.ended = Some(Instant::now());
        drop(progress);
        self.news.send_replace(());
        Some((request, outcome))
    }

    /// Ends a run that was waiting, because it was cancelled.
    pub(crate) fn end_waiting(&self) -> Option<(Arc<RunRequest>, Arc<RunOutcome>)> {
        self.log(
            LogLevel::Warn,
            "The run was cancelled while it was waiting".to_owned(),
        );
        let failure = RunFailure::new("CANCELLED", "cancelled");
        let outcome = self.without_rows(RunState::Cancelled, failure, vec![self.time_in_queue()]);
        self.end(Some(outcome))
    }

    fn broken(&self, progress: &Progress) -> RunOutcome {
        let phase = progress.phase;
        let message =
            format!("the run broke off in phase {phase:?}; the runner's log has the detail");
        let failure = RunFailure::new("INTERNAL", message);
        self.without_rows(RunState::Failed, failure, Vec::new())
    }

    fn without_rows(&self, state: RunState, failure: RunFailure, phases: Vec<Phase>) -> RunOutcome {
        RunOutcome {
            phases,
            ..RunOutcome::without_rows(self.run_id, state, Some(failure), Utc::now())
        }
    }

    /// When the run ended.
    pub(crate) fn ended(&self) -> Option<Instant> {
        self.progress().ended
    }

    /// Entries after `after`, and whether more may come.
    pub(crate) fn read_log(&self, after: u64, count: usize) -> (Vec<LogEntry>, bool) {
        let progress = self.progress();
        (
            progress.log.read(after, count),
            !progress.state.is_terminal(),
        )
    }

    /// Tells when there is something new.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }
}

impl RunObserver for Record {
    fn phase(&self, name: &'static str) {
        self.progress().phase = name;
        tracing::debug!(run_id = %self.run_id, phase = name, "phase");
    }

    fn log(&self, level: LogLevel, message: String) {
        tracing::debug!(run_id = %self.run_id, %level, message, "log of a run");
        self.progress().log.push(level, &message);
        self.news.send_replace(());
    }
}
