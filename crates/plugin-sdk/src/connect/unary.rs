//! The answer of a unary method.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::Full;
use prost_reflect::MethodDescriptor;
use tonic::Status;
use tonic::body::Body;

use super::codec::Codec;
use super::frames::Frames;
use super::{error, headers};

/// Translates an answer over gRPC. An error in it becomes an answer as well, with its metadata.
pub(super) async fn answer(
    response: Response<Body>,
    method: &MethodDescriptor,
    codec: Codec,
) -> Result<Response<Body>, Status> {
    let mut frames = Frames::new(response);
    let message = frames.next().await?;
    if message.is_some() {
        // Reads the trailers.
        let second = frames.next().await?;
        if second.is_some() {
            return Err(Status::internal("the method answered twice"));
        }
    }
    let mut answer = match (frames.status(), message) {
        (Err(status), _) => error::unary(&status),
        (Ok(()), None) => return Err(Status::internal("the method did not answer")),
        (Ok(()), Some(message)) => {
            let message = codec.write(message, method.output())?;
            let mut answer = Response::new(Body::new(Full::new(message)));
            let content_type = HeaderValue::from_static(codec.content_type());
            answer.headers_mut().insert(CONTENT_TYPE, content_type);
            answer
        }
    };
    copy(frames.headers(), frames.trailers(), answer.headers_mut());
    Ok(answer)
}

/// Metadata goes into headers, that of the end with a prefix.
fn copy(initial: &HeaderMap, trailing: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in headers::metadata(initial) {
        to.append(name.clone(), value.clone());
    }
    for (name, value) in headers::metadata(trailing) {
        if let Ok(name) = HeaderName::try_from(format!("trailer-{name}")) {
            to.append(name, value.clone());
        }
    }
}
