//! What is counted: calls by plugin, method and outcome, how long they took, and how each plugin
//! is.
//!
//! Series are as many as plugins times methods of their slot; no label comes from a caller.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use rat_store::PluginStatus;

use crate::call::{Cause, Method, Who};

const STATUSES: [PluginStatus; 4] = [
    PluginStatus::Healthy,
    PluginStatus::Degraded,
    PluginStatus::Down,
    PluginStatus::Unknown,
];
/// Seconds: a call over a Unix socket takes a tenth of a millisecond, and none more than ten.
const BUCKETS: [f64; 14] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    slot: &'static str,
    plugin: String,
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    slot: &'static str,
    plugin: String,
    method: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    slot: &'static str,
    plugin: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabels {
    result: &'static str,
}

/// The counters. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    calls: Family<CodeLabels, Counter>,
    seconds: Family<CallLabels, Histogram>,
    status: Family<StatusLabels, Gauge>,
    changes: Family<StatusLabels, Counter>,
    hits: Counter,
    misses: Counter,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("rat_plugin");
        let calls = Family::default();
        registry.register(
            "calls",
            "Calls to plugins by outcome: ok, a gRPC code, or why there was no answer",
            calls.clone(),
        );
        let seconds =
            Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        registry.register_with_unit(
            "call_duration",
            "Time until a call to a plugin had its answer",
            Unit::Seconds,
            seconds.clone(),
        );
        let status = Family::default();
        registry.register(
            "status",
            "1 for the status that a plugin has now",
            status.clone(),
        );
        let changes = Family::default();
        registry.register(
            "status_changes",
            "Changes of a plugin's status, by the status that it changed to",
            changes.clone(),
        );
        let cache: Family<CacheLabels, Counter> = Family::default();
        registry.register(
            "token_cache",
            "Credentials that were known (hit), or that the auth plugin was asked about (miss)",
            cache.clone(),
        );
        let counter = |result| cache.get_or_create_owned(&CacheLabels { result });
        Self(Arc::new(Inner {
            hits: counter("hit"),
            misses: counter("miss"),
            registry,
            calls,
            seconds,
            status,
            changes,
        }))
    }
}

impl Metrics {
    /// Everything in the text format of OpenMetrics.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }

    pub(crate) fn called(&self, who: &Who, method: Method, failed: Option<&Cause>, took: Duration) {
        let (slot, method) = (who.slot.as_str(), method.name());
        let plugin = || who.name.clone();
        let calls = &self.0.calls;
        let code = failed.map_or("ok", Cause::label);
        let plugin_name = plugin();
        calls
            .get_or_create(&CodeLabels {
                slot,
                plugin: plugin_name,
                method,
                code,
            })
            .inc();
        let plugin = plugin();
        let seconds = &self.0.seconds;
        seconds
            .get_or_create(&CallLabels {
                slot,
                plugin,
                method,
            })
            .observe(took.as_secs_f64());
    }

    pub(crate) fn is(&self, who: &Who, status: PluginStatus) {
        for each in STATUSES {
            let labels = labels(who, each);
            let is = i64::from(each == status);
            self.0.status.get_or_create(&labels).set(is);
        }
    }

    pub(crate) fn changed(&self, who: &Who, status: PluginStatus) {
        self.0.changes.get_or_create(&labels(who, status)).inc();
    }

    /// A plugin that is gone has no status any more; what it did stays counted.
    pub(crate) fn gone(&self, who: &Who) {
        for status in STATUSES {
            self.0.status.remove(&labels(who, status));
        }
    }

    pub(crate) fn cache_hit(&self) {
        self.0.hits.inc();
    }

    pub(crate) fn cache_miss(&self) {
        self.0.misses.inc();
    }
}

fn labels(who: &Who, status: PluginStatus) -> StatusLabels {
    let slot = who.slot.as_str();
    let (plugin, status) = (who.name.clone(), status.as_str());
    StatusLabels {
        slot,
        plugin,
        status,
    }
}
