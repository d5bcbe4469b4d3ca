//! How much of a request's body is read at most.
//!
//! A declared length over the limit is refused before a byte is read; a body without a declared
//! length breaks off at the limit, and the extractor that was reading it answers 413.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::Limited;

use super::envelope::is_iceberg;
use crate::fault::Fault;
use crate::route;

/// What a multipart envelope may add to the file it carries.
const MULTIPART_OVERHEAD: u64 = 64 * 1024;

/// The limits, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Of a JSON body under `/api/v1`.
    pub(crate) json: u64,
    /// Of a table commit under `/iceberg`: a schema of many columns is longer than 1 MiB.
    pub(crate) iceberg: u64,
    /// Of an uploaded file.
    pub(crate) upload: u64,
}

/// The limit of this request's body, for extractors that report it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimit(pub(crate) u64);

/// The layer.
pub(crate) async fn apply(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let limit = if route::is_upload(&request) {
        limits.upload.saturating_add(MULTIPART_OVERHEAD)
    } else if is_iceberg(request.uri().path()) {
        limits.iceberg
    } else {
        limits.json
    };
    if declared(request.headers()).is_some_and(|length| length > limit) {
        return Fault::too_large(limit).into_response();
    }
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(BodyLimit(limit));
    let body = Body::new(Limited::new(
        body,
        usize::try_from(limit).unwrap_or(usize::MAX),
    ));
    next.run(Request::from_parts(parts, body)).await
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
