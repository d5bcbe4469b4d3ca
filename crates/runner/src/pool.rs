//! Runs that wait, runs that execute, and runs that have ended lately.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rat_engine::{Hold, RunObserver};
use rat_types::{LogLevel, RunId, RunOutcome, RunRequest, RunState};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Error, Execute, Record, Status, callback};

/// How often ended runs are looked through for those to forget.
const SWEEP: Duration = Duration::from_secs(30);
const SHORTEST_SWEEP: Duration = Duration::from_millis(10);
/// Ended runs that are kept at most, however young.
const MOST_ENDED: usize = 2_000;

/// Limits of a pool.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Runs that execute at the same time.
    pub slots: usize,
    /// Runs that may wait.
    pub queue: usize,
    /// Lines of log that are kept per run.
    pub log_lines: usize,
    /// Time for which an ended run is remembered.
    pub keep_results: Duration,
}

impl From<&rat_config::Runner> for PoolConfig {
    fn from(settings: &rat_config::Runner) -> Self {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            slots: count(settings.slots.get()),
            queue: count(settings.queue.get()),
            log_lines: count(settings.log_lines.get()),
            keep_results: settings.keep_results,
        }
    }
}

/// A handle on the pool; cheap to clone.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    config: PoolConfig,
    execute: Arc<dyn Execute>,
    runs: Mutex<Runs>,
    /// Somebody waits who did not.
    arrived: Notify,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Runs {
    known: HashMap<RunId, Arc<Record>>,
    waiting: VecDeque<Arc<Record>>,
    executing: usize,
    stopping: bool,
}

impl Pool {
    /// A pool that takes runs; [`Pool::run`] executes them.
    pub fn new(config: PoolConfig, execute: Arc<dyn Execute>) -> Self {
        let slots = Semaphore::new(slots(&config));
        Self {
            shared: Arc::new(Shared {
                config,
                execute,
                runs: Mutex::default(),
                arrived: Notify::new(),
                slots: Arc::new(slots),
                tasks: TaskTracker::new(),
            }),
        }
    }

