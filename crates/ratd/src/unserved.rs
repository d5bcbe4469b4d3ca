//! Settings that are valid and that this version does not serve: what becomes of each.
//!
//! Ignoring one in silence would be worse than to stop. A setting of which nothing can be kept
//! ends ratd; where something safe can stand in its place, that does, with a warning.

use rat_config::{Catalog, OnDown, Plugin, Settings, Slot};

/// Why the plugins' status is unknown.
pub(crate) const NO_PLUGIN_HOST: &str = "this version of ratd has no plugin host yet";

/// What keeps ratd from starting, if anything does.
pub(crate) fn refusal(settings: &Settings) -> Option<String> {
    if let Catalog::Rest { .. } = &settings.catalog {
        let message =
            "catalog.type: an external catalog is not supported by this version, use builtin";
        return Some(message.to_owned());
    }
    let executor = settings.plugins.get(&Slot::Executor)?;
    (executor.on_down == OnDown::Deny).then(|| {
        format!(
            "plugins.executor.on_down: deny would fail every run, because {NO_PLUGIN_HOST}; use \
             hold, with which runs wait, or builtin, or remove the plugin {}",
            executor.name
        )
    })
}

/// What is not as the settings say.
pub(crate) fn warnings(settings: &Settings) -> Vec<String> {
    settings
        .plugins
        .iter()
        .map(|(slot, plugin)| {
            let consequence = consequence(*slot, plugin);
            format!(
                "plugins.{slot}: {} is not asked, because {NO_PLUGIN_HOST}: {consequence}",
                plugin.name
            )
        })
        .collect()
}

fn consequence(slot: Slot, plugin: &Plugin) -> &'static str {
    match (slot, plugin.on_down) {
        (Slot::Auth, OnDown::Builtin) => {
            "the built-in is used: the API key suffices, and without one everybody is an \
             administrator"
        }
        (Slot::Auth, _) => "every request but health probes is answered with 503",
        (Slot::Enforcement, OnDown::Builtin) => "the built-in is used: everybody may do everything",
        (Slot::Enforcement, _) => "every request that touches something is answered with 503",
        (Slot::Executor, OnDown::Hold) => "runs stay pending",
        (Slot::Executor, _) => "the built-in is used: rat-runner executes the runs",
        (Slot::Sharing, _) => "the built-in is used: nothing is shared",
        (Slot::Cloud, _) => "the built-in is used: runs get no credentials",
    }
}

/// Whether new runs wait instead of being executed.
pub(crate) fn holds_runs(settings: &Settings) -> bool {
    let executor = settings.plugins.get(&Slot::Executor);
    executor.is_some_and(|executor| executor.on_down == OnDown::Hold)
}
