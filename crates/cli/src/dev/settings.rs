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
use rat_config::{Address, FileReference, Settings, resolve_secret_path};
use rat_types::Secret;
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
}

impl Plan {
    /// Writes the settings into the folder and opens the listener; with `--config`, reads where
    /// ratd will listen.
    ///
    /// # Errors
    /// The address is in use or makes no sense, or the settings do not.
    pub fn make(folder: &Folder, arguments: &DevArguments) -> Result<Self> {
        if let Some(config) = &arguments.config {
            return from_file(config);
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

fn from_file(config: &Path) -> Result<Plan> {
    let text = fs::read_to_string(config)
        .map_err(|error| BadConfiguration(format!("cannot read {}: {error}", config.display())))?;
    // The programs get no RAT_* variable from here, so none counts here either.
    let name = config.display().to_string();
    let settings = Settings::load(Some((&name, &text)), &BTreeMap::new())
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

/// The text of `rat.yaml`. JSON strings are YAML strings, whatever is in them.
fn settings(folder: &Folder, listen: &Address) -> Result<String> {
    let quoted = |text: String| serde_json::Value::String(text).to_string();
    let socket = |name: &str| quoted(format!("unix:{}", folder.socket(name).display()));
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
    Ok(format!(
        "# Written by rat dev at every start. To change something, copy this file and start with
# rat dev --config COPY; every setting is explained in docs/reference/configuration.md.
server:
  listen: {listen}
  internal_socket: {internal}
  rate_limit: off
database:
  url: {database}
storage:
  url: {storage}
runner:
  address: {runner}
ratq:
  address: {ratq}
log:
  format: text
",
        listen = quoted(listen.to_string()),
        internal = socket("internal.sock"),
        database = quoted(format!("sqlite:{path}/rat.db")),
        storage = quoted(url.as_str().to_owned()),
        runner = socket("runner.sock"),
        ratq = socket("ratq.sock"),
    ))
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
    fn port_0_becomes_the_port_that_was_given() {
        let (_listener, address) = open(&"127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(!address.to_string().ends_with(":0"), "{address}");
    }
}
