//! The slots of plugins: what stands in each, and the plugins' rows in the database.
//!
//! No plugin is asked yet ([`unserved`]), so every configured one is `unknown`, which counts as
//! down: its slot holds what `on_down` says.

use std::sync::Arc;

use rat_api::{AllowAll, ApiKey, AuthenticationDown, Authenticator, EnforcementDown, Enforcer};
use rat_config::{OnDown, Settings, Slot};
use rat_store::{NewPlugin, Store};
use rat_types::Secret;

use crate::unserved::{self, NO_PLUGIN_HOST};

/// Makes the database's plugins those of the settings.
pub(crate) async fn register(settings: &Settings, store: &Store) -> Result<(), rat_store::Error> {
    let plugins = store.plugins();
    for known in plugins.list().await? {
        let is_configured = |plugin: &rat_config::Plugin| plugin.name.as_str() == known.name;
        if !settings.plugins.values().any(is_configured) {
            plugins.delete(&known.name).await?;
        }
    }
    for (slot, plugin) in &settings.plugins {
        let new = NewPlugin {
            name: plugin.name.to_string(),
            slot: slot.to_string(),
            image: plugin.image.clone(),
            address: plugin.address.to_string(),
        };
        plugins.upsert(&new).await?;
        plugins.explain(&new.name, NO_PLUGIN_HOST).await?;
    }
    for warning in unserved::warnings(settings) {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Who says who is calling.
pub(crate) fn authenticator(
    settings: &Settings,
    api_key: Option<&Secret>,
) -> Arc<dyn Authenticator> {
    match denied(settings, Slot::Auth) {
        Some(why) => Arc::new(AuthenticationDown::new(why)),
        None => Arc::new(ApiKey::new(api_key)),
    }
}

/// Who says who may do what.
pub(crate) fn enforcer(settings: &Settings) -> Arc<dyn Enforcer> {
    match denied(settings, Slot::Enforcement) {
        Some(why) => Arc::new(EnforcementDown::new(why)),
        None => Arc::new(AllowAll),
    }
}

/// Why calls that need the slot's plugin fail, where they do.
fn denied(settings: &Settings, slot: Slot) -> Option<String> {
    let plugin = settings.plugins.get(&slot)?;
    match plugin.on_down {
        OnDown::Builtin => None,
        OnDown::Deny | OnDown::Hold => Some(format!(
            "the {slot} plugin {} is not asked, because {NO_PLUGIN_HOST}",
            plugin.name
        )),
    }
}
