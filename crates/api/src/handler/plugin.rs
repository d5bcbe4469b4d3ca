//! Plugins: what is configured and how each was when it was last asked.

use axum::extract::State;
use axum::response::IntoResponse;
use rat_config::OnDown;
use rat_store::PluginRecord;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Action, Permission, Resource};
use crate::extract::{Path, Query};
use crate::fault::Fault;
use crate::limit;
use crate::parameter::Count;
use crate::slot::SlotState;
use crate::state::AppState;
use crate::time::Time;

/// Characters of a plugin's name.
const LONGEST_NAME: usize = 128;

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
    #[serde(flatten)]
    place: Option<Place>,
}

/// How its slot takes it.
#[derive(Clone, Serialize)]
struct Place {
    on_down: Option<&'static str>,
    holder: &'static str,
    holder_reason: String,
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

#[derive(Deserialize)]
pub(crate) struct Name {
    name: String,
}

/// What happens while a plugin is down, as rat.yaml says it.
pub(crate) fn on_down(on_down: OnDown) -> &'static str {
    match on_down {
        OnDown::Deny => "deny",
        OnDown::Builtin => "builtin",
        OnDown::Hold => "hold",
    }
}

impl From<&SlotState> for Place {
    fn from(slot: &SlotState) -> Self {
        Self {
            on_down: slot.on_down.map(on_down),
            holder: slot.holder.as_str(),
            holder_reason: slot.message.clone(),
        }
    }
}

impl Plugin {
    fn new(record: PluginRecord, slots: &[SlotState]) -> Self {
        let mut slots = slots.iter();
        let place = slots.find(|slot| slot.plugin.as_ref() == Some(&record.name));
        Self {
            place: place.map(Place::from),
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
    let status = filter.status.as_deref().map(str::parse).transpose()?;
    let shown = |record: &PluginRecord| {
        status.is_none_or(|status| record.status == status)
            && filter.slot.as_ref().is_none_or(|slot| record.slot == *slot)
    };
    let records = state.store.plugins().list().await?;
    let records = records.into_iter().filter(shown).collect();
    let resource = |record: &PluginRecord| Resource::plugin(&record.name);
    let records = access.visible(records, resource).await?;
    let total = records.len();
    let slots = state.plugins.slots();
    let records = limit::slice(records, filter.limit, filter.offset)?;
    let plugins = records
        .into_iter()
        .map(|record| Plugin::new(record, &slots))
        .collect();
    Ok(axum::Json(List { plugins, total }))
}

pub(crate) async fn get(
    State(state): State<AppState>,
    access: Access,
    Path(Name { name }): Path<Name>,
) -> Result<impl IntoResponse, Fault> {
    limit::text("name", &name, LONGEST_NAME)?;
    access.check(&Resource::plugin(&name), Action::Read).await?;
    let found = state.store.plugins().get(&name).await?;
    let missing = || Fault::not_found(format!("plugin {name} does not exist"));
    let record = found.ok_or_else(missing)?;
    Ok(axum::Json(Plugin::new(record, &state.plugins.slots())))
}

/// Reads the plugins of the configuration again.
pub(crate) async fn reload(
    State(state): State<AppState>,
    access: Access,
) -> Result<impl IntoResponse, Fault> {
    access.authorize(Permission::PluginsReload).await?;
    Ok(axum::Json(state.plugins.reload().await?))
}
