//! The way to a plugin: all of its replicas, and the choice among them.
//!
//! Calls go round the replicas that the last check found well. One that cannot be reached is left
//! out until a check finds it again, and its call goes to the next: it was not sent. What the plugin
//! surely did not take is sent again, a few times; what it may have executed once more, if the
//! method may be executed twice. All of that happens within the one deadline of the call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, timeout, timeout_at};

use crate::call::{Cause, Method};
use crate::dial::Endpoint;
use crate::greeting::Greeter;
use crate::replica::Replica;
use crate::resolve::Target;
use crate::session::{Messages, Wire};

/// How often a call is sent again that was not taken. A plugin that is restarted refuses on the
/// connection that there is, and may once more on one that it took while it ended.
const REFUSALS: usize = 3;

#[derive(Debug)]
pub(crate) struct Connection {
    target: Target,
    wire: Arc<Wire>,
    greeter: Arc<Greeter>,
    replicas: ArcSwap<Vec<Arc<Replica>>>,
    next: AtomicUsize,
    resolved: Mutex<Option<Instant>>,
    /// Whether the last lookup failed.
    nameless: AtomicBool,
    /// Told when a replica fails.
    trouble: Arc<Notify>,
}

/// A stream within its limits.
pub(crate) struct Stream {
    messages: Messages,
    first: Option<Instant>,
    call: Duration,
    idle: Duration,
}

impl Connection {
    pub(crate) fn new(
        target: Target,
        wire: Arc<Wire>,
        greeter: Greeter,
        trouble: Arc<Notify>,
    ) -> Self {
        Self {
            target,
            wire,
            greeter: Arc::new(greeter),
            replicas: ArcSwap::default(),
            next: AtomicUsize::new(0),
            resolved: Mutex::new(None),
            nameless: AtomicBool::new(false),
            trouble,
        }
    }

    pub(crate) fn replicas(&self) -> Arc<Vec<Arc<Replica>>> {
        self.replicas.load_full()
    }

    /// Whether some replica can take a call.
    pub(crate) fn is_serving(&self) -> bool {
        self.replicas
            .load()
            .iter()
            .any(|replica| replica.is_serving())
    }

    /// Looks the replicas up if that is due, or if none is known. Those that stay keep their
    /// connections.
    ///
    /// # Errors
    /// There is none; one that was known before is kept when the lookup fails.
    pub(crate) async fn resolve(&self, due: bool) -> Result<(), String> {
        let mut resolved = self.resolved.lock().await;
        let known = self.replicas();
        let fresh = resolved.is_some_and(|at| at.elapsed() < self.wire.options.resolve);
        let settled = !self.target.is_named() || (fresh && !due);
        if !known.is_empty() && settled {
            return Ok(());
        }
        let endpoints = match self.target.endpoints(self.wire.options.dial).await {
            Ok(endpoints) => endpoints,
            Err(message) if known.is_empty() => return Err(message),
            Err(error) => {
                if !self.nameless.swap(true, Ordering::Relaxed) {
                    let plugin = &self.wire.who;
                    tracing::warn!(
                        target: "rat::plugins", %plugin, error,
                        "the addresses that are known are kept"
                    );
                }
                return Ok(());
            }
        };
        self.nameless.store(false, Ordering::Relaxed);
        *resolved = Some(Instant::now());
        let is_known = known.iter().map(|replica| &replica.endpoint).eq(&endpoints);
        if !is_known {
            let replicas = endpoints.into_iter();
            let replicas = replicas.map(|endpoint| self.replica(&known, endpoint));
            self.replicas.store(Arc::new(replicas.collect()));
        }
        Ok(())
    }

    fn replica(&self, known: &[Arc<Replica>], endpoint: Endpoint) -> Arc<Replica> {
        let mut known = known.iter();
        match known.find(|replica| replica.endpoint == endpoint) {
            Some(replica) => Arc::clone(replica),
            None => {
                let (wire, greeter) = (Arc::clone(&self.wire), Arc::clone(&self.greeter));
                let wake = Arc::clone(&self.trouble);
                Arc::new(Replica::new(endpoint, wire, greeter, wake))
            }
        }
    }

