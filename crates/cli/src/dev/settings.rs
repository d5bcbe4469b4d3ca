//! The settings with which `rat dev` starts the programs, and the public listener.
//!
//! The listener is opened here and handed to ratd the way systemd does it: port 0 works, a port
//! in use is reported before anything starts, and while ratd restarts nobody is refused.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rat_config::{Address, ENVIRONMENT, FileReference, Settings, resolve_secret_path};
use rat_types::Secret;
use serde_json::Value;
use url::Url;

use super::folder::{Folder, MAX_SOCKET_PATH};
use crate::arguments::DevArguments;
use crate::client::Server;

const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// With what the programs are started.
#[derive(Debug)]
pub struct Plan {
    /// The settings file.
    pub config: PathBuf,
    /// Where ratd can be reached.
    pub server: Server,
    /// The API key that ratd asks for.
    pub key: Option<Secret>,
    /// ratd's public listener; without it, ratd opens what the settings say.
    pub listener: Option<OwnedFd>,
    /// What the settings file leaves open, as variables.
    pub environment: BTreeMap<String, String>,
    /// Commands of plugins.
    pub plugins: Vec<String>,
}

impl Plan {
    /// Writes the settings into the folder and opens the listener; with `--config`, reads where
    /// ratd will listen.
    ///
    /// # Errors
    /// The address is in use or makes no sense, or the settings do not.
    pub fn make(folder: &Folder, arguments: &DevArguments) -> Result<Self> {
        if let Some(config) = &arguments.config {
            return from_file(folder, config, &arguments.plugin);
        }
        let wanted = match &arguments.listen {
            Some(address) => address.clone(),
            None => DEFAULT_LISTEN.parse().context("the default address")?,
        };
        let (listener, address) = open(&wanted)
            .with_context(|| format!("cannot listen on {wanted}{}", hint(arguments)))?;
        let config = folder.path().join("rat.yaml");
        write_atomically(&config, &settings(folder, &address)?)?;
        Ok(Self {
            config,
            server: reachable(&address)?,
            key: None,
            listener: Some(listener),
            environment: BTreeMap::new(),
            plugins: arguments.plugin.clone(),
        })
    }
}

/// The configuration is wrong: exit code 78.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadConfiguration(pub String);

fn hint(arguments: &DevArguments) -> &'static str {
    match arguments.listen {
        Some(_) => "",
        None => "; another address can be given with --listen (port 0 takes a free one)",
    }
}

fn from_file(folder: &Folder, config: &Path, plugins: &[String]) -> Result<Plan> {
    let text = fs::read_to_string(config)
        .map_err(|error| BadConfiguration(format!("cannot read {}: {error}", config.display())))?;
    // The programs get no other RAT_* variable from here, so none counts here either.
    let name = config.display().to_string();
    let environment = left_open(&text, &own(folder)?);
    let settings = Settings::load(Some((&name, &text)), &environment)
        .map_err(|problems| BadConfiguration(problems.to_string()))?;
    let config = config
        .canonicalize()
        .with_context(|| format!("cannot resolve {}", config.display()))?;
    let listen = settings.server.listen;
    let (listener, address) = match &listen {
        Address::Tcp { .. } => {
            let opened = open(&listen).with_context(|| format!("cannot listen on {listen}"));
            let (listener, address) = opened?;
            (Some(listener), address)
        }
        // ratd knows better which mode its socket has.
        Address::Unix(_) => (None, listen),
    };
    Ok(Plan {
        config,
        server: reachable(&address)?,
        key: settings
            .auth
            .api_key_file
            .as_ref()
            .map(read_key)
            .transpose()?,
        listener,
        environment,
        plugins: plugins.to_vec(),
    })
}

fn read_key(file: &FileReference) -> Result<Secret> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let path = resolve_secret_path(file, credentials.as_deref());
    let text = fs::read_to_string(&path).map_err(|error| {
        BadConfiguration(format!(
            "cannot read the API key from {}: {error}",
            path.display()
        ))
    })?;
    Ok(Secret::new(text.trim()))
}

/// How a client reaches a listener.
fn reachable(address: &Address) -> Result<Server> {
    let text = match address {
        Address::Unix(path) => format!("unix:{}", path.display()),
        Address::Tcp { host, port } => {
            // A listener on every interface is reached on this machine's own one.
            let host = match host.as_str() {
                "0.0.0.0" => "127.0.0.1",
                "::" => "::1",
                host => host,
            };
            let address = Address::Tcp {
                host: host.to_owned(),
                port: *port,
            };
            format!("http://{address}")
        }
    };
    text.parse()
        .map_err(|error| anyhow::anyhow!("{text} cannot be reached: {error}"))
}

fn open(address: &Address) -> Result<(OwnedFd, Address)> {
    match address {
        Address::Tcp { host, port } => {
            let listener = TcpListener::bind((host.as_str(), *port))?;
            let port = listener.local_addr()?.port();
            Ok((
                listener.into(),
                Address::Tcp {
                    host: host.clone(),
                    port,
                },
            ))
        }
        Address::Unix(path) => {
            if path.as_os_str().len() > MAX_SOCKET_PATH {
                bail!("the path of a socket may have {MAX_SOCKET_PATH} bytes");
            }
            // What a killed rat dev left behind is in the way; a socket that answers is not ours.
            if path.exists() && UnixStream::connect(path).is_err() {
                fs::remove_file(path).context("cannot remove the old socket")?;
            }
            Ok((UnixListener::bind(path)?.into(), address.clone()))
        }
    }
}

