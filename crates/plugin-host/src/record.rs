//! The plugins' rows in the database, written behind everybody's back.
//!
//! Of each plugin only its latest state waits to be written, so that a database that is slow or
//! gone costs nothing but the age of the rows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use rat_service::ErrorChain;
use rat_store::{PluginHealth, Store};
use rat_types::Kind;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::plugin::State;

const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);

/// What waits to be written. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<BTreeMap<String, PluginHealth>>,
    wake: Notify,
}

impl Recorder {
    pub(crate) fn record(&self, plugin: &str, state: &State) {
        let health = PluginHealth {
            status: state.status,
            message: state.message.clone(),
            version: state.version.clone(),
            latency_us: state
                .latency
                .map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
            at: state.at.unwrap_or_else(Utc::now),
        };
        self.lock().insert(plugin.to_owned(), health);
        self.0.wake.notify_one();
    }

    /// Nothing is to be written about a plugin that is gone.
    pub(crate) fn forget(&self, plugin: &str) {
        self.lock().remove(plugin);
    }

    /// Writes for as long as it is polled.
    pub(crate) async fn run(&self, store: &Store) -> std::convert::Infallible {
        loop {
            self.0.wake.notified().await;
            while let Some((plugin, health)) = self.take() {
                if !write(store, &plugin, &health).await {
                    // What came meanwhile is newer.
                    self.lock().entry(plugin).or_insert(health);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Writes what waits, at the end.
    pub(crate) async fn flush(&self, store: &Store) {
        while let Some((plugin, health)) = self.take() {
            if !write(store, &plugin, &health).await {
                return;
            }
        }
    }

    fn take(&self) -> Option<(String, PluginHealth)> {
        self.lock().pop_first()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, PluginHealth>> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// False where it is worth trying again.
async fn write(store: &Store, plugin: &str, health: &PluginHealth) -> bool {
    let plugins = store.plugins();
    match timeout(LIMIT, plugins.set_status(plugin, health)).await {
        Ok(Ok(())) => true,
        // A reload has taken it away.
        Ok(Err(error)) if error.kind() == Kind::NotFound => true,
        Ok(Err(error)) => {
            let error = ErrorChain(&error).to_string();
            tracing::warn!(target: "rat::plugins", plugin, error, "a plugin's status is not stored");
            false
        }
        Err(_) => {
            tracing::warn!(target: "rat::plugins", plugin, "a plugin's status is not stored in time");
            false
        }
    }
}
