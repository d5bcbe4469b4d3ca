//! An answer that is being sent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tracing::Span;

use super::{Held, panicked, too_late};

type End = Pin<Box<dyn Future<Output = Status> + Send>>;

/// What ends an answer before it is complete.
pub(super) struct Ends {
    pub(super) deadline: Option<Instant>,
    pub(super) shutdown: CancellationToken,
    /// How long it may go on after the shutdown was asked for.
    pub(super) grace: Duration,
}

impl Ends {
    async fn wait(self) -> Status {
        let deadline = async {
            match self.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let stopped = async {
            self.shutdown.cancelled().await;
            sleep(self.grace).await;
        };
        tokio::select! {
            () = deadline => too_late(),
            () = stopped => Status::unavailable("the plugin is being stopped"),
        }
    }
}

/// The body of an answer: ends at the deadline, survives a panic of the stream behind it, and
/// keeps its call open until it is dropped.
pub(super) struct GuardedBody {
    /// `None` once it has ended.
    body: Option<Body>,
    end: End,
    span: Span,
    _held: Held,
}

impl GuardedBody {
    pub(super) fn new(body: Body, ends: Ends, span: Span, held: Held) -> Self {
        Self {
            body: Some(body),
            end: Box::pin(ends.wait()),
            span,
            _held: held,
        }
    }

    fn finish(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.body = None;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(
            status
                .add_header(&mut trailers)
                .map(|()| Frame::trailers(trailers)),
        ))
    }
}

impl hyper::body::Body for GuardedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = this.body.as_mut() else {
            return Poll::Ready(None);
        };
        // First: a stream that always has something to say would never be ended.
        if let Poll::Ready(status) = this.end.as_mut().poll(cx) {
            return this.finish(&status);
        }
        let polled = this
            .span
            .in_scope(|| catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(cx))));
        match polled {
            Ok(Poll::Ready(None)) => {
                this.body = None;
                Poll::Ready(None)
            }
            Ok(polled) => polled,
            Err(_) => this.finish(&panicked()),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
