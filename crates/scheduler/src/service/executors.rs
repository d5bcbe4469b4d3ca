//! The executor slot: who takes new runs, and who has taken old ones.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::Notify;

use crate::executor::Executor;

/// All executors, one of which takes new runs. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Executors {
    slot: Arc<RwLock<Slot>>,
    /// There may be something to dispatch.
    wake: Arc<Notify>,
}

#[derive(Debug)]
struct Slot {
    current: Arc<dyn Executor>,
    known: BTreeMap<String, Arc<dyn Executor>>,
    held: bool,
}

impl Executors {
    /// One executor, for everything.
    pub fn new(current: Arc<dyn Executor>) -> Self {
        let known = BTreeMap::from([(current.name().to_owned(), Arc::clone(&current))]);
        let held = false;
        let slot = Slot {
            current,
            known,
            held,
        };
        Self {
            slot: Arc::new(RwLock::new(slot)),
            wake: Arc::default(),
        }
    }

    /// From now on new runs go to `executor`. Those that another one took stay with that.
    pub fn switch(&self, executor: Arc<dyn Executor>) {
        self.put(executor, false);
        self.wake.notify_one();
    }

    /// From now on new runs wait for `executor`, which is not there to take them. Those that it
    /// took before stay with it.
    pub fn hold(&self, executor: Arc<dyn Executor>) {
        self.put(executor, true);
    }

    /// `executor` has taken runs, and may take no more.
    pub fn know(&self, executor: Arc<dyn Executor>) {
        let name = executor.name().to_owned();
        self.write().known.insert(name, executor);
    }

    /// Who takes new runs.
    pub fn current(&self) -> Arc<dyn Executor> {
        Arc::clone(&self.read().current)
    }

    /// The executor with this name.
    pub fn get(&self, name: &str) -> Option<Arc<dyn Executor>> {
        self.read().known.get(name).cloned()
    }

    /// Whether new runs wait.
    pub(crate) fn is_held(&self) -> bool {
        self.read().held
    }

    /// Told when somebody else takes new runs.
    pub(crate) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    fn put(&self, executor: Arc<dyn Executor>, held: bool) {
        let mut slot = self.write();
        slot.known
            .insert(executor.name().to_owned(), Arc::clone(&executor));
        slot.current = executor;
        slot.held = held;
    }

    fn read(&self) -> RwLockReadGuard<'_, Slot> {
        self.slot.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Slot> {
        self.slot.write().unwrap_or_else(PoisonError::into_inner)
    }
}
