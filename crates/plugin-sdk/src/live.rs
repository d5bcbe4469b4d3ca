//! The plugin as it is configured at this moment.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use serde_json::{Map, Value};
use tokio::sync::{Mutex, RwLock, watch};
use tokio::time::timeout;
use tonic::Status;

use crate::config::{Checked, Schema, Sources};
use crate::{Health, Invalid, Plugin};

/// How long a call waits for the first configuration: ratd sends it on each new connection, and a
/// call may overtake it.
const FIRST_CONFIGURATION: Duration = Duration::from_secs(5);
/// ratd waits five seconds.
const HEALTH_LIMIT: Duration = Duration::from_secs(4);

/// A cheap handle on the running plugin.
pub(crate) struct Live<P> {
    inner: Arc<Inner<P>>,
}

struct Inner<P> {
    schema: Schema,
    sources: RwLock<Sources>,
    current: watch::Sender<Option<Arc<P>>>,
    /// Held while a configuration is applied: one after the other.
    applied: Mutex<Applied>,
    health: watch::Sender<Option<Health>>,
}

struct Applied {
    /// What ratd sent last; an empty mapping before that.
    ratd: Value,
    /// What the current plugin was made of.
    effective: Option<Value>,
    /// Why there is no plugin yet.
    waiting_for: Option<Invalid>,
}

/// What became of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The plugin is made of it.
    Applied,
    /// The plugin was made of it already.
    Unchanged,
    /// Keys are missing that ratd may send.
    Waiting(Invalid),
}

impl<P> Clone for Live<P> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<P: Plugin> Live<P> {
    pub(crate) fn new(schema: Schema, sources: Sources) -> Self {
        Self {
            inner: Arc::new(Inner {
                schema,
                sources: RwLock::new(sources),
                current: watch::Sender::new(None),
                applied: Mutex::new(Applied {
                    ratd: Value::Object(Map::new()),
                    effective: None,
                    waiting_for: None,
                }),
                health: watch::Sender::new(None),
            }),
        }
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.inner.schema
    }

    /// The plugin, for one call.
    pub(crate) async fn plugin(&self) -> Result<Arc<P>, Status> {
        if let Some(plugin) = self.current() {
            return Ok(plugin);
        }
        let mut changes = self.inner.current.subscribe();
        let configured = changes.wait_for(Option::is_some);
        match timeout(FIRST_CONFIGURATION, configured).await {
            Ok(Ok(plugin)) => plugin.clone().ok_or_else(not_configured),
            Ok(Err(_)) | Err(_) => Err(not_configured()),
        }
    }

    pub(crate) fn current(&self) -> Option<Arc<P>> {
        self.inner.current.borrow().clone()
    }

    /// Takes what ratd sent.
    pub(crate) async fn configure(&self, ratd: Value) -> Result<Outcome, Invalid> {
        let mut applied = self.inner.applied.lock().await;
        let outcome = self.apply(&mut applied, &ratd).await?;
        if applied.ratd != ratd {
            let sources = self.inner.sources.read().await;
            sources.log_differences(&self.inner.schema, &ratd);
        }
        applied.ratd = ratd;
        Ok(outcome)
    }

    /// Works with what there is without ratd, or with what it sent before.
    pub(crate) async fn start(&self) -> Result<Outcome, Invalid> {
        let mut applied = self.inner.applied.lock().await;
        let ratd = applied.ratd.clone();
        let sources = self.inner.sources.read().await;
        sources.log_differences(&self.inner.schema, &ratd);
        drop(sources);
        self.apply(&mut applied, &ratd).await
    }

    /// Reads the file again and works with it as it is now. Where that fails, nothing changes.
    pub(crate) async fn reload(&self) -> Result<Outcome, Invalid> {
        let mut applied = self.inner.applied.lock().await;
        let now = self
            .inner
            .sources
            .read()
            .await
            .read_again(&self.inner.schema);
        let before = std::mem::replace(&mut *self.inner.sources.write().await, now);
        let ratd = applied.ratd.clone();
        let outcome = self.apply(&mut applied, &ratd).await;
        if outcome.is_err() {
            *self.inner.sources.write().await = before;
        }
        outcome
    }

    async fn apply(&self, applied: &mut Applied, ratd: &Value) -> Result<Outcome, Invalid> {
        let outcome = self.make(applied, ratd).await;
        if applied.effective.is_none() {
            applied.waiting_for = match &outcome {
                Ok(Outcome::Waiting(invalid)) | Err(invalid) => Some(invalid.clone()),
                Ok(Outcome::Applied | Outcome::Unchanged) => None,
            };
        }
        outcome
    }

    async fn make(&self, applied: &mut Applied, ratd: &Value) -> Result<Outcome, Invalid> {
        let checked = {
            let sources = self.inner.sources.read().await;
            sources.check::<P::Config>(&self.inner.schema, ratd)?
        };
        let (merged, config) = match checked {
            Checked::Complete(merged, config) => (merged, config),
            Checked::Incomplete(invalid) if applied.effective.is_none() => {
                return Ok(Outcome::Waiting(invalid));
            }
            Checked::Incomplete(invalid) => return Err(invalid),
        };
        if applied.effective.as_ref() == Some(&merged) {
            return Ok(Outcome::Unchanged);
        }
        let made = AssertUnwindSafe(async {
            match self.current() {
                Some(before) => before.reconfigure(config).await,
                None => P::configure(config).await,
            }
        });
        let made = made.catch_unwind().await.map_err(|_| {
            Invalid::new(
                "",
                "the plugin failed while it was configured; its log has more",
            )
        })?;
        let plugin = match made {
            Ok(plugin) => plugin,
            Err(invalid) if invalid.is_incomplete() && applied.effective.is_none() => {
                return Ok(Outcome::Waiting(invalid));
            }
            Err(invalid) => return Err(invalid),
        };
        self.inner.current.send_replace(Some(Arc::new(plugin)));
        applied.effective = Some(merged);
        Ok(Outcome::Applied)
    }

    /// How the plugin is, at this moment.
    pub(crate) async fn health(&self) -> Health {
        let health = match self.current() {
            Some(plugin) => {
                let asked = AssertUnwindSafe(async { plugin.health().await }).catch_unwind();
                match timeout(HEALTH_LIMIT, asked).await {
                    Ok(Ok(health)) => health,
                    Ok(Err(_)) => Health::down("the health check failed; the log has more"),
                    Err(_) => Health::down("the health check took too long"),
                }
            }
            None => Health::down(self.why_waiting()),
        };
        self.inner.health.send_if_modified(|known| {
            let is_news = known.as_ref() != Some(&health);
            if is_news {
                *known = Some(health.clone());
            }
            is_news
        });
        health
    }

    fn why_waiting(&self) -> String {
        // While a configuration is being applied nobody knows yet.
        let why = self.inner.applied.try_lock().ok();
        match why.and_then(|applied| applied.waiting_for.clone()) {
            Some(invalid) => format!("waiting for its configuration: {}", invalid.in_one_line()),
            None => "being configured".to_owned(),
        }
    }

    /// Follows the plugin as it is made anew.
    pub(crate) fn watch_plugin(&self) -> watch::Receiver<Option<Arc<P>>> {
        self.inner.current.subscribe()
    }

    /// Follows the health as it becomes known.
    pub(crate) fn watch_health(&self) -> watch::Receiver<Option<Health>> {
        self.inner.health.subscribe()
    }
}

fn not_configured() -> Status {
    Status::unavailable("the plugin has no configuration yet")
}