    /// One answer to one message, within the deadline of a call.
    pub(crate) async fn unary(&self, method: Method, message: Bytes) -> Result<Bytes, Cause> {
        let limit = self.wire.options.call;
        let deadline = Instant::now() + limit;
        let attempts = self.attempts(method, |replica| {
            let message = message.clone();
            async move { replica.unary(method, &message, deadline).await }
        });
        match timeout_at(deadline, attempts).await {
            Ok(answer) => answer,
            Err(_) => Err(Cause::Timeout(limit)),
        }
    }

    /// A stream of answers to one message. The time until its first message is that of a call.
    pub(crate) async fn stream(&self, method: Method, message: Bytes) -> Result<Stream, Cause> {
        let limit = self.wire.options.call;
        let deadline = Instant::now() + limit;
        let attempts = self.attempts(method, |replica| {
            let message = message.clone();
            async move { replica.stream(method, &message).await }
        });
        match timeout_at(deadline, attempts).await {
            Ok(messages) => Ok(Stream {
                messages: messages?,
                first: Some(deadline),
                call: limit,
                idle: self.wire.options.idle,
            }),
            Err(_) => Err(Cause::Timeout(limit)),
        }
    }

    async fn attempts<T, F>(
        &self,
        method: Method,
        attempt: impl Fn(Arc<Replica>) -> F,
    ) -> Result<T, Cause>
    where
        F: Future<Output = Result<T, Cause>>,
    {
        let replicas = self.replicas();
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let mut left_out: Vec<&Endpoint> = Vec::new();
        let mut unreachable = None;
        let (mut refused, mut broken) = (0, false);
        loop {
            let Some(replica) = choose(&replicas, start, &left_out) else {
                let none = || Cause::Unreachable("it has no address".to_owned());
                return Err(unreachable.unwrap_or_else(none));
            };
            let cause = match attempt(Arc::clone(replica)).await {
                Ok(answer) => return Ok(answer),
                Err(cause) => cause,
            };
            tracing::debug!(
                target: "rat::plugins", plugin = %self.wire.who, endpoint = %replica.endpoint,
                method = method.path, %cause, "an attempt failed"
            );
            if cause.is_about_the_connection() && !matches!(cause, Cause::Refused(_)) {
                self.trouble.notify_one();
            }
            match cause {
                Cause::Unreachable(_) | Cause::Misconfigured(_) => {
                    left_out.push(&replica.endpoint);
                    unreachable = Some(cause);
                }
                Cause::Refused(_) if refused < REFUSALS => refused += 1,
                Cause::Broken(_) if !broken && method.idempotent => {
                    broken = true;
                    // Where there is another one, this one has had its chance.
                    if replicas.len() > 1 {
                        left_out.push(&replica.endpoint);
                        unreachable = Some(cause);
                    }
                }
                cause => return Err(cause),
            }
        }
    }
}

/// The next replica from `start` on: one that serves, or else any that was not left out.
fn choose<'a>(
    replicas: &'a [Arc<Replica>],
    start: usize,
    left_out: &[&Endpoint],
) -> Option<&'a Arc<Replica>> {
    let count = replicas.len();
    let around = || {
        let places = (0..count).map(move |step| start.wrapping_add(step) % count);
        let around = places.map(|place| &replicas[place]);
        around.filter(|replica| !left_out.contains(&&replica.endpoint))
    };
    around()
        .find(|replica| replica.is_serving())
        .or_else(|| around().next())
}

impl Stream {
    /// The next message; `None` at the end that the plugin meant.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Cause> {
        match self.first.take() {
            Some(deadline) => match timeout_at(deadline, self.messages.next()).await {
                Ok(message) => message,
                Err(_) => Err(Cause::Timeout(self.call)),
            },
            None => match timeout(self.idle, self.messages.next()).await {
                Ok(message) => message,
                Err(_) => Err(Cause::Idle(self.idle)),
            },
        }
    }
}
