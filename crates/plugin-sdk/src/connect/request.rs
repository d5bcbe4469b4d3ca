//! A Connect request as a gRPC request.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TE};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use prost_reflect::MethodDescriptor;
use tonic::Status;
use tonic::body::Body;

use super::codec::{Codec, Shape};
use super::{envelope, headers};
use crate::call::too_large;

/// Reads the whole request, at most `limit` bytes of message, and writes it as gRPC.
pub(super) async fn translate(
    request: Request<Body>,
    method: &MethodDescriptor,
    codec: Codec,
    limit: usize,
) -> Result<Request<Body>, Status> {
    let (parts, body) = request.into_parts();
    let extra = match codec.shape {
        Shape::Unary => 0,
        Shape::Streaming => envelope::HEADER,
    };
    let announced = parts.headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit + extra) {
        return Err(too_large(limit));
    }
    let bytes = collect(body, limit + extra, limit).await?;
    let message = match codec.shape {
        Shape::Unary => bytes,
        Shape::Streaming => only_message(bytes, limit)?,
    };
    let message = codec.read(message, method.input())?;
    let body = Body::new(Full::new(envelope::wrap(0, &message)));
    let mut call = Request::new(body);
    *call.method_mut() = parts.method;
    *call.uri_mut() = parts.uri;
    *call.version_mut() = http::Version::HTTP_2;
    for (name, value) in headers::metadata(&parts.headers) {
        call.headers_mut().append(name.clone(), value.clone());
    }
    let grpc = HeaderValue::from_static("application/grpc");
    call.headers_mut().insert(CONTENT_TYPE, grpc);
    let trailers = HeaderValue::from_static("trailers");
    call.headers_mut().insert(TE, trailers);
    *call.extensions_mut() = parts.extensions;
    Ok(call)
}

async fn collect(mut body: Body, most: usize, limit: usize) -> Result<Bytes, Status> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| Status::cancelled("the request broke off before it was complete"))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > most {
                return Err(too_large(limit));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

/// The message of a request whose method streams its answers: exactly one envelope.
fn only_message(bytes: Bytes, limit: usize) -> Result<Bytes, Status> {
    if envelope::announced(&bytes).is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let mut bytes = BytesMut::from(bytes);
    let (flags, message) = envelope::take(&mut bytes)
        .ok_or_else(|| Status::invalid_argument("the body is not a message in an envelope"))?;
    if flags & envelope::COMPRESSED != 0 {
        return Err(Status::invalid_argument(
            "a message is compressed although no encoding was announced",
        ));
    }
    if flags != 0 {
        return Err(Status::invalid_argument(
            "the envelope has flags that are not possible in a request",
        ));
    }
    if !bytes.is_empty() {
        return Err(Status::invalid_argument(
            "the method takes one message, and more than one was sent",
        ));
    }
    Ok(message)
}
