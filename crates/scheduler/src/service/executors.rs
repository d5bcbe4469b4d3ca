//! The executor slot: who takes new runs, and who has taken old ones.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::executor::Executor;

/// All executors, one of which takes new runs. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Executors(Arc<RwLock<Slot>>);

#[derive(Debug)]
struct Slot {
    current: Arc<dyn Executor>,
    known: BTreeMap<String, Arc<dyn Executor>>,
}

impl Executors {
    /// One executor, for everything.
    pub fn new(current: Arc<dyn Executor>) -> Self {
        let known = BTreeMap::from([(current.name().to_owned(), Arc::clone(&current))]);
        Self(Arc::new(RwLock::new(Slot { current, known })))
    }

    /// From now on new runs go to `executor`. Those that another one took stay with that.
    pub fn switch(&self, executor: Arc<dyn Executor>) {
        let mut slot = self.0.write().unwrap_or_else(PoisonError::into_inner);
        slot.known
            .insert(executor.name().to_owned(), Arc::clone(&executor));
        slot.current = executor;
    }

    /// Who takes new runs.
    pub fn current(&self) -> Arc<dyn Executor> {
        Arc::clone(
            &self
                .0
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .current,
        )
    }

    /// The executor with this name.
    pub fn get(&self, name: &str) -> Option<Arc<dyn Executor>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .known
            .get(name)
            .cloned()
    }
}
