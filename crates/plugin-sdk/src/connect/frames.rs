//! The messages of a gRPC answer, one after the other.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use tonic::Status;
use tonic::body::Body;

use super::envelope;

/// An answer over gRPC that is being read.
pub(super) struct Frames {
    body: Option<Body>,
    buffer: BytesMut,
    headers: HeaderMap,
    trailers: HeaderMap,
}

impl Frames {
    pub(super) fn new(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            body: Some(body),
            buffer: BytesMut::new(),
            headers: parts.headers,
            trailers: HeaderMap::new(),
        }
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What came after the last message.
    pub(super) fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }

    /// The next message; `None` after the last one, when [`Self::status`] is known.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some((flags, message)) = envelope::take(&mut self.buffer) {
                return match flags {
                    0 => Ok(Some(message)),
                    _ => Err(broken()),
                };
            }
            let Some(body) = self.body.as_mut() else {
                return Ok(None);
            };
            match body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(frame) => {
                        let trailers = frame.into_trailers();
                        self.trailers.extend(trailers.unwrap_or_default());
                    }
                },
                Some(Err(status)) => return Err(status),
                None => {
                    self.body = None;
                    if !self.buffer.is_empty() {
                        return Err(broken());
                    }
                }
            }
        }
    }

    /// How the call ended.
    pub(super) fn status(&self) -> Result<(), Status> {
        let status = Status::from_header_map(&self.trailers)
            .or_else(|| Status::from_header_map(&self.headers));
        match status {
            Some(status) if status.code() == tonic::Code::Ok => Ok(()),
            Some(status) => Err(status),
            None => Err(broken()),
        }
    }
}

fn broken() -> Status {
    Status::internal("the answer broke off before it was complete")
}
