//! The loader: register, connect, ask, wire.
//!
//! At the start nothing waits for a plugin: its slot holds what `on_down` says until the first
//! check has found it well. When the settings are read again, a plugin that is changed is checked
//! before it takes the place of the old one, so that nothing is refused in between.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rat_api::{ReloadError, Reloaded};
use rat_config::{Address, Plugin as Config, PluginAddress, Slot};
use rat_service::ErrorChain;
use rat_store::NewPlugin;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::{Configured, Host, Inner};
use crate::call::Who;
use crate::connection::Connection;
use crate::greeting::{self, Greeter};
use crate::health;
use crate::plugin::Plugin;
use crate::resolve::Target;
use crate::session::{self, Wire};
use crate::tls::Tls;

/// How long the database may take for one statement.
const DATABASE: Duration = Duration::from_secs(30);

impl Host {
    /// Registers `plugins`, puts what `on_down` says into their slots and begins to ask them. No
    /// plugin is waited for.
    ///
    /// # Errors
    /// The database fails.
    pub async fn load(&self, plugins: &Configured) -> Result<(), rat_store::Error> {
        let inner = &self.0;
        let mut loaded = inner.loaded.lock().await;
        for known in inner.store.plugins().list().await? {
            if !plugins.values().any(|new| new.name.as_str() == known.name) {
                inner.store.plugins().delete(&known.name).await?;
            }
        }
        for (slot, config) in plugins {
            inner.store.plugins().upsert(&row(*slot, config)).await?;
            let plugin = inner.plugin(*slot, config);
            inner.cells[slot].fill(Some(Arc::clone(&plugin)));
            inner.watch(&plugin);
            loaded.insert(*slot, plugin);
        }
        Ok(())
    }
}

impl Inner {
    /// Reads the settings again.
    pub(super) async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let mut loaded = self.loaded.lock().await;
        let wanted = (self.source)().map_err(ReloadError::Invalid)?;
        let mut reloaded = Reloaded::default();
        let mut new = Vec::new();
        for (slot, config) in &wanted {
            let name = config.name.to_string();
            match loaded.get(slot) {
                Some(plugin) if plugin.config == *config => {
                    // It may have been mended meanwhile, and be told the same again.
                    for replica in plugin.connection.replicas().iter() {
                        replica.forget_refusal(Instant::now());
                    }
                    plugin.wake.notify_one();
                    reloaded.unchanged.push(name);
                }
                Some(plugin) if plugin.who.name == name => {
                    reloaded.changed.push(name);
                    new.push(self.plugin(*slot, config));
                }
                _ => {
                    reloaded.added.push(name);
                    new.push(self.plugin(*slot, config));
                }
            }
        }
        let stay: BTreeSet<&str> = wanted.values().map(|config| config.name.as_str()).collect();
        let gone = loaded.values().map(|plugin| plugin.who.name.clone());
        reloaded.removed = gone.filter(|name| !stay.contains(name.as_str())).collect();
        self.register(&reloaded.removed, &new).await?;

        // Its first check, before it takes the old one's place; within the time of a check.
        let checks = new
            .iter()
            .map(|plugin| health::check(plugin, &self.options));
        futures::future::join_all(checks).await;

