//! Metrics in the text format of OpenMetrics 1.0, which Prometheus reads.

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

use crate::access::Access;
use crate::state::AppState;

const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) async fn metrics(State(state): State<AppState>, _: Access) -> impl IntoResponse {
    // The last one brings the end mark.
    let mut text = state.audit.metrics();
    text += &state.plugins.metrics();
    ([(CONTENT_TYPE, TEXT)], text)
}
