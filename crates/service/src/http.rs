//! The HTTP server of every daemon: HTTP/1.1 and HTTP/2 without TLS on one listener.
//!
//! hyper-util's server driven by hand, because `axum::serve` waits without end, for a client that
//! sends no header, for one that does not read its answers, and for one that never finishes while
//! the daemon drains. Here all have a limit, connections are counted, in all and by address, and
//! no task outlives [`serve`].
//!
//! Deliberately not here: limits on bodies and on the time of a handler; they differ by route and
//! are middleware of the application.

mod activity;
mod body;
mod shares;

use std::convert::Infallible;
use std::error::Error as StdError;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::listen::{Connection, Listener, Peer};
use activity::{Activity, TrackedIo, Verdict};
use body::TrackedBody;
use shares::{Share, Shares};

/// Pause after a failed `accept`: it is usually about descriptors, and they come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a new connection may take over its first request once the shutdown was asked for.
const FIRST_REQUEST: Duration = Duration::from_millis(500);
/// How often it is looked at meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// What an address may hold of however few connections.
const SMALLEST_SHARE: usize = 16;

/// How long the server waits for what, and how many it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// From a request's first byte (or from connecting) to the end of its header.
    pub header_timeout: Duration,
    /// How long a connection may lie idle between requests; `None` is without end.
    pub idle_timeout: Option<Duration>,
    /// How long a client may take nothing of what is ready for it; `None` is without end. An
    /// answer that the server itself has yet to continue is not ready.
    pub write_timeout: Option<Duration>,
    /// How long open requests may take after the shutdown was asked for, and what is left of a
    /// connection after it was closed gracefully.
    pub shutdown_timeout: Duration,
    /// Connections served at a time; further ones wait in the system's backlog. Over TCP one
    /// address has a quarter of them, and at least 16; what it opens beyond is closed at once.
    pub max_connections: usize,
    /// Whether HTTP/1.1 is spoken too; gRPC needs HTTP/2 alone.
    pub http1: bool,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Some(Duration::from_secs(120)),
            write_timeout: Some(Duration::from_secs(30)),
            shutdown_timeout: Duration::from_secs(15),
            max_connections: 1024,
            http1: true,
        }
    }
}

/// Serves `service` on `listener` until `shutdown` is cancelled, then lets open requests finish
/// for at most [`HttpLimits::shutdown_timeout`]. What is still open then is cut off.
///
/// Every request carries the connection's [`Peer`] in its extensions.
pub async fn serve<S, B>(
    listener: Listener,
    service: S,
    limits: HttpLimits,
    shutdown: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let builder = Arc::new(builder(&limits));
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let shares = Shares::new((limits.max_connections / 4).max(SMALLEST_SHARE));
    let mut connections = JoinSet::new();
    while let Some((connection, permit)) = next(&listener, &permits, &shutdown).await {
        while connections.try_join_next().is_some() {}
        let Some(share) = shares.take(connection.peer()) else {
            continue;
        };
        let task = ConnectionTask {
            service: service.clone(),
            limits,
            shutdown: shutdown.clone(),
            builder: Arc::clone(&builder),
            _held: (permit, share),
        };
        connections.spawn(task.run(connection));
    }
    drop(listener);
    let drained = timeout(limits.shutdown_timeout, async {
        while connections.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "cutting off connections at shutdown"
        );
        connections.shutdown().await;
    }
}

fn builder(limits: &HttpLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(Duration::from_secs(20))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_concurrent_streams(1024);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None);
    if limits.http1 {
        builder
    } else {
        builder.http2_only()
    }
}

/// The next connection, or `None` once the shutdown was asked for.
async fn next(
    listener: &Listener,
    permits: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(Connection, OwnedSemaphorePermit)> {
    shutdown
        .run_until_cancelled(async {
            let permit = Arc::clone(permits)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            loop {
                match listener.accept().await {
                    Ok(connection) => return (connection, permit),
                    Err(error) => {
                        tracing::warn!(%error, "failed to accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        })
        .await
}

struct ConnectionTask<S> {
    service: S,
    limits: HttpLimits,
    shutdown: CancellationToken,
    builder: Arc<auto::Builder<TokioExecutor>>,
    _held: (OwnedSemaphorePermit, Share),
}

impl<S, B> ConnectionTask<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    async fn run(self, connection: Connection) {
        let peer = connection.peer();
        let activity = Arc::new(Activity::new());
        let io = TokioIo::new(TrackedIo::new(connection, Arc::clone(&activity)));
        let service = TrackedService {
            service: self.service,
            peer,
            activity: Arc::clone(&activity),
        };
        let mut served = pin!(self.builder.serve_connection(io, service));
        let mut shutting_down = pin!(shut_down(&self.shutdown, &activity));
        let mut draining: Option<Instant> = None;
        let mut next_look = activity.next_look(&self.limits);
        loop {
            tokio::select! {
                result = served.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(?peer, %error, "connection ended with an error");
                    }
                    return;
                }
                () = shutting_down.as_mut(), if draining.is_none() => {
                    draining = Some(Instant::now());
                    served.as_mut().graceful_shutdown();
                }
                () = sleep_until(next_look) => {
                    let now = Instant::now();
                    let verdict = activity.verdict(&self.limits, now);
                    match verdict {
                        Verdict::Fine => {}
                        Verdict::Idle | Verdict::Stalled => match draining {
                            None => {
                                draining = Some(now);
                                served.as_mut().graceful_shutdown();
                            }
                            Some(since) if now >= since + self.limits.shutdown_timeout => {
                                tracing::debug!(?peer, ?verdict, "a closed connection did not end");
                                return;
                            }
                            Some(_) => {}
                        },
                        Verdict::HeaderTimeout | Verdict::WriteTimeout => {
                            tracing::debug!(?peer, ?verdict, "cut off a connection");
                            return;
                        }
                    }
                    next_look = activity.next_look(&self.limits);
                }
            }
        }
    }
}

/// Waits for the moment in which a connection is to be closed gracefully.
///
/// hyper drops a connection of which it has not read the first bytes yet. Its client connected
/// before the shutdown and may have sent its request already, so it gets a moment.
async fn shut_down(shutdown: &CancellationToken, activity: &Activity) {
    shutdown.cancelled().await;
    let until = Instant::now() + FIRST_REQUEST;
    while activity.is_new() && Instant::now() < until {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The service with the peer in each request, and the activity told of each request.
struct TrackedService<S> {
    service: S,
    peer: Peer,
    activity: Arc<Activity>,
}

type Answer<B> = Pin<Box<dyn Future<Output = Result<Response<B>, Infallible>> + Send>>;

impl<S, B> hyper::service::Service<Request<Incoming>> for TrackedService<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
{
    type Response = Response<TrackedBody<B>>;
    type Error = Infallible;
    type Future = Answer<TrackedBody<B>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let version = request.version();
        let guard = self.activity.begin(version);
        request.extensions_mut().insert(self.peer);
        let mut service = self.service.clone();
        Box::pin(async move {
            std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
            let response = service.call(request).await?;
            Ok(response.map(|body| TrackedBody::new(body, guard, version)))
        })
    }
}