        for slot in Slot::ALL {
            let next = new.iter().find(|plugin| plugin.who.slot == slot);
            if next.is_none() && wanted.contains_key(&slot) {
                continue;
            }
            let old = loaded.remove(&slot);
            if next.is_none() && old.is_some() && matches!(slot, Slot::Auth | Slot::Enforcement) {
                let slot = slot.as_str();
                tracing::warn!(
                    target: "rat::plugins", slot,
                    "the settings name no plugin for this slot any more: the built-in takes over"
                );
            }
            if next.is_some() || old.is_some() {
                self.cells[&slot].fill(next.cloned());
            }
            if let Some(old) = old {
                old.retire();
                if !stay.contains(old.who.name.as_str()) {
                    old.reports.recorder.forget(&old.who.name);
                }
            }
            if let Some(next) = next {
                // The row of the old one was written over meanwhile, perhaps.
                next.reports.recorder.record(&next.who.name, &next.state());
                next.reports.metrics.is(&next.who, next.state().status);
                self.watch(next);
                loaded.insert(slot, Arc::clone(next));
            }
        }
        tracing::info!(
            target: "rat::plugins", added = ?reloaded.added, changed = ?reloaded.changed,
            removed = ?reloaded.removed, unchanged = ?reloaded.unchanged, "plugins read again"
        );
        Ok(reloaded)
    }

    async fn register(&self, gone: &[String], new: &[Arc<Plugin>]) -> Result<(), ReloadError> {
        let plugins = self.store.plugins();
        let written = async {
            for plugin in new {
                plugins
                    .upsert(&row(plugin.who.slot, &plugin.config))
                    .await?;
            }
            for name in gone {
                match plugins.delete(name).await {
                    Err(error) if error.kind() != rat_types::Kind::NotFound => return Err(error),
                    Ok(()) | Err(_) => {}
                }
            }
            Ok(())
        };
        match timeout(DATABASE, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ReloadError::Failed(ErrorChain(&error).to_string())),
            Err(_) => Err(ReloadError::Failed(
                "the database does not answer".to_owned(),
            )),
        }
    }

    /// A plugin that nobody has asked yet.
    fn plugin(&self, slot: Slot, config: &Config) -> Arc<Plugin> {
        let who = Arc::new(Who {
            slot,
            name: config.name.to_string(),
            address: config.address.to_string(),
        });
        let tls = match &config.address {
            PluginAddress::Https { host, .. } => Some(Tls::new(host, &config.tls)),
            PluginAddress::Plain(_) => None,
        };
        let wire = Wire {
            who: Arc::clone(&who),
            protocol: config.protocol,
            authority: session::authority(&config.address),
            tls,
            options: self.options.clone(),
            tasks: self.tasks.clone(),
            shutdown: self.shutdown.clone(),
        };
        let greeter = Greeter {
            who: Arc::clone(&who),
            configuration: is_fit_for_secrets(&config.address)
                .then(|| greeting::configuration(config.config.values())),
            limit: self.options.health_timeout,
        };
        warn(&who, config);
        let target = Target::new(&config.address, Arc::clone(&self.resolver));
        let wake = Arc::new(Notify::new());
        let connection = Connection::new(target, Arc::new(wire), greeter, Arc::clone(&wake));
        Arc::new(Plugin::new(
            who,
            config.clone(),
            (connection, wake),
            self.reports.clone(),
            &self.cells[&slot],
            self.shutdown.child_token(),
        ))
    }

    fn watch(&self, plugin: &Arc<Plugin>) {
        let watch = health::watch(Arc::clone(plugin), self.options.clone(), plugin.number);
        self.tasks.spawn(watch);
    }
}

fn row(slot: Slot, config: &Config) -> NewPlugin {
    NewPlugin {
        name: config.name.to_string(),
        slot: slot.to_string(),
        image: config.image.clone(),
        address: config.address.to_string(),
    }
}

/// Whether what is sent to `address` crosses no network in the clear.
fn is_fit_for_secrets(address: &PluginAddress) -> bool {
    match address {
        PluginAddress::Plain(address) => address.is_local(),
        PluginAddress::Https { .. } => true,
    }
}

fn warn(who: &Who, config: &Config) {
    let PluginAddress::Plain(Address::Tcp { .. }) = &config.address else {
        return;
    };
    if is_fit_for_secrets(&config.address) {
        return;
    }
    let (slot, plugin, address) = (who.slot.as_str(), &who.name, &who.address);
    tracing::warn!(
        target: "rat::plugins", slot, plugin, address,
        "plain TCP beyond this machine: tokens cross the network in the clear"
    );
    if !config.config.values().is_empty() {
        tracing::warn!(
            target: "rat::plugins", slot, plugin, address,
            "the plugin's config is not sent over plain TCP beyond this machine: it has to take it \
             from a file or its environment, or be reached over https:// or unix:"
        );
    }
}
