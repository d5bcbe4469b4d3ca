//! The runs that a task of this process cares for, and how to get through to that task.
//!
//! Only a switchboard: losing it costs the time until the next poll, because everything said
//! through it stands in the database too.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rat_types::{RunId, RunOutcome};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// All runs in care.
#[derive(Debug, Clone, Default)]
pub(crate) struct Active(Arc<Mutex<HashMap<RunId, Arc<Signals>>>>);

/// What the task of a run can be told.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    outcome: Mutex<Option<RunOutcome>>,
    ended: Notify,
    /// Cancelled when somebody wants the run to stop.
    pub(crate) stop: CancellationToken,
    /// Asks for a look at the executor now.
    pub(crate) look: Notify,
}

impl Signals {
    /// The executor reported, and the database knows.
    pub(crate) fn report(&self, outcome: RunOutcome) {
        *lock(&self.outcome) = Some(outcome);
        self.ended.notify_one();
    }

    /// Waits for a report.
    pub(crate) async fn reported(&self) -> RunOutcome {
        loop {
            if let Some(outcome) = lock(&self.outcome).take() {
                return outcome;
            }
            self.ended.notified().await;
        }
    }
}

/// A run is in care until this is dropped, whatever happens to its task.
#[derive(Debug)]
pub(crate) struct Care {
    pub(crate) signals: Arc<Signals>,
    run: RunId,
    active: Active,
    free: Arc<Notify>,
}

impl Active {
    /// Takes a run into care; `free` is notified when that ends.
    pub(crate) fn take(&self, run: RunId, free: Arc<Notify>) -> Care {
        let signals = Arc::new(Signals::default());
        lock(&self.0).insert(run, Arc::clone(&signals));
        Care {
            signals,
            run,
            active: self.clone(),
            free,
        }
    }

    pub(crate) fn get(&self, run: RunId) -> Option<Arc<Signals>> {
        lock(&self.0).get(&run).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    pub(crate) fn ids(&self) -> HashSet<RunId> {
        lock(&self.0).keys().copied().collect()
    }
}

impl Drop for Care {
    fn drop(&mut self) {
        lock(&self.active.0).remove(&self.run);
        self.free.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
