//! The answers of a streaming method.

use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost_reflect::MethodDescriptor;
use tonic::Status;
use tonic::body::Body;

use super::codec::Codec;
use super::frames::Frames;
use super::{envelope, error, headers};

/// Translates answers over gRPC as they come.
pub(super) fn answer(
    response: Response<Body>,
    method: &MethodDescriptor,
    codec: Codec,
) -> Response<Body> {
    let frames = Frames::new(response);
    let metadata: HeaderMap = headers::metadata(frames.headers())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let reader = Reader {
        frames,
        method: method.clone(),
        codec,
    };
    let body = stream::unfold(Some(reader), async |reader| {
        let mut reader = reader?;
        let (bytes, is_last) = reader.next().await;
        let rest = (!is_last).then_some(reader);
        Some((Ok::<_, Status>(Frame::data(bytes)), rest))
    });
    let mut answer = Response::new(Body::new(StreamBody::new(body)));
    *answer.headers_mut() = metadata;
    let content_type = HeaderValue::from_static(codec.content_type());
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

struct Reader {
    frames: Frames,
    method: MethodDescriptor,
    codec: Codec,
}

impl Reader {
    /// The next envelope, and whether it is the last.
    async fn next(&mut self) -> (Bytes, bool) {
        let message = self.frames.next().await;
        let written = message.and_then(|message| {
            message
                .map(|message| self.codec.write(message, self.method.output()))
                .transpose()
        });
        let ended = match written {
            Ok(Some(message)) => return (envelope::wrap(0, &message), false),
            Ok(None) => self.frames.status(),
            Err(status) => Err(status),
        };
        (end(ended.err().as_ref(), self.frames.trailers()), true)
    }
}

/// The last message of a stream: how it ended, and metadata.
pub(super) fn end(status: Option<&Status>, trailers: &HeaderMap) -> Bytes {
    let mut end = serde_json::Map::new();
    if let Some(status) = status {
        end.insert("error".to_owned(), error::to_json(status));
    }
    let mut metadata = serde_json::Map::new();
    for (name, value) in headers::metadata(trailers) {
        let Ok(value) = value.to_str() else { continue };
        let values = metadata
            .entry(name.as_str())
            .or_insert_with(|| serde_json::Value::Array(Vec::new()));
        if let Some(values) = values.as_array_mut() {
            values.push(value.into());
        }
    }
    if !metadata.is_empty() {
        end.insert("metadata".to_owned(), metadata.into());
    }
    envelope::wrap(
        envelope::END,
        serde_json::Value::Object(end).to_string().as_bytes(),
    )
}
