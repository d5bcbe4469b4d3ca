//! What the units of a machine depend on: where sockets are, whom each process has to reach, which
//! folders it writes.
//!
//! `nixos-module/address.nix` and `units.nix` find out the same for NixOS.

mod database;
mod folders;
mod network;
mod plugin;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use rat_config::{Address, Catalog, CatalogAccess, DatabaseSource, FileReference, Settings};

use super::template::Blanks;
use crate::arguments::{Credential, UnitsArguments};
use database::Database;
use network::Network;
use plugin::{LocalPlugin, local_plugins};

/// The services but those of plugins.
pub(super) const DAEMONS: [&str; 3] = ["ratd", "rat-runner", "ratq"];
/// ratd's own folder.
const STATE: &str = "/var/lib/rat";
/// Where systemd looks for credentials by itself.
const CREDENTIALS: &str = "/etc/credstore";
const LAKE_INSTEAD: &str = "take a folder of its own, such as /var/lib/rat/lake or /srv/rat/lake";
const DATABASE_INSTEAD: &str =
    "put the file into a folder of its own, as in sqlite:/var/lib/rat/rat.db";
const SPILL_INSTEAD: &str = "take a folder of its own, such as /srv/rat/spill, or leave it out: then it is a /var/tmp that \
     only rat-runner sees";
/// What needs no escaping in a unit, nor in a list of paths.
const PLAIN: &str = "/._-+,=:@";

/// Everything.
#[derive(Debug)]
pub(super) struct Facts {
    config: PathBuf,
    programs: PathBuf,
    listen: Address,
    internal: Address,
    runner: Address,
    ratq: Address,
    ratd_network: Network,
    lake: PathBuf,
    database_folder: Option<PathBuf>,
    database_unit: Option<&'static str>,
    spill: Option<PathBuf>,
    credentials: Vec<(String, PathBuf)>,
    pub(super) plugins: Vec<LocalPlugin>,
}

impl Facts {
    /// # Errors
    /// Something that is set cannot be had in units, or is said of a plugin that is not here.
    pub(super) fn find(
        settings: &Settings,
        config: &Path,
        prefix: &Path,
        arguments: &UnitsArguments,
    ) -> Result<Self> {
        let programs = prefix.join("bin");
        let plugins = local_plugins(settings, &programs, arguments)?;
        let lake = PathBuf::from(settings.storage.url.path());
        folders::check("storage.url", &lake, LAKE_INSTEAD)?;
        let database = Database::of(&settings.database.source)?;
        if let Some(folder) = &database.folder {
            folders::check("database.url", folder, DATABASE_INSTEAD)?;
        }
        if let Some(folder) = &settings.runner.temp_dir {
            folders::check("runner.temp_dir", folder, SPILL_INSTEAD)?;
            // It is rat-runner's, and systemd-tmpfiles makes nothing of another user in there.
            ensure!(
                !folder.starts_with(STATE),
                "runner.temp_dir: {} is in {STATE}, ratd's own folder; {SPILL_INSTEAD}",
                folder.display()
            );
        }
        here("runner.address", &settings.runner.address)?;
        here("ratq.address", &settings.ratq.address)?;
        let ratd_network = settings
            .plugins
            .values()
            .map(|plugin| Network::reach_plugin(&plugin.address))
            .chain([
                Network::reach(&settings.runner.address),
                Network::reach(&settings.ratq.address),
            ])
            .fold(
                database
                    .network
                    .and(Network::reach_catalog(&settings.catalog)),
                Network::and,
            );
        let facts = Self {
            config: config.to_owned(),
            programs,
            listen: settings.server.listen.clone(),
            internal: settings.server.internal_socket.clone(),
            runner: settings.runner.address.clone(),
            ratq: settings.ratq.address.clone(),
            ratd_network,
            lake,
            database_folder: database.folder,
            database_unit: database.unit,
            spill: settings.runner.temp_dir.clone(),
            credentials: ratd_credentials(settings, &arguments.credential),
            plugins,
        };
        facts.sockets_are_seen()?;
        Ok(facts)
    }

    /// Those that the daemons themselves connect to.
    fn sockets_are_seen(&self) -> Result<()> {
        let own = self.sockets().into_iter();
        let own = own.filter(|(name, ..)| *name != "ratd");
        let own = own.map(|(_, setting, address)| (setting.to_owned(), address));
        let plugins = self.plugins.iter();
        let plugins =
            plugins.map(|plugin| (format!("plugins.{}.address", plugin.slot), &plugin.address));
        for (setting, address) in own.chain(plugins) {
            if let Address::Unix(path) = address
                && let Some(hidden) = folders::hidden_in(path)
            {
                bail!(
                    "{setting}: {} is in {hidden}, which the units do not see; take one in /run/rat",
                    path.display()
                );
            }
        }
        Ok(())
    }

