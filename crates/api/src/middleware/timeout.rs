//! How long a request may take until its answer begins.
//!
//! Uploads have no such limit, because their time depends on their size; the handler limits the
//! time between two pieces instead. A stream's answer begins at once, so it is not cut either.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use rat_types::Kind;

use crate::fault::Fault;
use crate::route;

/// The limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Of an ordinary request.
    pub(crate) request: Duration,
    /// Of a request that waits for a query.
    pub(crate) query: Duration,
}

/// The layer.
pub(crate) async fn apply(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let limit = if route::is_upload(&request) {
        return next.run(request).await;
    } else if route::is_query(&request) {
        limits.query
    } else {
        limits.request
    };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("no answer within {} s", limit.as_secs_f32());
            Fault::new(Kind::DeadlineExceeded, message)
                .because("REQUEST_TIMEOUT")
                .into_response()
        }
    }
}
