//! What stands between a call and its handler: limits, deadlines, panics, the end of the process.
//!
//! A call is open until the last piece of its answer is sent. That is what draining waits for,
//! what the limit on calls counts, and what keeps an idle plugin from being one.

mod body;
mod message_limit;
mod tracker;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use http::{HeaderMap, Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;
use tracing::{Instrument, Span};

use body::{Ends, GuardedBody};
use message_limit::LimitedBody;
pub(crate) use message_limit::too_large;
use tracker::OpenCall;
pub(crate) use tracker::Tracker;

/// How long a call waits for room.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(5);
/// The longest deadline that is looked at.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// Services of the plugin's own upkeep: with room of their own, and no work that keeps it awake.
const UPKEEP: [&str; 2] = ["/rat.plugin.v1.PluginService/", "/grpc.health.v1.Health/"];
/// What of it may stay open for as long as its caller likes.
const WATCHING: [&str; 3] = [
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];
/// Calls of each of those two at a time.
const UPKEEP_CALLS: usize = 64;

/// How much and how long.
#[derive(Debug, Clone)]
pub(crate) struct CallLimits {
    /// Calls at a time.
    pub(crate) calls: usize,
    /// How long a handler may take until its answer begins.
    pub(crate) handler: Duration,
    /// How long streams may go on after the plugin was asked to end.
    pub(crate) streams: Duration,
    /// Largest message of a request.
    pub(crate) message: usize,
    /// Services that take larger ones.
    pub(crate) larger: Vec<(&'static str, usize)>,
}

impl CallLimits {
    /// The largest message that a service takes.
    pub(crate) fn message_of(&self, service: &str) -> usize {
        let larger = self.larger.iter().find(|(name, _)| *name == service);
        larger.map_or(self.message, |(_, limit)| *limit)
    }
}

/// The routes, guarded.
#[derive(Clone)]
pub(crate) struct Guard {
    routes: Routes,
    limits: CallLimits,
    room: Arc<Semaphore>,
    upkeep: Arc<Semaphore>,
    watching: Arc<Semaphore>,
    tracker: Tracker,
    shutdown: CancellationToken,
}

/// What a call holds for as long as it is open.
pub(crate) struct Held {
    _permit: OwnedSemaphorePermit,
    _open: Option<OpenCall>,
}

impl Guard {
    pub(crate) fn new(routes: Routes, limits: CallLimits, shutdown: CancellationToken) -> Self {
        Self {
            routes,
            room: Arc::new(Semaphore::new(limits.calls)),
            upkeep: Arc::new(Semaphore::new(UPKEEP_CALLS)),
            watching: Arc::new(Semaphore::new(UPKEEP_CALLS)),
            limits,
            tracker: Tracker::new(),
            shutdown,
        }
    }

    pub(crate) fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Calls a method over gRPC. `deadline` is the caller's, where it does not come as
    /// `grpc-timeout`; `held` is what the call was admitted with already.
    pub(crate) async fn call(
        &self,
        request: Request<Body>,
        deadline: Option<Instant>,
        held: Option<Held>,
    ) -> Response<Body> {
        let method = request.uri().path();
        let span = tracing::info_span!("call", method, request_id = tracing::field::Empty);
        if let Some(id) = request.headers().get("x-request-id") {
            // ratd's id of the request that it works on.
            span.record("request_id", id.to_str().unwrap_or_default());
        }
        let answer = self.answer(request, deadline, held, span.clone());
        match answer.instrument(span).await {
            Ok(response) => response,
            Err(status) => status.into_http(),
        }
    }

    async fn answer(
        &self,
        request: Request<Body>,
        deadline: Option<Instant>,
        held: Option<Held>,
        span: Span,
    ) -> Result<Response<Body>, Status> {
        let asked = grpc_timeout(request.headers())?.map(|limit| Instant::now() + limit);
        let deadline = [asked, deadline].into_iter().flatten().min();
        let path = request.uri().path();
        let held = match held {
            Some(held) => held,
            None => self.admit(path, deadline).await?,
        };
        let limit = Instant::now() + self.limits.handler;
        let until = deadline.map_or(limit, |deadline| deadline.min(limit));
        let service = path.trim_start_matches('/').split('/').next();
        let message = self.limits.message_of(service.unwrap_or_default());
        let request = request.map(|body| Body::new(LimitedBody::new(body, message)));
        let mut routes = self.routes.clone();
        let handler = AssertUnwindSafe(async move { routes.call(request).await }).catch_unwind();
        let response = match timeout_at(until, handler).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_)) => return Err(panicked()),
            Err(_) => return Err(too_late()),
        };
        Ok(response.map(|body| {
            Body::new(GuardedBody::new(
                body,
                Ends {
                    deadline,
                    shutdown: self.shutdown.clone(),
                    grace: self.limits.streams,
                },
                span,
                held,
            ))
        }))
    }

    /// Waits for room for a call of `path`, before any of its message is read.
    pub(crate) async fn admit(
        &self,
        path: &str,
        deadline: Option<Instant>,
    ) -> Result<Held, Status> {
        let is_one_of = |paths: &[&str]| paths.iter().any(|known| path.starts_with(known));
        if is_one_of(&WATCHING) {
            let permit = Arc::clone(&self.watching).try_acquire_owned();
            let permit = permit.map_err(|_| {
                Status::resource_exhausted(format!(
                    "{UPKEEP_CALLS} streams of this kind are open, which is as many as there may be"
                ))
            })?;
            return Ok(Held {
                _permit: permit,
                _open: None,
            });
        }
        let is_upkeep = is_one_of(&UPKEEP);
        let (room, size) = match is_upkeep {
            true => (&self.upkeep, UPKEEP_CALLS),
            false => (&self.room, self.limits.calls),
        };
        let latest = Instant::now() + WAIT_FOR_ROOM;
        let until = deadline.map_or(latest, |deadline| deadline.min(latest));
        match timeout_at(until, Arc::clone(room).acquire_owned()).await {
            Ok(permit) => Ok(Held {
                _permit: permit.expect("the semaphore is never closed"),
                _open: (!is_upkeep).then(|| self.tracker.open()),
            }),
            // No answer about the call: that of a token, say, would be taken for a refusal.
            Err(_) => Err(Status::unavailable(format!(
                "the plugin is busy with {size} calls, which is as many as it takes"
            ))),
        }
    }
}

/// The text of a panic stays in the plugin's log: it may hold anything.
fn panicked() -> Status {
    Status::internal("the plugin failed while it worked on this call; its log has more")
}

fn too_late() -> Status {
    Status::deadline_exceeded("the plugin did not answer within the time limit")
}

/// The caller's deadline: up to eight digits and a unit.
fn grpc_timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let malformed = || Status::invalid_argument("the header grpc-timeout is malformed");
    let text = value.to_str().map_err(|_| malformed())?;
    let unit = text.chars().last().ok_or_else(malformed)?;
    let digits = &text[..text.len() - unit.len_utf8()];
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(malformed());
    }
    let number: u64 = digits.parse().map_err(|_| malformed())?;
    let limit = match unit {
        'H' => Duration::from_secs(number * 3600),
        'M' => Duration::from_secs(number * 60),
        'S' => Duration::from_secs(number),
        'm' => Duration::from_millis(number),
        'u' => Duration::from_micros(number),
        'n' => Duration::from_nanos(number),
        _ => return Err(malformed()),
    };
    // Far enough away to be no limit, near enough to be added to a time.
    Ok(Some(limit.min(LONGEST)))
}
