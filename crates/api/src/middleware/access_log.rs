//! One span around every request and one event at its end.
//!
//! A request whose caller went away ends by being dropped; it is logged too, as 499. Health
//! probes that went well are logged as `debug`: they come every few seconds and say nothing.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use super::client_address::ClientAddress;
use super::request_id::RequestId;
use crate::fault::client_closed_request;
use crate::route;

/// The layer.
pub(crate) async fn record(request: Request, next: Next) -> Response {
    let id = request
        .extensions()
        .get::<RequestId>()
        .map_or("", RequestId::as_str);
    let address = request
        .extensions()
        .get::<ClientAddress>()
        .map(ClientAddress::to_string);
    let span = tracing::info_span!(
        "request",
        request_id = id,
        method = %request.method(),
        path = request.uri().path(),
        client = address.as_deref().unwrap_or("unknown"),
    );
    async move {
        let mut line = Line {
            started: Instant::now(),
            status: client_closed_request().as_u16(),
            probe: route::is_health(request.uri().path()),
        };
        let response = next.run(request).await;
        line.status = response.status().as_u16();
        response
    }
    .instrument(span)
    .await
}

/// Writes the line when the request is over, however it ended.
struct Line {
    started: Instant,
    status: u16,
    probe: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        let duration_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let status = self.status;
        match status {
            500.. => tracing::warn!(status, duration_us, "request finished"),
            _ if self.probe => tracing::debug!(status, duration_us, "request finished"),
            _ => tracing::info!(status, duration_us, "request finished"),
        }
    }
}
