//! The keys as they are known, and the task that keeps them so.
//!
//! One rule for the beginning and for an outage: a number of attempts at short intervals, then one
//! a minute. Keys that were fetched once stay until the provider says something else.
//!
//! Only that task asks the provider. A token whose key nobody knows is a wish: the task is woken, once
//! in a while, and whoever wishes waits for a bounded time. So a provider that hangs costs nobody
//! more than that, and a refresh that failed is repeated at the short interval whoever asked for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use rat_plugin_sdk::Health;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::config::Times;
use crate::keys::Keys;
use crate::provider::Provider;

/// Calls that wait for a refresh at a time. The rest is refused, so that nobody who is known has
/// to wait behind them.
const MAX_WAITING: usize = 64;
/// How long a call waits for a refresh; ratd gives up after 10 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// A handle on the keys; the task ends with it.
#[derive(Debug)]
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    _upkeep: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Shared {
    provider: Provider,
    times: Times,
    state: ArcSwap<State>,
    waiting: Semaphore,
    /// How often a key was wished for that nobody knew.
    wishes: watch::Sender<u64>,
    /// How many of these there were when the last refresh began; tells the end of every refresh.
    answered: watch::Sender<u64>,
    last_wish: Mutex<Option<Instant>>,
}

/// What is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    fetched: Option<Fetched>,
    failure: Option<Failure>,
}

#[derive(Debug, Clone)]
struct Fetched {
    keys: Arc<Keys>,
    at: Instant,
}

#[derive(Debug, Clone)]
struct Failure {
    reason: String,
    attempts: u32,
}

impl State {
    /// The keys, once there are any; even none is an answer.
    pub(crate) fn keys(&self) -> Option<&Arc<Keys>> {
        self.fetched.as_ref().map(|fetched| &fetched.keys)
    }
}

impl Keeper {
    /// Begins to keep keys, with what is known already.
    pub(crate) fn start(provider: Provider, times: Times, known: State) -> Self {
        let shared = Arc::new(Shared {
            provider,
            times,
            state: ArcSwap::from_pointee(known),
            waiting: Semaphore::new(MAX_WAITING),
            wishes: watch::Sender::new(0),
            answered: watch::Sender::new(0),
            last_wish: Mutex::new(None),
        });
        let upkeep = tokio::spawn(Arc::clone(&shared).keep());
        Self {
            shared,
            _upkeep: AbortOnDropHandle::new(upkeep),
        }
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.shared.state.load_full()
    }

    /// Has the provider asked for a key that nobody knows: once in a while, however many wish it.
    /// Returns when it is known, when it will not be, or when it was waited for long enough.
    pub(crate) async fn look_again(&self, is_known: impl Fn(&Keys) -> bool) {
        let shared = &self.shared;
        let Some(wish) = shared.wish() else {
            return;
        };
        let Ok(_place) = shared.waiting.try_acquire() else {
            return;
        };
        let mut answered = shared.answered.subscribe();
        let is_settled = |answered: &u64| {
            let state = shared.state.load();
            *answered >= wish || state.keys().is_some_and(|keys| is_known(keys))
        };
        // Late is as good as not at all.
        let _ = timeout(PATIENCE, answered.wait_for(is_settled)).await;
    }

    pub(crate) fn health(&self) -> Health {
        let state = self.shared.state.load();
        let discovery = &self.shared.provider.discovery;
        match (&state.fetched, &state.failure) {
            (None, None) => Health::down(format!("asking {discovery} for its keys")),
            (None, Some(failure)) => {
                let attempt = self.shared.attempt(failure.attempts);
                Health::down(format!("no keys yet, {attempt}: {}", failure.reason))
            }
            (Some(fetched), _) if fetched.keys.len() == 0 => Health::down(format!(
                "{discovery} has no key for the algorithms that are configured"
            )),
            (Some(fetched), Some(failure)) => {
                let age = rounded(fetched.at.elapsed());
                Health::degraded(format!("the keys are {age} old: {}", failure.reason))
            }
            (Some(fetched), None) => Health::healthy(match fetched.keys.len() {
                1 => "1 key".to_owned(),
                several => format!("{several} keys"),
            }),
        }
    }
}

impl Shared {
    async fn keep(self: Arc<Self>) {
        let mut wishes = self.wishes.subscribe();
        loop {
            let wished = *wishes.borrow_and_update();
            self.refresh().await;
            self.answered.send_replace(wished);
            let state = self.state.load_full();
            let failure = state.failure.as_ref().map(|failure| failure.attempts);
            let pause = match failure {
                None => self.times.refresh,
                Some(attempts) if attempts < self.times.prefetch_attempts => self.times.prefetch,
                Some(_) => self.times.retry,
            };
            tokio::select! {
                () = sleep(pause) => {}
                _ = wishes.wait_for(|count| *count > wished) => {
                    tracing::info!("a token names a key that is not known, asking the provider");
                }
            }
        }
    }

    /// Asks the provider.
    async fn refresh(&self) {
        let before = self.state.load_full();
        let state = match self.provider.fetch().await {
            Ok(keys) => {
                if before.failure.is_some() || before.fetched.is_none() {
                    tracing::info!(keys = keys.len(), "the provider's keys are here");
                }
                State {
                    fetched: Some(Fetched {
                        keys: Arc::new(keys),
                        at: Instant::now(),
                    }),
                    failure: None,
                }
            }
            Err(error) => {
                let attempts = before
                    .failure
                    .as_ref()
                    .map_or(0, |failure| failure.attempts);
                let attempts = attempts.saturating_add(1);
                let reason = error.in_full();
                tracing::warn!(reason, attempts, "the provider's keys could not be fetched");
                State {
                    fetched: before.fetched.clone(),
                    failure: Some(Failure { reason, attempts }),
                }
            }
        };
        self.state.store(Arc::new(state));
    }

    /// The number of the wish to wait for: one that is not answered yet, whoever made it, or a new
    /// one if the last is long enough ago.
    fn wish(&self) -> Option<u64> {
        let mut last = self.last_wish.lock().expect("nobody panics with it");
        let made = *self.wishes.borrow();
        if *self.answered.borrow() < made {
            return Some(made);
        }
        if last.is_some_and(|last| last.elapsed() < self.times.unknown_key) {
            return None;
        }
        *last = Some(Instant::now());
        self.wishes.send_replace(made + 1);
        Some(made + 1)
    }

    fn attempt(&self, attempts: u32) -> String {
        match self.times.prefetch_attempts {
            most if attempts <= most => format!("attempt {attempts} of {most}"),
            _ => {
                let interval = humantime::format_duration(self.times.retry);
                format!("attempt {attempts}, now every {interval}")
            }
        }
    }
}

/// Coarse enough not to be news each time that somebody asks.
fn rounded(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{}s", seconds / 10 * 10),
        seconds @ 60..7200 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3600),
    }
}
