//! Plugins: what is configured and how each was when it was last asked.

use axum::extract::State;
use axum::response::IntoResponse;
use rat_store::PluginRecord;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Action, Resource, ResourceKind};
use crate::extract::Query;
use crate::fault::Fault;
use crate::limit;
use crate::parameter::Count;
use crate::state::AppState;
use crate::time::Time;

#[derive(Serialize)]
struct Plugin {
    name: String,
    slot: String,
    image: String,
    address: String,
    status: &'static str,
    message: String,
    version: String,
    latency_us: Option<u64>,
    last_health: Option<Time>,
    created_at: Time,
    updated_at: Time,
}

#[derive(Serialize)]
struct List {
    plugins: Vec<Plugin>,
    total: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    status: Option<String>,
    slot: Option<String>,
    limit: Option<Count>,
    offset: Option<Count>,
}

impl From<PluginRecord> for Plugin {
    fn from(record: PluginRecord) -> Self {
        Self {
            status: record.status.as_str(),
            name: record.name,
            slot: record.slot,
            image: record.image,
            address: record.address,
            message: record.message,
            version: record.version,
            latency_us: record.latency_us,
            last_health: record.last_health.map(Time),
            created_at: record.created_at.into(),
            updated_at: record.updated_at.into(),
        }
    }
}

pub(crate) async fn list(
    State(state): State<AppState>,
    access: Access,
    Query(filter): Query<Filter>,
) -> Result<impl IntoResponse, Fault> {
    access
        .check(&Resource::all(ResourceKind::Plugin, None), Action::List)
        .await?;
    let status = filter.status.as_deref().map(str::parse).transpose()?;
    let shown = |record: &PluginRecord| {
        status.is_none_or(|status| record.status == status)
            && filter.slot.as_ref().is_none_or(|slot| record.slot == *slot)
    };
    let records = state.store.plugins().list().await?;
    let plugins: Vec<Plugin> = records
        .into_iter()
        .filter(shown)
        .map(Plugin::from)
        .collect();
    let total = plugins.len();
    let plugins = limit::slice(plugins, filter.limit, filter.offset)?;
    Ok(axum::Json(List { plugins, total }))
}
