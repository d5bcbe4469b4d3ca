//! The `plugins` section of `rat.yaml`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{DurationText, FileText, PluginAddressText};

/// Plugins by slot. A slot that is not named uses its built-in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Plugins {
    /// Says who a caller is. Built-in: the API key, or nobody is asked.
    /// Default: not set. Since v0.1.
    #[schemars(with = "Plugin")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth: Option<Plugin>,
    /// Executes runs. Built-in: the warm pool, rat-runner.
    /// Default: not set. Since v0.1.
    #[schemars(with = "Plugin")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) executor: Option<Plugin>,
    /// Shares resources between users. Built-in: nothing is shared.
    /// Default: not set. Since v0.1.
    #[schemars(with = "Plugin")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sharing: Option<Plugin>,
    /// Says who may do what with a resource. Built-in: everything is allowed.
    /// Default: not set. Since v0.1.
    #[schemars(with = "Plugin")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enforcement: Option<Plugin>,
    /// Gives runs credentials of a cloud. Built-in: there are none.
    /// Default: not set. Since v0.1.
    #[schemars(with = "Plugin")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cloud: Option<Plugin>,
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plugin {
    /// Container image that the plugin comes from. It is recorded as provenance; RAT starts no
    /// container.
    /// Required. Since v0.1.
    #[schemars(length(min = 1, max = 512))]
    pub(crate) image: String,
    /// Address of the plugin: `host:port` or `unix:/path` without TLS, `https://host:port` with.
    /// Plain TCP beyond loopback shows tokens to the network.
    /// Required. Since v0.1.
    pub(crate) address: PluginAddressText,
    /// Settings of the plugin itself, passed to it as they are. Secrets belong into files, and
    /// their paths in here.
    /// Default: `{}`. Since v0.1.
    #[schemars(extend("default" = {}))]
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) config: Map<String, Value>,
    /// Name under which the plugin appears; letters `a-z`, digits, `_` and `-`. `null` is the
    /// last part of `image` without its tag, or else the slot.
    /// Default: `null`. Since v0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// `grpc`, or `connect`: the Connect protocol over HTTP/1.1, for a plugin without HTTP/2.
    /// Default: `grpc`. Since v0.1.
    #[serde(default)]
    pub(crate) protocol: Protocol,
    /// What happens while the plugin is down. `deny`: calls that need it fail. `builtin`: the
    /// slot's built-in takes over, which for auth and enforcement opens the door. `hold` (executor
    /// only): runs wait as `pending`. `null` is `deny` for auth and enforcement, else `builtin`.
    /// Default: `null`. Since v0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on_down: Option<OnDown>,
    /// After how long without a call the plugin ends by itself, to be started by the next one
    /// (`--idle-stop`, behind a socket of systemd). ratd then does not ask for its health either,
    /// which would start it: its last status is shown with its age. At least `1s`.
    /// `null`: it runs on.
    /// Default: `null`. Since v0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) idle_stop: Option<DurationText>,
    /// Certificates for an `https://` address. `null`: the system's authorities, and no client
    /// certificate.
    /// Default: `null`. Since v0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<PluginTls>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Protocol {
    #[default]
    Grpc,
    Connect,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum OnDown {
    Deny,
    Builtin,
    Hold,
}

/// Certificates, as PEM files: absolute paths, or bare names that are looked up in
/// `$CREDENTIALS_DIRECTORY`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PluginTls {
    /// Authorities that may have signed the plugin's certificate, instead of the system's.
    /// Default: `null`. Since v0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<FileText>,
    /// Certificate that ratd shows to the plugin; together with `key`.
    /// Default: `null`. Since v0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cert: Option<FileText>,
    /// Private key of `cert`.
    /// Default: `null`. Since v0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<FileText>,
}
