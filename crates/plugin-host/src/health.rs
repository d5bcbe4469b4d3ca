//! Whether a plugin can do its work: asked every 30 seconds while it can, and otherwise more and
//! more often until it is asked each second.
//!
//! Every replica is asked by itself. The plugin is as well as the best of them; where some are
//! gone it is `degraded`, and those get no calls.
//!
//! A plugin that ends when nobody calls it (`idle_stop`) is not asked while it may have done so.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use futures::future::join_all;
use prost::Message as _;
use rat_proto::plugin::v1::{HealthCheckRequest, HealthCheckResponse};
use rat_store::PluginStatus;
use tokio::time::{Instant, timeout_at};

use crate::call::Cause;
use crate::method::HEALTH_CHECK;
use crate::options::Options;
use crate::plugin::{Plugin, State};
use crate::replica::{Live, Replica};
use crate::text::printable;

/// First pause after a failure; each further one is half as long again, so that the time until a
/// plugin is found again is a third of the time for which it was gone, and a second at most.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Part of the longest pause after which a plugin that stays well is asked at once again when
/// something fails.
const FORGIVEN: u32 = 4;

/// What asking one replica found.
struct Found {
    endpoint: String,
    status: PluginStatus,
    message: String,
    version: Option<String>,
    latency: Option<Duration>,
}

/// Asks `plugin` until it is stopped. `seed` sets plugins apart that begin together.
pub(crate) async fn watch(plugin: Arc<Plugin>, options: Options, seed: u64) {
    let mut pause = Pause::new(&options, seed);
    loop {
        let wait = tokio::select! {
            () = check(&plugin, &options) => pause.after(&plugin),
            () = plugin.stop.cancelled() => return,
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = woken(&plugin, &pause) => {}
            () = plugin.stop.cancelled() => return,
        }
        tokio::select! {
            () = plugin.awake() => {}
            () = plugin.stop.cancelled() => return,
        }
    }
}

/// Somebody wants to know now. A plugin that fails every call and passes every check is not asked
/// more often for it.
async fn woken(plugin: &Plugin, pause: &Pause) {
    plugin.wake.notified().await;
    tokio::time::sleep(pause.when_woken()).await;
}

/// How long to wait until the next check.
struct Pause {
    interval: Duration,
    longest: Duration,
    /// The last pause after a failure.
    current: Duration,
    well_since: Option<Instant>,
    /// Calls that had failed at the last check.
    failures: u64,
    seed: u64,
}

impl Pause {
    fn new(options: &Options, seed: u64) -> Self {
        Self {
            interval: options.health_interval,
            longest: options.probe_interval,
            current: Duration::ZERO,
            well_since: None,
            failures: 0,
            seed,
        }
    }

    fn after(&mut self, plugin: &Plugin) -> Duration {
        let failures = plugin.failures();
        let failed = std::mem::replace(&mut self.failures, failures) != failures;
        let serving = plugin.is_serving();
        if failed || !serving {
            let next = self.when_woken() * 3 / 2;
            self.current = next.clamp(FIRST_PAUSE.min(self.longest), self.longest);
            self.well_since = None;
        }
        if !serving {
            return self.current;
        }
        self.well_since.get_or_insert_with(Instant::now);
        let replicas = plugin.connection.replicas();
        match replicas.iter().all(|replica| replica.is_serving()) {
            true => self.jitter(self.interval),
            false => self.jitter(self.longest),
        }
    }

    /// How long to wait when somebody wants to know now.
    fn when_woken(&self) -> Duration {
        let forgiven = self.longest / FORGIVEN;
        match self.well_since {
            Some(since) if since.elapsed() >= forgiven => Duration::ZERO,
            _ => self.current,
        }
    }

    /// A tenth more or less.
    fn jitter(&mut self, pause: Duration) -> Duration {
        // One step of a linear congruence: nothing depends on its quality.
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let spread = u32::try_from(self.seed >> 33).unwrap_or(0) % 201;
        pause * (900 + spread) / 1000
    }
}

/// One round: finds the replicas, asks them all, and tells the plugin.
pub(crate) async fn check(plugin: &Plugin, options: &Options) {
    let failures = plugin.failures();
    let asked_at = Utc::now();
    let due = !plugin.is_serving() || !plugin.connection.is_serving();
    let mut found = match plugin.connection.resolve(due).await {
        Ok(()) => {
            let replicas = plugin.connection.replicas();
            let asked = replicas.iter().map(|replica| ask(plugin, replica, options));
            summary(join_all(asked).await)
        }
        Err(message) => State {
            status: PluginStatus::Down,
            message,
            version: None,
            latency: None,
            at: None,
        },
    };
    found.at = Some(asked_at);
    if !plugin.checked(found, failures) {
        plugin.wake.notify_one();
    }
}

async fn ask(plugin: &Plugin, replica: &Replica, options: &Options) -> Found {
    let asked = Instant::now();
    let mut answer = probe(replica, options).await;
    // A plugin that is restarted ends the connection that there is; its successor may be well.
    if matches!(answer, Err(Cause::Refused(_) | Cause::Broken(_))) {
        answer = probe(replica, options).await;
    }
    let took = asked.elapsed();
    let metrics = &plugin.reports.metrics;
    metrics.called(&plugin.who, HEALTH_CHECK, answer.as_ref().err(), took);
    let (status, message) = match &answer {
        Ok((response, live)) => with_warning(read(response), live),
        Err(cause) => (PluginStatus::Down, explain(cause)),
    };
    replica.set_serving(matches!(
        status,
        PluginStatus::Healthy | PluginStatus::Degraded
    ));
    let answered = answer.ok();
    let latency = answered.as_ref().map(|_| took);
    Found {
        endpoint: replica.endpoint.to_string(),
        status,
        message,
        version: answered.and_then(|(_, live)| live.greeting.version.clone()),
        latency,
    }
}

