//! What a connection is doing, so that a slow header and an idle connection get different limits.
//!
//! hyper has one timer for both: with it, either an idle keep-alive connection is closed after the
//! header's ten seconds (and meets the client's next request half-way), or a header may take two
//! minutes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Version;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::HttpLimits;
use crate::listen::Connection;

/// Shared by a connection's task, its stream and its requests.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Requests whose response is not yet sent to its end.
    open: usize,
    /// Since when no request is open.
    idle_since: Instant,
    /// When the first byte of the next header came; `None` between requests.
    header_since: Option<Instant>,
    /// HTTP/2 has frames between requests, so bytes there do not begin a header.
    http2: bool,
}

/// What to do about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Fine,
    /// Close it gracefully.
    Idle,
    /// Close it.
    HeaderTimeout,
}

impl Activity {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(State {
            open: 0,
            idle_since: now,
            // A new connection has to say something.
            header_since: Some(now),
            http2: false,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request's header is complete. The request is open until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> OpenRequest {
        let mut state = self.state();
        state.open += 1;
        state.header_since = None;
        state.http2 = version == Version::HTTP_2;
        OpenRequest(Arc::clone(self))
    }

    fn received(&self) {
        let mut state = self.state();
        if state.open == 0 && !state.http2 && state.header_since.is_none() {
            state.header_since = Some(Instant::now());
        }
    }

    pub(super) fn verdict(&self, limits: &HttpLimits, now: Instant) -> Verdict {
        let state = self.state();
        if state.open > 0 {
            return Verdict::Fine;
        }
        if let Some(since) = state.header_since {
            let late = now >= since + limits.header_timeout;
            return if late {
                Verdict::HeaderTimeout
            } else {
                Verdict::Fine
            };
        }
        match limits.idle_timeout {
            Some(limit) if now >= state.idle_since + limit => Verdict::Idle,
            _ => Verdict::Fine,
        }
    }

    /// When the verdict is worth asking for again: often enough that a header is at most a
    /// quarter late.
    pub(super) fn next_look(&self, limits: &HttpLimits) -> Instant {
        Instant::now() + (limits.header_timeout / 4).max(Duration::from_millis(1))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct OpenRequest(Arc<Activity>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open -= 1;
        state.idle_since = Instant::now();
    }
}

/// A response body that keeps its request open until it is sent or given up.
pub(super) struct TrackedBody<B> {
    body: Pin<Box<B>>,
    _open: OpenRequest,
}

impl<B> TrackedBody<B> {
    pub(super) fn new(body: B, open: OpenRequest) -> Self {
        Self {
            body: Box::pin(body),
            _open: open,
        }
    }
}

impl<B: Body> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.body.as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that tells when bytes came in.
#[derive(Debug)]
pub(super) struct TrackedIo {
    connection: Connection,
    activity: Arc<Activity>,
}

impl TrackedIo {
    pub(super) fn new(connection: Connection, activity: Arc<Activity>) -> Self {
        Self {
            connection,
            activity,
        }
    }
}

impl AsyncRead for TrackedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.connection).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        polled
    }
}

impl AsyncWrite for TrackedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> HttpLimits {
        HttpLimits {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Some(Duration::from_secs(120)),
            ..HttpLimits::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_and_an_idle_connection_have_limits_of_their_own() {
        let activity = Arc::new(Activity::new());
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert_eq!(
            activity.verdict(&limits(), after(10)),
            Verdict::HeaderTimeout
        );
        let open = activity.begin(Version::HTTP_11);
        activity.received();
        assert_eq!(activity.verdict(&limits(), after(1000)), Verdict::Fine);
        drop(open);
        assert_eq!(activity.verdict(&limits(), after(119)), Verdict::Fine);
        assert_eq!(activity.verdict(&limits(), after(120)), Verdict::Idle);
        activity.received();
        assert_eq!(
            activity.verdict(&limits(), after(10)),
            Verdict::HeaderTimeout
        );
    }

    #[tokio::test(start_paused = true)]
    async fn frames_between_http2_requests_do_not_begin_a_header() {
        let activity = Arc::new(Activity::new());
        drop(activity.begin(Version::HTTP_2));
        activity.received();
        let soon = Instant::now() + Duration::from_secs(11);
        assert_eq!(activity.verdict(&limits(), soon), Verdict::Fine);
    }
}
