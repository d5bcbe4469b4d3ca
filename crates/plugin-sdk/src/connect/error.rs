//! A status in the words of Connect.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use prost::Message;
use rat_proto::code::connect_name;
use serde_json::{Value, json};
use tonic::body::Body;
use tonic::{Code, Status};

use super::codec::{Codec, Shape};
use super::stream;

/// The name of a code in Connect's JSON.
pub(super) fn code_name(code: Code) -> &'static str {
    match code {
        // An error that says it is none.
        Code::Ok => connect_name(Code::Unknown),
        code => connect_name(code),
    }
}

/// The HTTP status of a unary answer with this code.
pub fn http_status(code: Code) -> StatusCode {
    let number = match code {
        Code::Ok => 200,
        Code::Cancelled => 499,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
        Code::DeadlineExceeded => 504,
        Code::NotFound => 404,
        Code::AlreadyExists | Code::Aborted => 409,
        Code::PermissionDenied => 403,
        Code::ResourceExhausted => 429,
        Code::Unimplemented => 501,
        Code::Unknown | Code::Internal | Code::DataLoss => 500,
        Code::Unavailable => 503,
        Code::Unauthenticated => 401,
    };
    StatusCode::from_u16(number).expect("each of them is a status")
}

/// `google.rpc.Status`, in which gRPC carries the details of an error.
#[derive(Clone, PartialEq, prost::Message)]
struct DetailedStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// The error as JSON.
pub(super) fn to_json(status: &Status) -> Value {
    let mut error = json!({"code": code_name(status.code())});
    if !status.message().is_empty() {
        error["message"] = status.message().into();
    }
    let details = DetailedStatus::decode(status.details()).unwrap_or_default();
    if !details.details.is_empty() {
        let details = details.details.iter().map(|detail| {
            let name = detail.type_url.rsplit('/').next().unwrap_or_default();
            json!({"type": name, "value": STANDARD_NO_PAD.encode(&detail.value)})
        });
        error["details"] = details.collect();
    }
    error
}

/// The answer of a unary method that failed.
pub(super) fn unary(status: &Status) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(Bytes::from(
        to_json(status).to_string(),
    ))));
    *response.status_mut() = http_status(status.code());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// The answer of a method that failed before it began, in the shape that the caller expects.
pub(super) fn in_shape(status: &Status, codec: Codec) -> Response<Body> {
    match codec.shape {
        Shape::Unary => unary(status),
        Shape::Streaming => {
            let end = stream::end(Some(status), &HeaderMap::new());
            let mut response = Response::new(Body::new(Full::new(end)));
            let content_type = HeaderValue::from_static(codec.content_type());
            response.headers_mut().insert(CONTENT_TYPE, content_type);
            response
        }
    }
}

/// Refuses a content type, and says which ones there are.
pub(super) fn unsupported_media_type(sent: Option<&HeaderValue>, shape: Shape) -> Response<Body> {
    let known = shape.content_types().join(" or ");
    let sent = match sent.and_then(|sent| sent.to_str().ok()) {
        Some(sent) => format!("Content-Type {sent:?} is not taken here"),
        None => "the request has no Content-Type".to_owned(),
    };
    let status = Status::invalid_argument(format!("{sent}: send {known}"));
    let mut response = unary(&status);
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let accept = HeaderValue::from_str(&shape.content_types().join(", "));
    let name = HeaderName::from_static("accept-post");
    response
        .headers_mut()
        .insert(name, accept.expect("content types are ASCII"));
    response
}
