//! How much of a request's body is read at most.
//!
//! A declared length over the limit is refused before a byte is read; a body without a declared
//! length breaks off at the limit, and the extractor that was reading it answers 413.
//!
//! Many clients read the answer only when they have sent everything. What they send of a refused
//! body is taken and thrown away for a short while, or they would see a broken connection instead
//! of the reason.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body_util::{BodyExt as _, Limited};

use super::envelope::is_iceberg;
use crate::fault::Fault;
use crate::route;

/// What a multipart envelope may add to the file it carries.
const MULTIPART_OVERHEAD: u64 = 64 * 1024;

/// How much of a refused body is taken, and for how long.
const LINGER_BYTES: usize = 64 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(2);

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
        if !request.headers().contains_key(EXPECT) {
            // Time over, too much or broken off: the answer is the same.
            let _ = tokio::time::timeout(LINGER, discard(request.into_body())).await;
        }
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

async fn discard(mut body: Body) {
    let mut taken = 0;
    while taken < LINGER_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        taken += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
