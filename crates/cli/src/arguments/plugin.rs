//! Arguments of `rat plugin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use rat_config::{PluginAddress, Protocol, Slot};

use super::{OutputArgument, PluginReloadArguments};

/// `rat plugin`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rat plugin check 127.0.0.1:50060 --slot auth
  rat plugin check --explain
  rat plugin reload")]
pub struct PluginArguments {
    /// What to do
    #[command(subcommand)]
    pub command: PluginCommand,
}

/// What can be done with plugins.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Check that a plugin keeps its contract; exit code 1 if not
    Check(Box<PluginCheckArguments>),
    /// Let ratd read the plugins of its configuration again
    Reload(PluginReloadArguments),
}

/// `rat plugin check`.
#[derive(Debug, Args)]
#[command(after_help = "\
The plugin is asked directly, without ratd, in whatever language it is written. Every check stands on
a sentence of the contract and has a name that stays; nothing is left behind in the plugin: no grant,
no run, no configuration. What the contract requires and is missing is a failure; what only plugins
on the Rust SDK have is a warning; what could not be checked is named with the reason.

Exit codes: 0 nothing failed, 1 something failed (with --strict: or was a warning), 2 the command line
is wrong.

Examples:
  rat plugin check unix:/run/rat/plugins/auth.sock --slot auth --token token.txt
  rat plugin check https://auth.example.org:50060 --ca ca.pem -o json
  rat plugin check unix:/tmp/auth.sock --start 'python auth_static.py --listen unix:/tmp/auth.sock'
  rat plugin check 127.0.0.1:50060 --restart 'systemctl restart rat-plugin-auth'
  rat plugin check --explain")]
pub struct PluginCheckArguments {
    /// Where the plugin is: unix:/path, host:port or https://host:port
    #[arg(value_name = "ADDRESS", required_unless_present = "explain")]
    pub address: Option<PluginAddress>,
    /// What it speaks, as in rat.yaml
    #[arg(long, value_name = "PROTOCOL", value_enum, default_value_t = ProtocolName::Grpc)]
    pub protocol: ProtocolName,
    /// Slot that it must fill, repeatable [default: those whose service it has]
    #[arg(long, value_name = "SLOT", value_enum)]
    pub slot: Vec<SlotName>,
    /// Only this check, or those whose names begin with it (auth, auth.bad-token); repeatable
    #[arg(long, value_name = "CHECK")]
    pub only: Vec<String>,
    /// File that holds a token that the auth plugin accepts, for the checks of accepted callers
    #[arg(long, value_name = "FILE")]
    pub token: Option<PathBuf>,
    /// File that holds a configuration that the plugin accepts, as a JSON object: it is sent twice
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Shell command that starts the plugin: it is stopped, killed and started again
    #[arg(long, value_name = "COMMAND")]
    pub start: Option<String>,
    /// Shell command that restarts the plugin
    #[arg(long, value_name = "COMMAND", conflicts_with = "start")]
    pub restart: Option<String>,
    /// PEM file of authorities for an https address [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// PEM file of the client certificate's key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Count warnings as failures
    #[arg(long)]
    pub strict: bool,
    /// Show the sentence of the contract behind every check; without an address, of all there are
    #[arg(long)]
    pub explain: bool,
    /// Format of the result
    #[command(flatten)]
    pub output: OutputArgument,
}

/// A protocol, as it is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProtocolName {
    /// gRPC over HTTP/2
    Grpc,
    /// Connect over HTTP/1.1
    Connect,
}

impl From<ProtocolName> for Protocol {
    fn from(name: ProtocolName) -> Self {
        match name {
            ProtocolName::Grpc => Self::Grpc,
            ProtocolName::Connect => Self::Connect,
        }
    }
}

/// A slot, as it is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SlotName {
    /// Who is calling
    Auth,
    /// Where runs are executed
    Executor,
    /// Who shares what with whom
    Sharing,
    /// Who may do what
    Enforcement,
    /// Credentials of a cloud
    Cloud,
}

impl From<SlotName> for Slot {
    fn from(name: SlotName) -> Self {
        match name {
            SlotName::Auth => Self::Auth,
            SlotName::Executor => Self::Executor,
            SlotName::Sharing => Self::Sharing,
            SlotName::Enforcement => Self::Enforcement,
            SlotName::Cloud => Self::Cloud,
        }
    }
}
