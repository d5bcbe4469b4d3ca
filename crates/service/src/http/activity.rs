//! What a connection is doing, so that a slow header and an idle connection get different limits.
//!
//! hyper has one timer for both: with it, either an idle keep-alive connection is closed after the
//! header's ten seconds (and meets the client's next request half-way), or a header may take two
//! minutes. And it has none for a client that does not read its answers.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Version;
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
    /// Since when the socket has taken nothing of what is to be written.
    blocked_since: Option<Instant>,
    /// Answers that wait for the client to take more of them, and since when.
    offered: HashMap<u64, Instant>,
    /// The number of the next request.
    next_request: u64,
}

/// What to do about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Fine,
    /// Close it gracefully.
    Idle,
    /// Close it gracefully: the client does not take an answer. Its others may yet be taken.
    Stalled,
    /// Close it.
    HeaderTimeout,
    /// Close it: the client does not read.
    WriteTimeout,
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
            blocked_since: None,
            offered: HashMap::new(),
            next_request: 0,
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
        let number = state.next_request;
        state.next_request += 1;
        OpenRequest {
            number,
            activity: Arc::clone(self),
        }
    }

    /// Whether no request has come yet.
    pub(super) fn is_new(&self) -> bool {
        self.state().next_request == 0
    }

    /// A write took place or did not.
    fn wrote<T>(&self, polled: &Poll<io::Result<T>>) {
        let mut state = self.state();
        if polled.is_ready() {
            state.blocked_since = None;
        } else if state.blocked_since.is_none() {
            state.blocked_since = Some(Instant::now());
        }
    }

    fn received(&self) {
        let mut state = self.state();
        if state.open == 0 && !state.http2 && state.header_since.is_none() {
            state.header_since = Some(Instant::now());
        }
    }

    pub(super) fn verdict(&self, limits: &HttpLimits, now: Instant) -> Verdict {
        let state = self.state();
        let is_over = |since: Instant| {
            let limit = limits.write_timeout;
            limit.is_some_and(|limit| now >= since + limit)
        };
        if state.blocked_since.is_some_and(is_over) {
            return Verdict::WriteTimeout;
        }
        if state.offered.values().copied().any(is_over) {
            return Verdict::Stalled;
        }
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
pub(super) struct OpenRequest {
    number: u64,
    activity: Arc<Activity>,
}

impl OpenRequest {
    /// The next piece of the answer waits for the client from now on.
    pub(super) fn offers(&self) {
        let mut state = self.activity.state();
        state.offered.insert(self.number, Instant::now());
    }

    /// The client waits for the next piece of the answer.
    pub(super) fn prepares(&self) {
        self.activity.state().offered.remove(&self.number);
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.open -= 1;
        state.offered.remove(&self.number);
        state.idle_since = Instant::now();
    }
}

/// A connection that tells when bytes came in, and when none go out.
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
        let polled = Pin::new(&mut self.connection).poll_write(cx, bytes);
        self.activity.wrote(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.connection).poll_write_vectored(cx, slices);
        self.activity.wrote(&polled);
        polled
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
            write_timeout: Some(Duration::from_secs(30)),
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

    #[tokio::test(start_paused = true)]
    async fn a_blocked_write_has_a_limit_that_every_written_byte_renews() {
        let activity = Arc::new(Activity::new());
        let _open = activity.begin(Version::HTTP_11);
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        let blocked = Poll::<io::Result<usize>>::Pending;
        activity.wrote(&blocked);
        tokio::time::advance(Duration::from_secs(20)).await;
        activity.wrote(&blocked);
        assert_eq!(
            activity.verdict(&limits(), after(10)),
            Verdict::WriteTimeout
        );
        activity.wrote(&Poll::Ready(Ok(1)));
        assert_eq!(activity.verdict(&limits(), after(1000)), Verdict::Fine);
        activity.wrote(&blocked);
        assert_eq!(activity.verdict(&limits(), after(29)), Verdict::Fine);
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_answer_that_waits_for_its_client_stalls() {
        let activity = Arc::new(Activity::new());
        let (first, second) = (
            activity.begin(Version::HTTP_2),
            activity.begin(Version::HTTP_2),
        );
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        first.offers();
        first.prepares();
        assert_eq!(activity.verdict(&limits(), after(1000)), Verdict::Fine);
        second.offers();
        assert_eq!(activity.verdict(&limits(), after(29)), Verdict::Fine);
        assert_eq!(activity.verdict(&limits(), after(30)), Verdict::Stalled);
        drop(second);
        assert_eq!(activity.verdict(&limits(), after(1000)), Verdict::Fine);
        drop(first);
    }
}