    pub(super) fn network_of(&self, daemon: &str) -> Network {
        match daemon {
            "ratd" => self.ratd_network.clone(),
            _ => Network::reach(&self.internal),
        }
    }

    /// Sockets but those of plugins, with the settings that hold their addresses.
    pub(super) fn sockets(&self) -> [(&'static str, &'static str, &Address); 4] {
        [
            ("ratd", "server.listen", &self.listen),
            ("ratd-internal", "server.internal_socket", &self.internal),
            ("rat-runner", "runner.address", &self.runner),
            ("ratq", "ratq.address", &self.ratq),
        ]
    }

    /// Programs that the units start.
    pub(super) fn programs(&self) -> Vec<PathBuf> {
        DAEMONS
            .into_iter()
            .map(|name| self.programs.join(name))
            .chain(self.plugins.iter().map(|plugin| plugin.program.clone()))
            .collect()
    }

    /// Files that the units need and do not see.
    pub(super) fn unseen(&self) -> Vec<String> {
        let mut files = self.programs();
        files.push(self.config.clone());
        let unseen = files.iter().filter_map(|file| {
            let hidden = folders::hidden_in(file)?;
            Some(format!(
                "{} is in {hidden}, which the units do not see.",
                file.display()
            ))
        });
        unseen.collect()
    }

    pub(super) fn blanks(&self) -> Result<Blanks> {
        let folders = |folder: &Option<PathBuf>| {
            folder
                .iter()
                .map(|path| plain(path))
                .collect::<Result<Vec<_>>>()
        };
        let slots = self
            .plugins
            .iter()
            .map(|plugin| plugin.slot.as_str().to_owned());
        Ok(Blanks::one("@config@", plain(&self.config)?)
            .with("@programs@", [plain(&self.programs)?])
            .with("@database_unit@", self.database_unit.map(str::to_owned))
            .with("/@lake@", [plain(&self.lake)?])
            .with("/@database_folder@", folders(&self.database_folder)?)
            .with("/@spill@", folders(&self.spill)?)
            .with("@slot@", slots)
            .and(credentials(&self.credentials)?))
    }
}

/// What executes for ratd asks nobody for credentials, and reaches ratd on this machine alone.
fn here(setting: &str, address: &Address) -> Result<()> {
    ensure!(
        address.is_local(),
        "{setting}: {address} is not for this machine alone; leave it out, or give 127.0.0.1 with a \
         port, or unix:/path: ratd, runs and queries are on one machine"
    );
    Ok(())
}

fn credentials(found: &[(String, PathBuf)]) -> Result<Blanks> {
    let lines = found
        .iter()
        .map(|(name, file)| Ok(format!("{}:{}", plain(Path::new(name))?, plain(file)?)));
    let lines = lines.collect::<Result<Vec<_>>>()?;
    Ok(Blanks::default().with("@credential@:@credential_file@", lines))
}

/// A path as text that means itself in every place of a unit.
pub(super) fn plain(path: &Path) -> Result<String> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || PLAIN.contains(char);
    match path.to_str() {
        Some(text) if text.chars().all(is_plain) => Ok(text.to_owned()),
        _ => bail!(
            "{} has characters that mean something in a unit; take another path, of letters, \
             digits and {PLAIN}",
            path.display()
        ),
    }
}

/// What the settings name without a path, and what was named in the call.
fn ratd_credentials(settings: &Settings, named: &[Credential]) -> Vec<(String, PathBuf)> {
    let mut references: Vec<&FileReference> = settings.auth.api_key_file.iter().collect();
    if let DatabaseSource::File(file) = &settings.database.source {
        references.push(file);
    }
    if let Catalog::Rest(rest) = &settings.catalog {
        references.extend(&rest.ca_file);
        match &rest.access {
            CatalogAccess::Open => {}
            CatalogAccess::Token(file) => references.push(file),
            CatalogAccess::Client { secret_file, .. } => references.push(secret_file),
        }
    }
    for plugin in settings.plugins.values() {
        references.extend(&plugin.tls.ca);
        references.extend(
            plugin
                .tls
                .identity
                .iter()
                .flat_map(|(cert, key)| [cert, key]),
        );
    }
    let from_settings = references
        .into_iter()
        .filter_map(|reference| match reference {
            FileReference::Credential(name) => {
                Some((name.clone(), Path::new(CREDENTIALS).join(name)))
            }
            FileReference::Path(_) => None,
        });
    let mut found: BTreeMap<_, _> = from_settings.collect();
    let named = named.iter().filter(|credential| credential.slot.is_none());
    found.extend(named.map(|credential| (credential.name.clone(), credential.file.clone())));
    found.into_iter().collect()
}
