//! Plugins after validation.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::mirrored;
use crate::{FileReference, PluginAddress};

/// The longest name of a plugin.
const MAX_NAME: usize = 63;

/// What a plugin can take the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Says who a caller is.
    Auth,
    /// Executes runs.
    Executor,
    /// Shares resources between users.
    Sharing,
    /// Says who may do what with a resource.
    Enforcement,
    /// Gives runs credentials of a cloud.
    Cloud,
}

impl Slot {
    /// All slots.
    pub const ALL: [Self; 5] = [
        Self::Auth,
        Self::Executor,
        Self::Sharing,
        Self::Enforcement,
        Self::Cloud,
    ];

    /// The slot's key under `plugins`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Executor => "executor",
            Self::Sharing => "sharing",
            Self::Enforcement => "enforcement",
            Self::Cloud => "cloud",
        }
    }

    /// What happens while the slot's plugin is down and `on_down` says nothing. For auth and
    /// enforcement the built-in would open the door.
    pub fn default_on_down(self) -> OnDown {
        match self {
            Self::Auth | Self::Enforcement => OnDown::Deny,
            Self::Executor | Self::Sharing | Self::Cloud => OnDown::Builtin,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

mirrored!(
    /// How ratd speaks to a plugin.
    Protocol {
        /// gRPC over HTTP/2.
        Grpc = "grpc",
        /// Connect over HTTP/1.1.
        Connect = "connect",
    }
);

mirrored!(
    /// What happens while a plugin is down.
    OnDown {
        /// Calls that need it fail.
        Deny = "deny",
        /// The slot's built-in takes over.
        Builtin = "builtin",
        /// Runs wait; only for the executor.
        Hold = "hold",
    }
);

/// A plugin that fills a slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// Name under which it appears; unique among the plugins.
    pub name: PluginName,
    /// Where it comes from. RAT starts no container.
    pub image: String,
    /// Where it is reached.
    pub address: PluginAddress,
    /// How ratd speaks to it.
    pub protocol: Protocol,
    /// What happens while it is down.
    pub on_down: OnDown,
    /// After how long without a call it ends by itself; `None` runs on.
    pub idle_stop: Option<Duration>,
    /// Certificates for an `https://` address.
    pub tls: PluginTls,
    /// Its own settings.
    pub config: PluginConfig,
}

/// Certificates as PEM files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PluginTls {
    /// Authorities instead of the system's.
    pub ca: Option<FileReference>,
    /// Client certificate and its private key.
    pub identity: Option<(FileReference, FileReference)>,
}

/// A plugin's own settings, which only the plugin understands. `Debug` shows the keys only.
#[derive(Clone, Default, PartialEq)]
pub struct PluginConfig(Map<String, Value>);

impl PluginConfig {
    pub(crate) fn new(values: Map<String, Value>) -> Self {
        Self(values)
    }

    /// The settings, as they are passed to the plugin. No other plugin may see them.
    pub fn values(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: BTreeSet<_> = self.0.keys().collect();
        f.debug_set().entries(keys).finish()
    }
}

/// Name of a plugin: `^[a-z][a-z0-9_-]*$`, at most 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginName(String);

/// Why a text is not a plugin's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must start with a letter and contain only a-z, 0-9, '_' and '-', at most 63 characters, not {value}"
)]
pub struct InvalidPluginName {
    value: String,
}

impl PluginName {
    /// The name of a plugin that nobody named: the last part of its image without tag and
    /// digest, or else its slot.
    pub fn from_image(image: &str, slot: Slot) -> Self {
        let without_digest = image.split('@').next().unwrap_or_default();
        let last = without_digest.rsplit('/').next().unwrap_or_default();
        let base = last.split(':').next().unwrap_or_default();
        base.parse()
            .unwrap_or_else(|_| Self(slot.as_str().to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginName {
    type Err = InvalidPluginName;

    fn from_str(text: &str) -> Result<Self, InvalidPluginName> {
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-'
        };
        let valid = text.len() <= MAX_NAME
            && text.starts_with(|char: char| char.is_ascii_lowercase())
            && text.bytes().all(plain);
        match valid {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidPluginName {
                value: crate::text::quoted(text),
            }),
        }
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_nobody_named_is_called_after_its_image() {
        for (image, name) in [
            (
                "ghcr.io/squat-collective/auth-keycloak:latest",
                "auth-keycloak",
            ),
            ("my-auth-plugin:latest", "my-auth-plugin"),
            ("registry:5000/team/cloud-aws", "cloud-aws"),
            ("registry/x/cloud-aws:1.2@sha256:abcdef", "cloud-aws"),
            ("registry/x/Cloud.AWS:1.2", "auth"),
            ("registry:5000/", "auth"),
            ("@sha256:abcdef", "auth"),
        ] {
            assert_eq!(
                PluginName::from_image(image, Slot::Auth).as_str(),
                name,
                "{image}"
            );
        }
    }

    #[test]
    fn debug_output_of_a_plugins_settings_shows_no_value() {
        let values = Map::from_iter([("password".to_owned(), Value::from("hunter2"))]);
        assert_eq!(
            format!("{:?}", PluginConfig::new(values)),
            r#"{"password"}"#
        );
    }
}
