//! The `plugins` section.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Checker;
use crate::problem::Path;
use crate::settings::{OnDown, Plugin, PluginConfig, PluginName, PluginTls, Slot};
use crate::{FileReference, PluginAddress, wire};

/// The shortest time without a call after which a plugin may end.
const MIN_IDLE: Duration = Duration::from_secs(1);

/// The plugins that are given; with problems, those that could be read.
pub(super) fn plugins(wire: &wire::Plugins, check: &mut Checker) -> BTreeMap<Slot, Plugin> {
    let mut plugins = BTreeMap::new();
    for slot in Slot::ALL {
        let Some(wire) = wire.slot(slot) else {
            continue;
        };
        let path = Path::dotted("plugins").key(slot.as_str());
        let Some(plugin) = plugin(wire, slot, &path, check) else {
            continue;
        };
        if let Some((other, _)) = named(&plugins, &plugin.name) {
            let key = if wire.name.is_some() { "name" } else { "image" };
            let message = format!(
                "the plugin of {other} has the same name, {}; give one of them another `name`",
                plugin.name
            );
            check.problem(&path.key(key), message);
        }
        plugins.insert(slot, plugin);
    }
    plugins
}

fn named<'a>(
    plugins: &'a BTreeMap<Slot, Plugin>,
    name: &PluginName,
) -> Option<(&'a Slot, &'a Plugin)> {
    plugins.iter().find(|(_, plugin)| plugin.name == *name)
}

fn plugin(wire: &wire::Plugin, slot: Slot, path: &Path, check: &mut Checker) -> Option<Plugin> {
    let image = image(&wire.image, &path.key("image"), check);
    let name = match &wire.name {
        Some(name) => check.parse(&path.key("name"), name),
        None => Some(PluginName::from_image(&wire.image, slot)),
    };
    let address = address(&wire.address, &path.key("address"), check);
    let on_down = on_down(wire.on_down, slot, &path.key("on_down"), check);
    let idle = match &wire.idle_stop {
        Some(text) => idle_stop(text, &path.key("idle_stop"), check).map(Some),
        None => Some(None),
    };
    let tls = tls(wire, &path.key("tls"), check);
    let address = address?;
    if let (PluginAddress::Plain(_), Some(_)) = (&address, &wire.tls) {
        check.problem(&path.key("tls"), "is only used with an https:// address");
    }
    Some(Plugin {
        name: name?,
        image: image?,
        address,
        protocol: wire.protocol.into(),
        on_down: on_down?,
        idle_stop: idle?,
        tls: tls?,
        config: PluginConfig::new(wire.config.clone()),
    })
}

fn image(text: &str, path: &Path, check: &mut Checker) -> Option<String> {
    if text
        .chars()
        .any(|char| char.is_whitespace() || char.is_control())
    {
        check.problem(
            path,
            "must be a container image such as registry/name:tag, without spaces",
        );
        return None;
    }
    Some(text.to_owned())
}

fn address(
    text: &wire::PluginAddressText,
    path: &Path,
    check: &mut Checker,
) -> Option<PluginAddress> {
    let address: PluginAddress = check.parse(path, text)?;
    match &address {
        PluginAddress::Plain(crate::Address::Tcp { port: 0, .. })
        | PluginAddress::Https { port: 0, .. } => {
            check.problem(path, "must have a port other than 0");
            return None;
        }
        PluginAddress::Plain(plain) if !plain.is_local() => {
            let message = format!(
                "plain TCP to {plain}: tokens cross the network in the clear; use https:// or unix:"
            );
            check.warn(path, message);
        }
        PluginAddress::Plain(_) | PluginAddress::Https { .. } => {}
    }
    Some(address)
}

fn on_down(
    wire: Option<wire::OnDown>,
    slot: Slot,
    path: &Path,
    check: &mut Checker,
) -> Option<OnDown> {
    let on_down = wire.map_or(slot.default_on_down(), OnDown::from);
    match (on_down, slot.default_on_down()) {
        (OnDown::Hold, _) if slot != Slot::Executor => {
            check.problem(
                path,
                format!("hold is only for executor; use deny or builtin for {slot}"),
            );
            None
        }
        (OnDown::Builtin, OnDown::Deny) => {
            let opened = match slot {
                Slot::Auth => "the API key suffices, and without one everybody is let in",
                _ => "everybody may do everything",
            };
            check.warn(path, format!("while the {slot} plugin is down, {opened}"));
            Some(on_down)
        }
        _ => Some(on_down),
    }
}

fn idle_stop(text: &wire::DurationText, path: &Path, check: &mut Checker) -> Option<Duration> {
    let time = check.duration(path, text)?;
    if time < MIN_IDLE {
        check.problem(
            path,
            "must be at least 1s: the next call starts the plugin again",
        );
        return None;
    }
    Some(time)
}

fn tls(wire: &wire::Plugin, path: &Path, check: &mut Checker) -> Option<PluginTls> {
    let Some(tls) = &wire.tls else {
        return Some(PluginTls::default());
    };
    let ca = check.parse_optional::<FileReference>(&path.key("ca"), tls.ca.as_ref());
    let cert = check.parse_optional::<FileReference>(&path.key("cert"), tls.cert.as_ref());
    let key = check.parse_optional::<FileReference>(&path.key("key"), tls.key.as_ref());
    if tls.cert.is_some() != tls.key.is_some() && check.intact(&[path.key("cert"), path.key("key")])
    {
        check.problem(path, "cert and key must be given together");
        return None;
    }
    Some(PluginTls {
        ca: ca?,
        identity: cert?.zip(key?),
    })
}

impl wire::Plugins {
    /// What is given for `slot`.
    pub(crate) fn slot(&self, slot: Slot) -> Option<&wire::Plugin> {
        match slot {
            Slot::Auth => self.auth.as_ref(),
            Slot::Executor => self.executor.as_ref(),
            Slot::Sharing => self.sharing.as_ref(),
            Slot::Enforcement => self.enforcement.as_ref(),
            Slot::Cloud => self.cloud.as_ref(),
        }
    }
}
