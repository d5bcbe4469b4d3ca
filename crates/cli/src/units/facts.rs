//! What the units of a machine depend on: where sockets are, whom each process has to reach, which
//! folders it writes.
//!
//! `nixos-module/address.nix` and `units.nix` find out the same for NixOS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rat_config::{
    Address, Catalog, CatalogAccess, DatabaseSource, FileReference, Plugin, PluginAddress,
    Settings, Slot,
};
use url::Url;

use super::template::Blanks;
use crate::arguments::{Credential, UnitsArguments};

/// ratd's own folder.
const STATE: &str = "/var/lib/rat";
/// Where systemd looks for credentials by itself.
const CREDENTIALS: &str = "/etc/credstore";
/// Folders that a process in the sandbox does not see.
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];
/// What needs no escaping in a unit, nor in a list of paths.
const PLAIN: &str = "/._-+,=:@";
const LOCALHOST: &str = "localhost";
const ANY: &str = "any";

/// Whom a process may reach: nobody, those that are named, or anybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Network(Vec<String>);

impl Network {
    fn any() -> Self {
        Self(vec![ANY.to_owned()])
    }

    fn reach(address: &Address) -> Self {
        match address {
            Address::Unix(_) => Self::default(),
            address if address.is_local() => Self(vec![LOCALHOST.to_owned()]),
            Address::Tcp { .. } => Self::any(),
        }
    }

    fn reach_plugin(address: &PluginAddress) -> Self {
        match address {
            PluginAddress::Plain(address) => Self::reach(address),
            PluginAddress::Https { host, port } => Self::reach(&Address::Tcp {
                host: host.clone(),
                port: *port,
            }),
        }
    }

    fn and(mut self, other: Self) -> Self {
        for name in other.0 {
            if !self.0.contains(&name) {
                self.0.push(name);
            }
        }
        self
    }

    fn is_any(&self) -> bool {
        self.0.iter().any(|name| name == ANY)
    }

    /// Which template of a daemon is the one: they reach this machine alone, or anybody.
    pub(super) fn variant(&self) -> &'static str {
        match self.0.is_empty() {
            true => "none",
            false if self.is_any() => "any",
            false => "local",
        }
    }

    /// Which template of a plugin is the one.
    pub(super) fn variant_of_plugin(&self) -> &'static str {
        match self.variant() {
            "local" => "some",
            other => other,
        }
    }
}

/// A plugin that runs on this machine.
#[derive(Debug)]
pub(super) struct LocalPlugin {
    pub(super) slot: Slot,
    pub(super) address: Address,
    pub(super) program: PathBuf,
    pub(super) network: Network,
    credentials: Vec<(String, PathBuf)>,
    idle_stop: Option<Duration>,
}

impl LocalPlugin {
    pub(super) fn blanks(&self) -> Result<Blanks> {
        let idle_stop = self.idle_stop.map(|time| {
            let time = humantime::format_duration(time).to_string();
            format!("--idle-stop {}", time.replace(' ', ""))
        });
        Ok(Blanks::one("@slot@", self.slot.as_str())
            .with("@program@", [plain(&self.program)?])
            .with("@network@", self.network.0.iter().cloned())
            .with("@arguments@", idle_stop)
            .and(credentials(&self.credentials)?))
    }
}

