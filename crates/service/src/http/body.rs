//! A response's body that tells whether its client takes it.
//!
//! An HTTP/2 client that opens no window leaves a response where nobody sees it: nothing is
//! pending on the socket, and hyper does not ask the body for more. So the body itself notes since
//! when it has been waiting to be asked. It is handed on in small pieces, so that a slow client
//! that takes a long response is seen to take it.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Version;
use hyper::body::{Body, Buf, Bytes, Frame, SizeHint};

use super::activity::OpenRequest;

/// What a client has to take within the write time-out, in bytes.
const PIECE: usize = 16 * 1024;

/// A response body that keeps its request open until it is sent or given up.
pub(super) struct TrackedBody<B> {
    body: Pin<Box<B>>,
    /// What is left of the last frame.
    rest: Bytes,
    open: OpenRequest,
    /// Of HTTP/1 the socket tells enough.
    watched: bool,
}

impl<B> TrackedBody<B> {
    pub(super) fn new(body: B, open: OpenRequest, version: Version) -> Self {
        let watched = version == Version::HTTP_2;
        if watched {
            open.offers();
        }
        Self {
            body: Box::pin(body),
            rest: Bytes::new(),
            open,
            watched,
        }
    }

    /// The next piece of `data`.
    fn piece(&mut self, mut data: Bytes) -> Bytes {
        let piece = data.split_to(data.len().min(PIECE));
        self.rest = data;
        piece
    }
}

impl<B: Body> Body for TrackedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let rest = std::mem::take(&mut self.rest);
        let polled = if rest.is_empty() {
            self.body.as_mut().poll_frame(cx)
        } else {
            let piece = self.piece(rest);
            self.open.offers();
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        };
        if self.watched {
            match &polled {
                Poll::Ready(_) => self.open.offers(),
                Poll::Pending => self.open.prepares(),
            }
        }
        polled.map_ok(|frame| {
            let frame = frame.map_data(|mut data| data.copy_to_bytes(data.remaining()));
            if !self.watched {
                return frame;
            }
            match frame.into_data() {
                Ok(data) => Frame::data(self.piece(data)),
                Err(frame) => frame,
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
