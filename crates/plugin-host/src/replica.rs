//! One replica of a plugin: its connection, made when it is needed and again when it is gone.
//!
//! A new connection begins with what a plugin may have to be told after a restart: its
//! configuration. Nothing else is sent on it before that is answered. Of many callers that find no
//! connection one makes it and the others wait for what comes of that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use crate::call::{Cause, Method};
use crate::dial::Endpoint;
use crate::greeting::{Greeter, Greeting};
use crate::session::{Messages, Session, Wire};

/// Connections made before a plugin counts as out of reach whose connections end before the
/// greeting is answered.
const TRIES: usize = 3;

/// A connection, and what was said at its beginning.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) session: Session,
    pub(crate) greeting: Greeting,
    /// When that was.
    pub(crate) at: Instant,
}

#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) endpoint: Endpoint,
    wire: Arc<Wire>,
    greeter: Arc<Greeter>,
    live: ArcSwapOption<Live>,
    /// When connecting last failed, and why.
    connecting: Mutex<Option<(Instant, Cause)>>,
    /// Whether calls go here: the last check found it well, and none has failed since.
    serving: AtomicBool,
    /// Asks for a check: another process may answer on a new connection.
    wake: Arc<Notify>,
}

impl Replica {
    pub(crate) fn new(
        endpoint: Endpoint,
        wire: Arc<Wire>,
        greeter: Arc<Greeter>,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            wake,
            endpoint,
            wire,
            greeter,
            live: ArcSwapOption::empty(),
            connecting: Mutex::new(None),
            serving: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    pub(crate) fn set_serving(&self, serving: bool) {
        if self.is_serving() != serving {
            self.serving.store(serving, Ordering::Release);
        }
    }

    /// The connection, made if there is none.
    pub(crate) async fn live(&self) -> Result<Arc<Live>, Cause> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let asked = Instant::now();
        let mut failed = self.connecting.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        if let Some((at, cause)) = &*failed
            && *at >= asked
        {
            return Err(cause.clone());
        }
        match self.connect().await {
            Ok(live) => {
                let live = Arc::new(live);
                let before = self.live.swap(Some(Arc::clone(&live)));
                *failed = None;
                // A check that makes the connection itself finds the same.
                if before.is_none_or(|before| before.greeting != live.greeting) {
                    self.wake.notify_one();
                }
                Ok(live)
            }
            Err(cause) => {
                self.live.store(None);
                *failed = Some((Instant::now(), cause.clone()));
                Err(cause)
            }
        }
    }

    fn current(&self) -> Option<Arc<Live>> {
        let live = self.live.load();
        live.as_ref()
            .filter(|live| !live.session.is_over())
            .cloned()
    }

    /// A plugin that ends takes a last connection and ends before it answers: its socket outlives
    /// it, so the next connection is its successor's.
    async fn connect(&self) -> Result<Live, Cause> {
        let mut tries = 1;
        loop {
            let cause = match self.open().await {
                Ok(live) => return Ok(live),
                Err(cause) => cause,
            };
            let cause = match cause {
                // Nothing but the greeting was sent: no call was heard.
                Cause::Refused(_) | Cause::Broken(_) => Cause::Unreachable(cause.to_string()),
                cause => return Err(cause),
            };
            if tries == TRIES {
                return Err(cause);
            }
            tries += 1;
            tracing::debug!(
                target: "rat::plugins", plugin = %self.wire.who, endpoint = %self.endpoint, %cause,
                "an attempt failed"
            );
        }
    }

    async fn open(&self) -> Result<Live, Cause> {
        let session = Session::open(&self.wire, &self.endpoint).await?;
        let greeting = self.greeter.greet(&session).await?;
        let at = Instant::now();
        Ok(Live {
            session,
            greeting,
            at,
        })
    }

    /// Gives the connection up on which the plugin refused its configuration, if it was `before`
    /// then: the next one begins with it again.
    pub(crate) fn forget_refusal(&self, before: Instant) {
        let live = self.live.load();
        let is_refusal = |live: &Arc<Live>| live.greeting.refused.is_some() && live.at <= before;
        if live.as_ref().is_some_and(is_refusal) {
            self.hang_up();
        }
    }

    /// Gives the connection up: what was asked on it last was not answered in time.
    pub(crate) fn hang_up(&self) {
        self.live.store(None);
    }

    pub(crate) async fn unary(
        &self,
        method: Method,
        message: &Bytes,
        deadline: Instant,
    ) -> Result<Bytes, Cause> {
        let live = self.configured().await?;
        let answer = live.session.unary(method, message, deadline).await;
        self.note(answer.as_ref().err());
        answer
    }

    pub(crate) async fn stream(&self, method: Method, message: &Bytes) -> Result<Messages, Cause> {
        let live = self.configured().await?;
        let answer = live.session.stream(method, message).await;
        self.note(answer.as_ref().err());
        answer
    }

    /// The connection to a plugin that took its configuration.
    async fn configured(&self) -> Result<Arc<Live>, Cause> {
        let live = match self.live().await {
            Ok(live) => live,
            Err(cause) => {
                self.set_serving(false);
                return Err(cause);
            }
        };
        match &live.greeting.refused {
            None => Ok(live),
            Some(message) => {
                self.set_serving(false);
                Err(Cause::Misconfigured(message.clone()))
            }
        }
    }

    /// What the end of a call says about the replica.
    fn note(&self, failed: Option<&Cause>) {
        match failed {
            None => self.set_serving(true),
            Some(cause) if cause.is_about_the_connection() => self.set_serving(false),
            Some(_) => {}
        }
    }
}