    fn slots(&self) -> usize {
        slots(&self.shared.config)
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.shared
            .runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a run. One that is known is not taken again, unless this is a later attempt and the
    /// earlier one has ended.
    ///
    /// # Errors
    /// The queue is full, or the runner is being stopped.
    pub fn submit(&self, request: RunRequest) -> Result<RunState, Error> {
        let mut runs = self.runs();
        if let Some(known) = runs.known.get(&request.run_id) {
            let state = known.status().state;
            if request.attempt <= known.attempt() || !state.is_terminal() {
                return Ok(state);
            }
        }
        if runs.stopping {
            return Err(Error::Stopping);
        }
        // What waits for a slot that is free is not counted as waiting.
        let waiting = (runs.waiting.len() + runs.executing).saturating_sub(self.slots());
        if waiting >= self.shared.config.queue {
            return Err(Error::QueueFull { waiting });
        }
        let record = Arc::new(Record::new(request, self.shared.config.log_lines));
        runs.known.insert(record.run_id(), Arc::clone(&record));
        runs.waiting.push_back(record);
        drop(runs);
        self.shared.arrived.notify_one();
        Ok(RunState::Queued)
    }

    /// What is known of a run.
    ///
    /// # Errors
    /// It is not known.
    pub fn record(&self, run_id: RunId) -> Result<Arc<Record>, Error> {
        self.runs()
            .known
            .get(&run_id)
            .cloned()
            .ok_or(Error::NotFound { run_id })
    }

    /// Asks a run to stop.
    ///
    /// # Errors
    /// It is not known.
    pub fn cancel(&self, run_id: RunId) -> Result<Status, Error> {
        let record = self.record(run_id)?;
        if record.request_cancel() {
            self.runs()
                .waiting
                .retain(|waiting| !Arc::ptr_eq(waiting, &record));
            self.ended(record.end_waiting());
        }
        Ok(record.status())
    }

    /// Executes runs until `shutdown`. After it come [`Pool::drain`] and [`Pool::stop`].
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut sweep =
            tokio::time::interval(self.shared.config.keep_results.clamp(SHORTEST_SWEEP, SWEEP));
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = sweep.tick() => self.forget(),
                () = self.next() => {}
            }
        }
    }

    /// Starts the next run when there is one and a slot for it.
    async fn next(&self) {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&self.shared.slots).acquire_owned().await else {
            return;
        };
        let record = loop {
            // Asked for before looking, so that an arrival in between is not missed.
            let arrived = self.shared.arrived.notified();
            if let Some(record) = self.take() {
                break record;
            }
            arrived.await;
        };
        // Kept by the run's threads, which may end later than the run.
        let place: Hold = Arc::new(Place {
            pool: self.clone(),
            _slot: slot,
        });
        let pool = self.clone();
        self.shared
            .tasks
            .spawn(async move { pool.execute(&record, place).await });
    }

    /// The first that waits, counted as executing from now on.
    fn take(&self) -> Option<Arc<Record>> {
        let mut runs = self.runs();
        let record = runs.waiting.pop_front()?;
        runs.executing += 1;
        Some(record)
    }

    async fn execute(&self, record: &Arc<Record>, place: Hold) {
        let Some(request) = record.start() else {
            return;
        };
        let run_id = record.run_id();
        tracing::info!(%run_id, pipeline = %request.pipeline, attempt = request.attempt, "run starts");
        let observer = Arc::clone(record);
        let outcome = self
            .shared
            .execute
            .execute(request, observer, record.cancellation(), place)
            .await;
        if outcome.is_none() {
            tracing::error!(%run_id, "run broke off");
            let message = "The run broke off inside the runner".to_owned();
            record.log(LogLevel::Error, message);
        }
        self.ended(record.end(outcome));
    }

    /// Tells ratd, without holding up a slot.
    fn ended(&self, ended: Option<(Arc<RunRequest>, Arc<RunOutcome>)>) {
        let Some((request, outcome)) = ended else {
            return;
        };
        let code = outcome
            .failure
            .as_ref()
            .map(|failure| failure.code.as_str());
        tracing::info!(run_id = %outcome.run_id, state = %outcome.state, code, "run ended");
        self.shared
            .tasks
            .spawn(async move { callback::push(&request, &outcome).await });
    }

    /// Forgets runs that ended too long ago, or that are too many.
    fn forget(&self) {
        let keep = self.shared.config.keep_results;
        let mut runs = self.runs();
        let mut ended: Vec<(Instant, RunId)> = runs
            .known
            .values()
            .filter_map(|record| Some((record.ended()?, record.run_id())))
            .collect();
        ended.sort_unstable_by_key(|(at, _)| *at);
        let too_many = ended.len().saturating_sub(MOST_ENDED);
        for (index, (at, run_id)) in ended.into_iter().enumerate() {
            if index < too_many || at.elapsed() >= keep {
                runs.known.remove(&run_id);
            }
        }
    }

    /// Takes no more runs, gives up those that wait, and lets those that execute end within
    /// `limit`.
    pub async fn drain(&self, limit: Duration) {
        let waiting = {
            let mut runs = self.runs();
            runs.stopping = true;
            let waiting = std::mem::take(&mut runs.waiting);
            for record in &waiting {
                runs.known.remove(&record.run_id());
            }
            waiting.len()
        };
        if waiting > 0 {
            // ratd learns that they are unknown here and submits them again.
            tracing::warn!(runs = waiting, "waiting runs are given up");
        }
        let executing = self.runs().executing;
        if executing > 0 {
            tracing::info!(runs = executing, ?limit, "waiting for runs to end");
        }
        self.shared.tasks.close();
        // What is left is stopped; it says so itself.
        let _ = tokio::time::timeout(limit, self.shared.tasks.wait()).await;
    }

    /// Stops what still executes, and waits for at most `grace`.
    pub async fn stop(&self, grace: Duration) {
        let known: Vec<_> = self.runs().known.values().cloned().collect();
        for record in known {
            record.cancellation().cancel();
        }
        self.shared.tasks.close();
        if tokio::time::timeout(grace, self.shared.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(tasks = self.shared.tasks.len(), "runs did not stop in time");
        }
    }
}

/// A slot in use; given back however the run ends.
struct Place {
    pool: Pool,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.runs().executing -= 1;
    }
}

fn slots(config: &PoolConfig) -> usize {
    config.slots.clamp(1, Semaphore::MAX_PERMITS)
}
