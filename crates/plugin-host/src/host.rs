//! The host: from the plugins of the settings to filled slots, and again when they are read anew.

mod load;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use rat_api::{
    Authenticator, CloudCredentials, Enforcer, Plugins, ReloadError, Reloaded, Sharing, SlotState,
};
use rat_config::Slot;
use rat_scheduler::{Executor, Executors};
use rat_store::Store;
use tokio::sync::{Mutex, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::TokenCache;
use crate::event::{self, Event};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::plugin::{Plugin, Reports};
use crate::record::Recorder;
use crate::resolve::Resolve;
use crate::slot::{AuthSlot, Cell, CloudSlot, EnforcementSlot, ExecutorSlot, SharingSlot};

/// Plugins by slot, as the settings name them.
type Configured = BTreeMap<Slot, rat_config::Plugin>;

/// Reads the plugins of the settings again. The error is what `ratd check-config` would say.
pub type Source = Arc<dyn Fn() -> Result<Configured, String> + Send + Sync>;

/// What the host works with.
pub struct Needs {
    /// The platform database, for the plugins' rows.
    pub store: Store,
    /// Who says who is calling while no auth plugin does.
    pub authenticator: Arc<dyn Authenticator>,
    /// The scheduler's executors.
    pub executors: Executors,
    /// The executor that takes runs while no plugin does.
    pub executor: Arc<dyn Executor>,
    /// Looks host names up.
    pub resolver: Arc<dyn Resolve>,
    /// Reads the settings again.
    pub source: Source,
}

/// The host. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    options: Options,
    store: Store,
    resolver: Arc<dyn Resolve>,
    source: Source,
    cells: BTreeMap<Slot, Arc<Cell>>,
    auth: Arc<AuthSlot>,
    reports: Reports,
    /// Tasks of health checks and connections.
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// What is loaded. Held while that changes: reloads come one after the other.
    loaded: Mutex<BTreeMap<Slot, Arc<Plugin>>>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl Host {
    /// A host with built-ins in all slots. It has to be [run](Self::run).
    pub fn new(options: Options, needs: Needs) -> Self {
        let metrics = Metrics::default();
        let cells = Slot::ALL.map(|slot| (slot, Arc::new(Cell::new(slot))));
        let cells = BTreeMap::from(cells);
        let bytes = options.token_cache_bytes;
        let cache = options
            .token_cache
            .map(|limit| TokenCache::new(limit, bytes));
        let auth = AuthSlot::new(
            Arc::clone(&cells[&Slot::Auth]),
            needs.authenticator,
            cache,
            options.admin_roles.clone(),
            metrics.clone(),
        );
        let executor = ExecutorSlot::new(needs.executors, needs.executor);
        cells[&Slot::Executor].follow(Box::new(move |standing| executor.follow(standing)));
        Self(Arc::new(Inner {
            options,
            store: needs.store,
            resolver: needs.resolver,
            source: needs.source,
            cells,
            auth: Arc::new(auth),
            reports: Reports {
                metrics,
                events: broadcast::Sender::new(event::KEPT),
                recorder: Recorder::default(),
            },
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            loaded: Mutex::default(),
        }))
    }

    /// Keeps the plugins' rows until `shutdown` is cancelled, then ends health checks and
    /// connections.
    pub async fn run(self, shutdown: CancellationToken) {
        let inner = &self.0;
        tokio::select! {
            never = inner.reports.recorder.run(&inner.store) => match never {},
            () = shutdown.cancelled() => {}
        }
        inner.shutdown.cancel();
        inner.tasks.close();
        inner.tasks.wait().await;
        inner.reports.recorder.flush(&inner.store).await;
    }

    /// Says who is calling.
    pub fn authenticator(&self) -> Arc<dyn Authenticator> {
        let auth: Arc<AuthSlot> = Arc::clone(&self.0.auth);
        auth
    }

    /// Says who may do what.
    pub fn enforcer(&self) -> Arc<dyn Enforcer> {
        Arc::new(EnforcementSlot::new(self.cell(Slot::Enforcement)))
    }

    /// Keeps the grants.
    pub fn sharing(&self) -> Arc<dyn Sharing> {
        Arc::new(SharingSlot::new(self.cell(Slot::Sharing)))
    }

    /// Hands out credentials.
    pub fn cloud(&self) -> Arc<dyn CloudCredentials> {
        let (cloud, enforcement) = (self.cell(Slot::Cloud), self.cell(Slot::Enforcement));
        Arc::new(CloudSlot::new(cloud, enforcement))
    }

    /// Itself, for who looks after the plugins.
    pub fn plugins(&self) -> Arc<dyn Plugins> {
        Arc::new(self.clone())
    }

    /// The counters.
    pub fn metrics(&self) -> Metrics {
        self.0.reports.metrics.clone()
    }

    /// Changes of plugins' statuses from now on. Who lags behind too far misses some.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.reports.events.subscribe()
    }

    fn cell(&self, slot: Slot) -> Arc<Cell> {
        Arc::clone(&self.0.cells[&slot])
    }
}

impl Plugins for Host {
    fn slots(&self) -> Vec<SlotState> {
        Slot::ALL
            .into_iter()
            .map(|slot| self.0.cells[&slot].state())
            .collect()
    }

    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, ReloadError>> {
        // Half of a reload must not stay: it goes on when whoever asked for it has gone.
        let inner = Arc::clone(&self.0);
        let running = self.0.tasks.spawn(async move { inner.reload().await });
        Box::pin(async move {
            running
                .await
                .unwrap_or_else(|error| Err(ReloadError::Failed(error.to_string())))
        })
    }

    fn metrics(&self) -> String {
        self.0.reports.metrics.encode()
    }
}
