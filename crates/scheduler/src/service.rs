//! The loop that hands pending runs out and takes care of those under way.

mod executors;
mod orphans;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rat_catalog::Catalog;
use rat_iceberg::Warehouse;
use rat_store::{RunRecord, Store};
use rat_types::RunId;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::access::{ReadAll, RunAccess};
use crate::active::Active;
use crate::backoff::{Gate, Passage};
use crate::handle::Handle;
use crate::retry::chain;
use crate::task::Task;

pub use executors::Executors;

/// How the scheduler works.
#[derive(Debug, Clone)]
pub struct Config {
    /// ratd's internal listener as runs reach it: `unix:/path` or `http://host:port`.
    pub control_plane: String,
    /// The lake, for the locations of landing files.
    pub warehouse: Warehouse,
    /// Says what the user who started a run may read.
    pub access: Arc<dyn RunAccess>,
    /// Runs under way at a time; further ones wait.
    pub max_running: usize,
    /// How often an executor is asked for the state of a run whose callback does not come.
    pub poll_interval: Duration,
    /// After how many polls in a row that the executor does not know the run, it counts as lost.
    pub lost_after: u32,
    /// First pause when an executor takes no run; doubled up to [`Self::last_pause`].
    pub first_pause: Duration,
    /// Longest pause between two tries.
    pub last_pause: Duration,
    /// How long the rest of a log is waited for once its run has ended.
    pub log_drain: Duration,
    /// How long publishing is tried before the run fails.
    pub publish_for: Duration,
    /// How often the database is searched for runs that nobody told about.
    pub sweep_interval: Duration,
    /// How often the lake is searched for what ended runs left.
    pub orphans_interval: Duration,
    /// How long tasks may take to come to a safe point at the end.
    pub shutdown_timeout: Duration,
}

impl Config {
    /// The usual times for a scheduler that runs call back at `control_plane`, without access
    /// control.
    pub fn new(control_plane: String, warehouse: Warehouse) -> Self {
        Self {
            control_plane,
            warehouse,
            access: Arc::new(ReadAll),
            max_running: 10,
            poll_interval: Duration::from_secs(5),
            lost_after: 3,
            first_pause: Duration::from_millis(100),
            last_pause: Duration::from_secs(5),
            log_drain: Duration::from_secs(2),
            publish_for: Duration::from_secs(600),
            sweep_interval: Duration::from_secs(10),
            orphans_interval: Duration::from_secs(3600),
            shutdown_timeout: Duration::from_secs(15),
        }
    }
}

/// What the loop, the tasks and the handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) catalog: Catalog,
    pub(crate) executors: Executors,
    pub(crate) active: Active,
    pub(crate) gate: Gate,
    /// There may be something to dispatch.
    pub(crate) wake: Arc<Notify>,
    /// There is news of a run that is not in care.
    pub(crate) stray: Notify,
    pub(crate) shutdown: CancellationToken,
}

/// The scheduler, to be [run](Self::run) once.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    /// Claimed by a task of this process that could not go on, or by an earlier process: every
    /// running row that is not in care.
    next_sweep: Instant,
}

impl Service {
    /// A scheduler and the handle to it.
    pub fn new(
        config: Config,
        store: Store,
        catalog: Catalog,
        executors: Executors,
    ) -> (Self, Handle) {
        let shared = Arc::new(Shared {
            gate: Gate::new(config.first_pause, config.last_pause),
            config,
            store,
            catalog,
            wake: executors.wake(),
            executors,
            active: Active::default(),
            stray: Notify::new(),
            shutdown: CancellationToken::new(),
        });
        let handle = Handle::new(Arc::clone(&shared));
        (
            Self {
                shared,
                tasks: JoinSet::new(),
                next_sweep: Instant::now(),
            },
            handle,
        )
    }

    /// Works until `shutdown` is cancelled. Nothing is lost then: runs go on where they execute,
    /// and the next process takes them up from the database.
    pub async fn run(mut self, shutdown: CancellationToken) {
        self.tasks.spawn(orphans::watch(Arc::clone(&self.shared)));
        loop {
            if self.next_sweep <= Instant::now() {
                self.sweep().await;
            }
            let pause = self.dispatch().await;
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.shared.wake.notified() => {}
                () = self.shared.stray.notified() => self.next_sweep = Instant::now(),
                Some(ended) = self.tasks.join_next() => note_end(ended),
                () = sleep_until(pause.map_or(self.next_sweep, |at| at.min(self.next_sweep))) => {}
            }
        }
        self.drain().await;
    }

    /// Claims what there is room for and starts a task for each. Answers when to try again if
    /// that is not only a matter of waiting for a wake-up.
    async fn dispatch(&mut self) -> Option<Instant> {
        loop {
            if self.shared.executors.is_held() {
                return None;
            }
            let free = self
                .shared
                .config
                .max_running
                .saturating_sub(self.shared.active.len());
            let limit = match self.shared.gate.passage() {
                Passage::Free => free,
                Passage::One => free.min(1),
                Passage::Closed(until) => return Some(until),
            };
            if limit == 0 {
                return None;
            }
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            match self.shared.store.runs().claim_next(limit).await {
                Ok(claimed) if claimed.is_empty() => return None,
                Ok(claimed) => {
                    for run in claimed {
                        self.start(run);
                    }
                    // The one that tries comes back before another one may.
                    if limit == 1 {
                        return None;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "failed to claim pending runs");
                    return Some(Instant::now() + self.shared.config.last_pause);
                }
            }
        }
    }

    fn start(&mut self, run: RunRecord) {
        let id = run.id;
        let care = self.shared.active.take(id, Arc::clone(&self.shared.wake));
        let task = Task::new(Arc::clone(&self.shared), run, care);
        self.tasks.spawn(task.drive());
    }

    /// Takes every running run into care that is not: after a start all of them, later those
    /// whose task could not go on.
    async fn sweep(&mut self) {
        self.next_sweep = Instant::now() + self.shared.config.sweep_interval;
        // Taken before the query: a run that ends meanwhile is in the answer and not in care.
        let in_care: HashSet<RunId> = self.shared.active.ids();
        match self.shared.store.runs().list_active().await {
            Ok(runs) => {
                for run in runs.into_iter().filter(|run| !in_care.contains(&run.id)) {
                    tracing::info!(run = %run.id, pipeline = %run.pipeline, "taking up a run");
                    self.start(run);
                }
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "failed to list running runs");
            }
        }
    }

    /// Lets every task come to a safe point.
    async fn drain(mut self) {
        self.shared.shutdown.cancel();
        let ended = timeout(self.shared.config.shutdown_timeout, async {
            while let Some(ended) = self.tasks.join_next().await {
                note_end(ended);
            }
        });
        if ended.await.is_err() {
            tracing::warn!(runs = self.tasks.len(), "leaving runs to the next process");
            self.tasks.shutdown().await;
        }
    }
}

fn note_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a task panicked; its run will be taken up again");
    }
}
