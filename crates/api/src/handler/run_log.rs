//! The log of a run: as a page of JSON, or followed as server-sent events.

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue};
use rat_types::{LogEntry, LogLevel, RunStatus};
use serde::{Deserialize, Serialize};

use super::run::Id;
use crate::access::{Access, Action};
use crate::extract::{Path, Query};
use crate::fault::Fault;
use crate::log_stream;
use crate::middleware::client_address::ClientAddress;
use crate::parameter::Count;
use crate::state::AppState;
use crate::time::Time;

/// Lines of one page.
const LONGEST_PAGE: u32 = 10_000;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(Serialize)]
pub(crate) struct Line {
    seq: u64,
    timestamp: Time,
    level: LogLevel,
    message: String,
}

impl From<LogEntry> for Line {
    fn from(entry: LogEntry) -> Self {
        Self {
            seq: entry.seq,
            timestamp: entry.at.into(),
            level: entry.level,
            message: entry.message,
        }
    }
}

#[derive(Serialize)]
struct Page {
    logs: Vec<Line>,
    status: RunStatus,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    after: Option<Count>,
    limit: Option<Count>,
}

pub(crate) async fn get(
    State(state): State<AppState>,
    access: Access,
    Path(Id { run_id }): Path<Id>,
    Query(filter): Query<Filter>,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    // The status first: a run that had ended by then has written its last line.
    let run = access.run(&state, run_id, Action::Read).await?;
    let after = i64::try_from(filter.after.map_or(0, |after| after.0))
        .map_err(|_| Fault::invalid("after: must be the number of a line"))?
        .unsigned_abs();
    if wants_events(&headers) {
        let permit = state
            .memory
            .streams
            .open(address.map(|Extension(address)| address))?;
        let after = resumed_at(&headers).unwrap_or(after);
        let events = log_stream::follow(state, run_id, after, permit);
        let mut response = Sse::new(events)
            .keep_alive(KeepAlive::new().interval(log_stream::KEEP_ALIVE))
            .into_response();
        // nginx would otherwise collect the events before it passes them on.
        let name = HeaderName::from_static("x-accel-buffering");
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static("no"));
        return Ok(response);
    }
    let limit = filter.limit.map_or(LONGEST_PAGE, |limit| {
        u32::try_from(limit.0).map_or(LONGEST_PAGE, |limit| limit.clamp(1, LONGEST_PAGE))
    });
    let entries = state.store.run_logs().read(run_id, after, limit).await?;
    let logs = entries.into_iter().map(Line::from).collect();
    Ok(axum::Json(Page {
        logs,
        status: run.status,
    })
    .into_response())
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepts = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|text| text.contains("text/event-stream"))
    };
    headers.get_all(ACCEPT).iter().any(accepts)
}

fn resumed_at(headers: &HeaderMap) -> Option<u64> {
    let number: i64 = headers.get(LAST_EVENT_ID)?.to_str().ok()?.parse().ok()?;
    u64::try_from(number).ok()
}