/// The answer, and the connection that it came on.
async fn probe(
    replica: &Replica,
    options: &Options,
) -> Result<(HealthCheckResponse, Arc<Live>), Cause> {
    if let Some(before) = Instant::now().checked_sub(options.health_interval) {
        replica.forget_refusal(before);
    }
    let live = replica.live().await?;
    if let Some(message) = &live.greeting.refused {
        return Err(Cause::Misconfigured(message.clone()));
    }
    let deadline = Instant::now() + options.health_timeout;
    let message = Bytes::from(HealthCheckRequest {}.encode_to_vec());
    let asked = live.session.unary(HEALTH_CHECK, &message, deadline);
    let answer = match timeout_at(deadline, asked).await {
        Ok(answer) => answer?,
        Err(_) => {
            // Perhaps it is the connection that is dead, and nobody said so.
            replica.hang_up();
            return Err(Cause::Timeout(options.health_timeout));
        }
    };
    let answer = HealthCheckResponse::decode(answer);
    let answer = answer.map_err(|error| Cause::Garbage(error.to_string()))?;
    Ok((answer, live))
}

/// What the plugin said of itself stands beside how it is.
fn with_warning((status, message): (PluginStatus, String), live: &Live) -> (PluginStatus, String) {
    match &live.greeting.warning {
        None => (status, message),
        Some(warning) if message.is_empty() => (status, warning.clone()),
        Some(warning) => (status, format!("{message}; {warning}")),
    }
}

fn read(response: &HealthCheckResponse) -> (PluginStatus, String) {
    let message = printable(&response.message);
    match response.status.as_str() {
        "healthy" => (PluginStatus::Healthy, message),
        "degraded" => (PluginStatus::Degraded, message),
        "down" => (PluginStatus::Down, message),
        other => {
            let other = printable(other);
            let message = format!(
                "its status is {other:?}, which is none of healthy, degraded and down{}{message}",
                if message.is_empty() { "" } else { ": " }
            );
            (PluginStatus::Down, message)
        }
    }
}

fn explain(cause: &Cause) -> String {
    match cause {
        Cause::Misconfigured(_) | Cause::Unreachable(_) => cause.to_string(),
        cause if cause.is_unimplemented() => format!(
            "something answers there that is no plugin: it does not have {} ({cause})",
            HEALTH_CHECK.service()
        ),
        cause => format!("{}: {cause}", HEALTH_CHECK.name()),
    }
}

/// The plugin, from its replicas.
fn summary(found: Vec<Found>) -> State {
    let rank = |status: PluginStatus| match status {
        PluginStatus::Healthy => 0,
        PluginStatus::Degraded => 1,
        PluginStatus::Down => 2,
        PluginStatus::Unknown => 3,
    };
    let best = found.iter().min_by_key(|one| rank(one.status));
    let Some(best) = best else {
        return State {
            status: PluginStatus::Down,
            message: "it has no address".to_owned(),
            version: None,
            latency: None,
            at: None,
        };
    };
    let is_gone = |one: &&Found| rank(one.status) >= 2;
    let gone = found.iter().find(is_gone);
    let (status, message) = match gone {
        Some(gone) if rank(best.status) < 2 => {
            let count = found.iter().filter(is_gone).count();
            let message = format!(
                "{count} of {} replicas cannot be used; {}: {}",
                found.len(),
                gone.endpoint,
                gone.message
            );
            (PluginStatus::Degraded, message)
        }
        _ => (best.status, best.message.clone()),
    };
    State {
        status,
        message,
        version: best.version.clone(),
        latency: best.latency,
        at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(endpoint: &str, status: PluginStatus) -> Found {
        Found {
            endpoint: endpoint.to_owned(),
            status,
            message: format!("says {endpoint}"),
            version: None,
            latency: None,
        }
    }

    #[test]
    fn a_plugin_is_as_well_as_its_best_replica_and_degraded_without_the_others() {
        use PluginStatus::{Degraded, Down, Healthy};
        let all = summary(vec![found("a", Degraded), found("b", Healthy)]);
        assert_eq!((all.status, all.message.as_str()), (Healthy, "says b"));
        let one = summary(vec![found("a", Down), found("b", Healthy)]);
        assert_eq!(one.status, Degraded);
        assert_eq!(one.message, "1 of 2 replicas cannot be used; a: says a");
        let none = summary(vec![found("a", Down), found("b", Down)]);
        assert_eq!((none.status, none.message.as_str()), (Down, "says a"));
        assert_eq!(summary(Vec::new()).status, Down);
    }

    #[test]
    fn a_status_that_the_contract_does_not_know_is_down_and_named() {
        for (said, status) in [
            ("healthy", PluginStatus::Healthy),
            ("degraded", PluginStatus::Degraded),
            ("down", PluginStatus::Down),
            ("HEALTHY", PluginStatus::Down),
            ("SERVING", PluginStatus::Down),
            ("", PluginStatus::Down),
        ] {
            let response = HealthCheckResponse {
                status: said.to_owned(),
                message: "so it goes".to_owned(),
            };
            let (found, message) = read(&response);
            assert_eq!(found, status, "{said}");
            assert!(message.ends_with("so it goes"), "{message}");
        }
        let response = HealthCheckResponse {
            status: "SERVING".to_owned(),
            message: String::new(),
        };
        assert_eq!(
            read(&response).1,
            "its status is \"SERVING\", which is none of healthy, degraded and down"
        );
    }
}
