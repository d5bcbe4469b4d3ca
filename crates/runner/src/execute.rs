//! Executing runs on threads of their own.
//!
//! A run may plan or compute for minutes without letting go of its threads, so it is watched from
//! outside of them: when it does not stop in time, its outcome is told without it and its threads
//! are left to end by themselves. They keep the run's slot until then, so that there are never
//! more of them than slots.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use futures::future::BoxFuture;
use rat_engine::{Engine, Hold, RunObserver, Threads};
use rat_types::{LogLevel, Phase, RunFailure, RunOutcome, RunRequest, RunState};
use tokio_util::sync::CancellationToken;

/// Time for a run to come to its own end once it has been told to stop.
const GRACE: Duration = Duration::from_secs(1);

/// Executes one run at a time per call.
pub trait Execute: Send + Sync + 'static {
    /// Executes `request`; `None` when that broke off without an outcome. `slot` is let go when
    /// nothing of the run executes any more, which may be later than the outcome.
    fn execute(
        &self,
        request: Arc<RunRequest>,
        observer: Arc<dyn RunObserver>,
        cancel: CancellationToken,
        slot: Hold,
    ) -> BoxFuture<'static, Option<RunOutcome>>;
}

/// The engine, with threads for each run: planning and computing rows takes whole cores, and
/// neither what serves connections nor another run must wait for one.
#[derive(Debug)]
pub struct EngineThreads {
    engine: Engine,
    count: usize,
}

impl EngineThreads {
    /// One thread per processor for each run.
    pub fn new(engine: Engine) -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        Self { engine, count }
    }
}

impl Execute for EngineThreads {
    fn execute(
        &self,
        request: Arc<RunRequest>,
        observer: Arc<dyn RunObserver>,
        cancel: CancellationToken,
        slot: Hold,
    ) -> BoxFuture<'static, Option<RunOutcome>> {
        let engine = self.engine.holding(Arc::clone(&slot));
        let started = Threads::start("rat-run", self.count, slot);
        Box::pin(async move {
            let limit = engine.run_timeout();
            let watched = Arc::new(Watched::new(observer));
            let threads = match started {
                Ok(threads) => threads,
                Err(error) => {
                    let message = format!("failed to start the threads of the run: {error}");
                    let failure = RunFailure::new("INTERNAL", message);
                    return Some(watched.give_up(&request, RunState::Failed, failure));
                }
            };
            let stop = cancel.child_token();
            let _stop = stop.clone().drop_guard();
            let (run, seen) = (Arc::clone(&request), Arc::clone(&watched));
            let mut task =
                threads.spawn(async move { engine.run(&run, seen.as_ref(), stop).await });
            let (state, failure) = tokio::select! {
                outcome = &mut task => return outcome.ok(),
                () = cancel.cancelled() => {
                    (RunState::Cancelled, RunFailure::new("CANCELLED", "cancelled"))
                }
                () = tokio::time::sleep(limit) => {
                    let message = format!("the run took longer than {} s", limit.as_secs());
                    (RunState::Failed, RunFailure::new("TIMEOUT", message))
                }
            };
            // The engine keeps both as well, and knows more about the run.
            match tokio::time::timeout(GRACE, &mut task).await {
                Ok(outcome) => outcome.ok(),
                Err(_) => Some(watched.give_up(&request, state, failure)),
            }
        })
    }
}

/// Hears a run until it is given up, and remembers its phases.
struct Watched {
    observer: Arc<dyn RunObserver>,
    is_given_up: AtomicBool,
    phases: Mutex<Vec<(&'static str, Instant)>>,
}

impl Watched {
    fn new(observer: Arc<dyn RunObserver>) -> Self {
        Self {
            observer,
            is_given_up: AtomicBool::new(false),
            phases: Mutex::default(),
        }
    }

    /// The outcome of a run that is not waited for.
    fn give_up(&self, request: &RunRequest, state: RunState, failure: RunFailure) -> RunOutcome {
        let RunFailure { code, message } = &failure;
        self.observer
            .log(LogLevel::Error, format!("{code}: {message}"));
        self.is_given_up.store(true, Ordering::Release);
        tracing::warn!(run_id = %request.run_id, code, "the run does not stop; it is given up");
        RunOutcome {
            run_id: request.run_id,
            state,
            failure: Some(failure),
            rows_written: 0,
            bytes_written: 0,
            snapshot_id: None,
            phases: self.phases(),
            quality: Vec::new(),
            finished_at: Utc::now(),
        }
    }

    fn phases(&self) -> Vec<Phase> {
        let begun = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = begun.iter().skip(1).map(|(_, at)| *at);
        let ends = ends.chain([Instant::now()]);
        let timed = begun.iter().zip(ends);
        timed
            .map(|((name, begin), end)| Phase {
                name: (*name).to_owned(),
                duration_us: u64::try_from((end - *begin).as_micros()).unwrap_or(u64::MAX),
            })
            .collect()
    }

    fn is_heard(&self) -> bool {
        !self.is_given_up.load(Ordering::Acquire)
    }
}

impl RunObserver for Watched {
    fn phase(&self, name: &'static str) {
        if self.is_heard() {
            let mut begun = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
            begun.push((name, Instant::now()));
            self.observer.phase(name);
        }
    }

    fn log(&self, level: LogLevel, message: String) {
        if self.is_heard() {
            self.observer.log(level, message);
        }
    }
}
