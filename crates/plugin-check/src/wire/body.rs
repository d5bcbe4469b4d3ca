//! The body of a request: some bytes, and then the end or nothing for ever.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A request's body.
#[derive(Debug)]
pub(crate) struct Outgoing {
    bytes: Option<Bytes>,
    ends: bool,
}

impl Outgoing {
    /// A whole body.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self {
            bytes: Some(bytes),
            ends: true,
        }
    }

    /// A body that begins and never ends.
    pub(crate) fn unending(bytes: Bytes) -> Self {
        Self {
            bytes: Some(bytes),
            ends: false,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.ends => Poll::Ready(None),
            // Whoever waits for the rest gives up by dropping the call.
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ends && self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.bytes, self.ends) {
            (Some(bytes), true) => SizeHint::with_exact(bytes.len() as u64),
            (None, true) => SizeHint::with_exact(0),
            (_, false) => SizeHint::new(),
        }
    }
}