/// A setting that `rat dev` makes by itself.
struct Own {
    key: &'static str,
    value: String,
}

/// Everything that `rat dev` sets but where ratd listens: it all lies in the folder.
fn own(folder: &Folder) -> Result<Vec<Own>> {
    let socket = |name: &str| format!("unix:{}", folder.socket(name).display());
    let path = folder.path().display();
    let lake = folder.path().join("lake");
    let url = Url::from_file_path(&lake)
        .ok()
        .filter(|url| Some(url.path()) == lake.to_str());
    let Some(url) = url else {
        bail!(
            "the path of the folder {path} has characters that would need escaping in a URL; name another folder with --dir"
        );
    };
    let own = |key, value| Own { key, value };
    Ok(vec![
        own("server.internal_socket", socket("internal.sock")),
        own("server.rate_limit", "off".to_owned()),
        own("database.url", format!("sqlite:{path}/rat.db")),
        own("storage.url", url.as_str().to_owned()),
        own("runner.address", socket("runner.sock")),
        // Whoever ends a development server does not wait for it.
        own("runner.drain_timeout", "1s".to_owned()),
        own("ratq.address", socket("ratq.sock")),
        own("log.format", "text".to_owned()),
    ])
}

/// What `text` does not set, as variables. A text that is no YAML is judged elsewhere.
fn left_open(text: &str, own: &[Own]) -> BTreeMap<String, String> {
    let set: Value = serde_yaml::from_str(text).unwrap_or_default();
    let is_set = |key: &str| {
        let (section, name) = key.split_once('.').unwrap_or((key, ""));
        let section = &set[section];
        !section[name].is_null() || (key == "database.url" && !section["url_file"].is_null())
    };
    let variable = |key: &str| ENVIRONMENT.iter().find(|variable| variable.setting == key);
    own.iter()
        .filter(|own| !is_set(own.key))
        .filter_map(|own| Some((variable(own.key)?.name.to_owned(), own.value.clone())))
        .collect()
}

/// The text of `rat.yaml`. JSON strings are YAML strings, whatever is in them.
fn settings(folder: &Folder, listen: &Address) -> Result<String> {
    let mut sections: BTreeMap<&str, String> = BTreeMap::new();
    let mut add = |key: &'static str, value: String| {
        let (section, name) = key.split_once('.').unwrap_or((key, ""));
        let line = format!("  {name}: {}\n", Value::String(value));
        sections.entry(section).or_default().push_str(&line);
    };
    add("server.listen", listen.to_string());
    for Own { key, value } in own(folder)? {
        add(key, value);
    }
    let mut text = String::from(
        "# Written by rat dev at every start. To change something, copy this file and start with
# rat dev --config COPY; every setting is explained in docs/reference/configuration.md.
",
    );
    for (section, lines) in sections {
        text.push_str(&format!("{section}:\n{lines}"));
    }
    Ok(text)
}

fn write_atomically(path: &Path, text: &str) -> Result<()> {
    let temporary = path.with_extension("yaml.partial");
    fs::write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_interface_is_reached_on_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:80", "http://127.0.0.1"),
            ("[::]:8080", "http://[::1]:8080"),
            ("localhost:1", "http://localhost:1"),
            ("unix:/run/x", "unix:/run/x"),
        ] {
            assert_eq!(
                reachable(&listen.parse().unwrap()).unwrap().to_string(),
                expected
            );
        }
    }

    #[test]
    fn a_socket_that_nobody_answers_on_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let address: Address = format!("unix:{}/a.sock", folder.path().display())
            .parse()
            .unwrap();
        drop(open(&address).unwrap());
        let (_listener, _) = open(&address).unwrap();
        assert!(open(&address).is_err());
    }

    #[test]
    fn what_a_settings_file_leaves_open_is_in_the_folder_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(Some(directory.path())).unwrap();
        let own = own(&folder).unwrap();
        let all = left_open("plugins: {}", &own);
        assert_eq!(
            all.len(),
            own.len(),
            "every setting has a variable: {all:?}"
        );
        Settings::load(Some(("rat.yaml", "plugins: {}")), &all).unwrap();
        assert!(all["RAT_DATABASE_URL"].starts_with("sqlite:/"), "{all:?}");
        let text = "storage: {url: file:///x}\ndatabase:\n  url_file: database-url\n";
        let some = left_open(text, &own);
        assert!(!some.contains_key("RAT_STORAGE_URL") && !some.contains_key("RAT_DATABASE_URL"));
        assert!(some.contains_key("RAT_INTERNAL_SOCKET"), "{some:?}");
        let written = settings(&folder, &"127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(left_open(&written, &own), BTreeMap::new());
        Settings::load(Some(("rat.yaml", &written)), &BTreeMap::new()).unwrap();
    }

    #[test]
    fn port_0_becomes_the_port_that_was_given() {
        let (_listener, address) = open(&"127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(!address.to_string().ends_with(":0"), "{address}");
    }
}
