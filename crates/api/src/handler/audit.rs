//! The audit log.

use axum::extract::State;
use axum::response::IntoResponse;
use rat_store::{AuditFilter, AuditRecord};
use serde::{Deserialize, Serialize};

use crate::access::{Access, Permission};
use crate::extract::Query;
use crate::fault::Fault;
use crate::limit;
use crate::parameter::{Count, Moment};
use crate::state::AppState;
use crate::time::Time;

#[derive(Serialize)]
struct Entry {
    id: String,
    user_id: String,
    action: String,
    resource: String,
    detail: String,
    ip: String,
    request_id: String,
    status: u16,
    outcome: String,
    created_at: Time,
}

#[derive(Serialize)]
struct List {
    entries: Vec<Entry>,
    total: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    user: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    since: Option<Moment>,
    limit: Option<Count>,
    offset: Option<Count>,
}

impl From<AuditRecord> for Entry {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.id,
            user_id: record.user_id,
            action: record.action,
            resource: record.resource,
            detail: record.detail,
            ip: record.ip,
            request_id: record.request_id,
            status: record.status,
            outcome: record.outcome,
            created_at: record.at.into(),
        }
    }
}

pub(crate) async fn list(
    State(state): State<AppState>,
    access: Access,
    Query(filter): Query<Filter>,
) -> Result<impl IntoResponse, Fault> {
    let paging = limit::page(filter.limit, filter.offset, None)?;
    access.authorize(Permission::AuditRead).await?;
    let filter = AuditFilter {
        user_id: filter.user,
        action: filter.action,
        resource: filter.resource,
        since: filter.since.map(|moment| moment.0),
        paging,
    };
    let page = state.store.audit_log().list(&filter).await?;
    Ok(axum::Json(List {
        entries: page.items.into_iter().map(Entry::from).collect(),
        total: page.total,
    }))
}
