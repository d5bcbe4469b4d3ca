//! The plugins that run on this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rat_config::{Address, Plugin, PluginAddress, Settings, Slot};

use super::network::Network;
use super::{credentials, plain};
use crate::arguments::UnitsArguments;
use crate::units::template::Blanks;

/// A plugin that runs on this machine.
#[derive(Debug)]
pub(in crate::units) struct LocalPlugin {
    pub(in crate::units) slot: Slot,
    pub(in crate::units) address: Address,
    pub(in crate::units) program: PathBuf,
    network: Network,
    credentials: Vec<(String, PathBuf)>,
    idle_stop: Option<Duration>,
    /// Whether it is built on rat-plugin-sdk.
    on_sdk: bool,
}

impl LocalPlugin {
    /// What the name of the template of its socket ends in.
    pub(in crate::units) fn socket_suffix(&self) -> &'static str {
        match self.idle_stop {
            Some(_) => "-idle",
            None => "",
        }
    }

    /// Which template of its service is the one.
    pub(in crate::units) fn service_variant(&self) -> String {
        let suffix = if self.on_sdk { "" } else { "-without-sdk" };
        format!("{}{suffix}", self.network.variant_of_plugin())
    }

    pub(in crate::units) fn blanks(&self) -> Result<Blanks> {
        let idle_stop = self.idle_stop.map(|time| {
            let time = humantime::format_duration(time).to_string();
            format!("--idle-stop {}", time.replace(' ', ""))
        });
        let slice = match self.slot {
            Slot::Executor => "rat-runs.slice",
            _ => "rat-plugins.slice",
        };
        Ok(Blanks::one("@slot@", self.slot.as_str())
            .with("@plugin_slice@", [slice.to_owned()])
            .with("@program@", [plain(&self.program)?])
            .with("@network@", self.network.names())
            .with("@arguments@", idle_stop)
            .and(credentials(&self.credentials)?))
    }
}

/// Those of `settings`, with what was said of them in the call.
pub(super) fn local_plugins(
    settings: &Settings,
    programs: &Path,
    arguments: &UnitsArguments,
) -> Result<Vec<LocalPlugin>> {
    let here = settings
        .plugins
        .iter()
        .filter_map(|(slot, plugin)| match &plugin.address {
            PluginAddress::Plain(address) if address.is_local() => Some((*slot, address, plugin)),
            PluginAddress::Plain(_) | PluginAddress::Https { .. } => None,
        });
    let mut plugins: Vec<_> = here
        .map(|(slot, address, plugin)| local_plugin(slot, address, plugin, programs, arguments))
        .collect();
    // As units.nix has them.
    plugins.sort_by_key(|plugin| plugin.slot.as_str());
    let networks = arguments.network.iter().map(|found| &found.slot);
    let credentials = arguments
        .credential
        .iter()
        .filter_map(|found| found.slot.as_ref());
    let without_sdk = arguments.without_sdk.iter();
    for slot in networks.chain(credentials).chain(without_sdk) {
        let is_here = plugins.iter().any(|plugin| plugin.slot.as_str() == slot);
        ensure!(
            is_here,
            "{slot}: rat.yaml has no plugin for it that runs on this machine"
        );
    }
    for plugin in &plugins {
        ensure!(
            plugin.on_sdk || plugin.idle_stop.is_none(),
            "plugins.{}.idle_stop: is done by rat-plugin-sdk, on which --without-sdk says that the \
             plugin is not built; leave one of them out",
            plugin.slot
        );
        let has_config = !settings.plugins[&plugin.slot].config.values().is_empty();
        ensure!(
            !(plugin.on_sdk && has_config) || matches!(plugin.address, Address::Unix(_)),
            "plugins.{slot}.config: a plugin on rat-plugin-sdk takes it over a Unix socket only, and \
             not on {}; have its address be unix:/run/rat/plugins/{slot}.sock, or say \
             --without-sdk={slot} if it is not built on that",
            plugin.address,
            slot = plugin.slot,
        );
    }
    for (position, plugin) in plugins.iter().enumerate() {
        let before = &plugins[..position];
        if let Some(other) = before.iter().find(|other| other.address == plugin.address) {
            bail!(
                "plugins.{}.address: is that of plugins.{}, and systemd has a socket for each slot; \
                 give them an address each, also where one process fills both",
                plugin.slot,
                other.slot
            );
        }
    }
    Ok(plugins)
}

fn local_plugin(
    slot: Slot,
    address: &Address,
    plugin: &Plugin,
    programs: &Path,
    arguments: &UnitsArguments,
) -> LocalPlugin {
    let name = slot.as_str();
    let reachable = arguments.network.iter().filter(|found| found.slot == name);
    let network = Network::of(reachable.map(|found| found.value.0.clone()));
    let secrets = arguments
        .credential
        .iter()
        .filter(|found| found.slot.as_deref() == Some(name));
    let mut credentials: Vec<_> = secrets
        .map(|found| (found.name.clone(), found.file.clone()))
        .collect();
    credentials.sort();
    LocalPlugin {
        slot,
        address: address.clone(),
        program: programs.join(format!("rat-plugin-{}", plugin.name.as_str())),
        network: network.and(Network::reach(address)),
        credentials,
        idle_stop: plugin.idle_stop,
        on_sdk: !arguments.without_sdk.iter().any(|found| found == name),
    }
}
