//! A limit on the messages of a request, with the status that gRPC has for it.
//!
//! tonic has such a limit too and answers OUT_OF_RANGE; everywhere else it is RESOURCE_EXHAUSTED.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// What stands before a message: a flag and its length.
const HEADER: usize = 5;

/// A request whose messages announce no more than a limit.
pub(super) struct LimitedBody {
    body: Body,
    limit: usize,
    /// As much as there is of the header that is being read.
    header: Vec<u8>,
    /// What is left of the message that is being read.
    rest: usize,
}

impl LimitedBody {
    pub(super) fn new(body: Body, limit: usize) -> Self {
        Self {
            body,
            limit,
            header: Vec::with_capacity(HEADER),
            rest: 0,
        }
    }

    fn check(&mut self, mut data: &[u8]) -> Result<(), Status> {
        while !data.is_empty() {
            if self.rest > 0 {
                let taken = self.rest.min(data.len());
                self.rest -= taken;
                data = &data[taken..];
                continue;
            }
            let taken = (HEADER - self.header.len()).min(data.len());
            self.header.extend_from_slice(&data[..taken]);
            data = &data[taken..];
            if let [_, length @ ..] = self.header.as_slice()
                && let Ok(length) = <[u8; 4]>::try_from(length)
            {
                self.header.clear();
                self.rest = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                if self.rest > self.limit {
                    return Err(too_large(self.limit));
                }
            }
        }
        Ok(())
    }
}

/// A message is larger than `limit`.
pub(crate) fn too_large(limit: usize) -> Status {
    Status::resource_exhausted(format!("the message is larger than {limit} bytes"))
}

impl hyper::body::Body for LimitedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(status) = self.check(data)
        {
            return Poll::Ready(Some(Err(status)));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(limit: usize) -> LimitedBody {
        LimitedBody::new(Body::empty(), limit)
    }

    #[test]
    fn a_header_counts_however_it_is_cut() {
        let message = [b"\0\0\0\0\x03abc".as_slice(), b"\0\0\0\0\x04abcd"].concat();
        for cut in 1..message.len() {
            let mut body = limited(3);
            let refused = message
                .chunks(cut)
                .find_map(|chunk| body.check(chunk).err())
                .unwrap();
            assert_eq!(
                refused.code(),
                tonic::Code::ResourceExhausted,
                "cut at {cut}"
            );
            let mut body = limited(4);
            assert!(message.chunks(cut).all(|chunk| body.check(chunk).is_ok()));
        }
    }
}