/// Everything.
#[derive(Debug)]
pub(super) struct Facts {
    config: PathBuf,
    programs: PathBuf,
    listen: Address,
    internal: Address,
    /// Where they run on this machine.
    runner: Option<Address>,
    ratq: Option<Address>,
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
        ensure!(
            lake != Path::new(STATE),
            "storage.url: {STATE} is ratd's own folder; take one within it, or elsewhere"
        );
        let database = Database::of(&settings.database.source)?;
        for folder in [Some(&lake), database.folder.as_ref()]
            .into_iter()
            .flatten()
        {
            if let Some(hidden) = hidden_in(folder) {
                bail!(
                    "{} is in {hidden}, which the units do not see",
                    folder.display()
                );
            }
        }
        let ratd_network = settings
            .plugins
            .values()
            .map(|plugin| Network::reach_plugin(&plugin.address))
            .chain([
                Network::reach(&settings.runner.address),
                Network::reach(&settings.ratq.address),
            ])
            .fold(
                database.network.and(reach_catalog(&settings.catalog)),
                Network::and,
            );
        let here = |address: &Address| address.is_local().then(|| address.clone());
        Ok(Self {
            config: config.to_owned(),
            programs,
            listen: settings.server.listen.clone(),
            internal: settings.server.internal_socket.clone(),
            runner: here(&settings.runner.address),
            ratq: here(&settings.ratq.address),
            ratd_network,
            lake,
            database_folder: database.folder,
            database_unit: database.unit,
            spill: settings.runner.temp_dir.clone(),
            credentials: ratd_credentials(settings, &arguments.credential),
            plugins,
        })
    }

    /// The services but those of plugins.
    pub(super) fn daemons(&self) -> Vec<&'static str> {
        let runner = self.runner.as_ref().map(|_| "rat-runner");
        let ratq = self.ratq.as_ref().map(|_| "ratq");
        [Some("ratd"), runner, ratq].into_iter().flatten().collect()
    }

    pub(super) fn network_of(&self, daemon: &str) -> Network {
        match daemon {
            "ratd" => self.ratd_network.clone(),
            _ => Network::reach(&self.internal),
        }
    }

    /// Sockets but those of plugins, with the settings that hold their addresses.
    pub(super) fn sockets(&self) -> Vec<(&'static str, &'static str, &Address)> {
        let fixed = [
            ("ratd", "server.listen", &self.listen),
            ("ratd-internal", "server.internal_socket", &self.internal),
        ];
        let runner = self
            .runner
            .iter()
            .map(|at| ("rat-runner", "runner.address", at));
        let ratq = self.ratq.iter().map(|at| ("ratq", "ratq.address", at));
        fixed.into_iter().chain(runner).chain(ratq).collect()
    }

    /// Programs that the units start.
    pub(super) fn programs(&self) -> Vec<PathBuf> {
        let daemons = self
            .daemons()
            .into_iter()
            .map(|name| self.programs.join(name));
        daemons
            .chain(self.plugins.iter().map(|plugin| plugin.program.clone()))
            .collect()
    }

    /// Files that the units need and do not see.
    pub(super) fn unseen(&self) -> Vec<String> {
        let mut files = self.programs();
        files.push(self.config.clone());
        let unseen = files.iter().filter_map(|file| {
            let hidden = hidden_in(file)?;
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

fn hidden_in(path: &Path) -> Option<&'static str> {
    HIDDEN.into_iter().find(|hidden| path.starts_with(hidden))
}

fn reach_catalog(catalog: &Catalog) -> Network {
    match catalog {
        Catalog::Builtin => Network::default(),
        Catalog::Rest(_) => Network::any(),
    }
}

/// What ratd needs for its database.
#[derive(Debug, Default)]
struct Database {
    network: Network,
    /// Of a database file that is not in ratd's own folder.
    folder: Option<PathBuf>,
    /// That brings the database up.
    unit: Option<&'static str>,
}

impl Database {
    fn of(source: &DatabaseSource) -> Result<Self> {
        let url = match source {
            // Only ratd may look into it.
            DatabaseSource::File(_) => {
                return Ok(Self {
                    network: Network::any(),
                    ..Self::default()
                });
            }
            DatabaseSource::Url(url) => url,
        };
        if let Some(file) = url.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            let folder = Path::new(file)
                .parent()
                .filter(|folder| !folder.starts_with(STATE));
            return Ok(Self {
                folder: folder.map(Path::to_owned),
                ..Self::default()
            });
        }
        let url = Url::parse(url)?;
        let host = url.host_str().unwrap_or_default();
        let is_folder =
            |text: &str| text.starts_with('/') || text.to_lowercase().starts_with("%2f");
        let in_query = url
            .query_pairs()
            .any(|(key, value)| key == "host" && is_folder(&value));
        if is_folder(host) || in_query {
            return Ok(Self {
                unit: Some("postgresql.service"),
                ..Self::default()
            });
        }
        let host = Address::Tcp {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: 5432,
        };
        Ok(Self {
            network: Network::reach(&host),
            unit: host.is_local().then_some("postgresql.service"),
            ..Self::default()
        })
    }
}

fn local_plugins(
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
    let plugins: Vec<_> = here
        .map(|(slot, address, plugin)| local_plugin(slot, address, plugin, programs, arguments))
        .collect();
    let networks = arguments.network.iter().map(|found| &found.slot);
    let credentials = arguments
        .credential
        .iter()
        .filter_map(|found| found.slot.as_ref());
    for slot in networks.chain(credentials) {
        let is_here = plugins.iter().any(|plugin| plugin.slot.as_str() == slot);
        ensure!(
            is_here,
            "{slot}: rat.yaml has no plugin for it that runs on this machine"
        );
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
    let network = Network(reachable.map(|found| found.value.0.clone()).collect());
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
        network: Network::default().and(network).and(Network::reach(address)),
        credentials,
        idle_stop: plugin.idle_stop,
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
    let mut found: std::collections::BTreeMap<_, _> = from_settings.collect();
    let named = named.iter().filter(|credential| credential.slot.is_none());
    found.extend(named.map(|credential| (credential.name.clone(), credential.file.clone())));
    found.into_iter().collect()
}
