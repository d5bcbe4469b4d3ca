//! Arguments of the commands about who may do what, and who did what.

use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, ValueEnum};

use super::OutputArgument;

/// `rat plugins`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rat plugins
  rat plugins -o json")]
pub struct PluginsArguments {
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}

/// `rat plugin reload`.
#[derive(Debug, Args)]
#[command(after_help = "\
Plugins that are new, changed or gone in rat.yaml take or leave their slots; the others stay as they
are. A configuration that is wrong changes nothing.

Example:
  rat plugin reload")]
pub struct PluginReloadArguments {
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}

/// `rat audit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rat audit --limit 20
  rat audit --user ana --since 2026-11-01T00:00:00Z
  rat audit --resource shop.gold.daily -o csv")]
pub struct AuditArguments {
    /// Only what this user did
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Only this action: pipeline.write, table.read, authenticate, …
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// Only what was done to this, by name
    #[arg(long, value_name = "NAME")]
    pub resource: Option<String>,
    /// Only from this time on, such as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<DateTime<Utc>>,
    /// Most entries to list
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub limit: u64,
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}

/// A thing that has an owner.
#[derive(Debug, Clone, Args)]
pub struct ResourceArguments {
    /// What sort of thing it is
    #[arg(value_name = "KIND", value_enum)]
    pub kind: ResourceKind,
    /// Its name: namespace, namespace.layer.name or, of a zone, namespace.zone
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// A sort of thing that has an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResourceKind {
    /// A namespace
    Namespace,
    /// A pipeline
    Pipeline,
    /// A table
    Table,
    /// A landing zone; it cannot be shared, only given away
    Zone,
}

impl ResourceKind {
    /// As the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Pipeline => "pipeline",
            Self::Table => "table",
            Self::Zone => "landing_zone",
        }
    }
}

/// What a grant allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Permission {
    /// To see it and read its data
    Read,
    /// To read it, change it and run it
    Write,
    /// To write it, delete it and share it further
    Admin,
}

impl Permission {
    /// As the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// `rat share`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("grantee").required(true).args(["user", "role"]),
    after_help = "\
Examples:
  rat share pipeline shop.gold.daily --user ben
  rat share namespace shop --role analyst --allow write"
)]
pub struct ShareArguments {
    /// What is shared.
    #[command(flatten)]
    pub resource: ResourceArguments,
    /// User who gets access
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Role whose users get access
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// What they may do
    #[arg(long, value_name = "PERMISSION", value_enum, default_value_t = Permission::Read)]
    pub allow: Permission,
}

/// `rat unshare`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rat shares pipeline shop.gold.daily
  rat unshare 0199f0a4-7d2e-7c41-b3a5-2f1f6d1c9a10")]
pub struct UnshareArguments {
    /// Id of the grant
    #[arg(value_name = "GRANT")]
    pub grant: String,
}

/// `rat shares`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rat shares
  rat shares table shop.gold.daily
  rat shares --grantee ben -o json")]
pub struct SharesArguments {
    /// What sort of thing
    #[arg(value_name = "KIND", value_enum, requires = "name")]
    pub kind: Option<ResourceKind>,
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Only grants to this user or role
    #[arg(long, value_name = "NAME")]
    pub grantee: Option<String>,
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}

/// `rat transfer`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without a thing that is named, everything that --from owns.

Examples:
  rat transfer pipeline shop.gold.daily --to ben
  rat transfer --from anonymous --to ana")]
pub struct TransferArguments {
    /// What sort of thing
    #[arg(
        value_name = "KIND",
        value_enum,
        requires = "name",
        required_unless_present = "from"
    )]
    pub kind: Option<ResourceKind>,
    /// Its name
    #[arg(value_name = "NAME", conflicts_with = "from")]
    pub name: Option<String>,
    /// User who owns what is given away
    #[arg(long, value_name = "USER", conflicts_with = "kind")]
    pub from: Option<String>,
    /// User who gets it
    #[arg(long, value_name = "USER")]
    pub to: String,
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}
