//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use rat_types::{NamespaceName, RunId, RunStatus};

use crate::client::Server;
use crate::output::Format;

mod access;
mod dev;
mod login;
mod plugin;
mod run;
mod units;

pub use access::{
    AuditArguments, Permission, PluginReloadArguments, PluginsArguments, ResourceArguments,
    ResourceKind, ShareArguments, SharesArguments, TransferArguments, UnshareArguments,
};
pub use dev::{Demo, DevArguments, DevChildArguments};
pub use login::{LoginArguments, LogoutArguments, WhoamiArguments};
pub use plugin::{PluginArguments, PluginCheckArguments, PluginCommand, ProtocolName, SlotName};
pub use run::RunArguments;
pub use units::{Credential, OfSlot, UnitsArguments};

/// Where ratd is unless something else is said.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

const AFTER_HELP: &str = "\
Examples:
  rat dev                                  in another terminal
  rat login                                where ratd asks who is calling
  rat apply examples/shop
  rat run --all --namespace shop
  rat query 'SELECT * FROM shop.silver.daily'

Exit codes:
  0   it worked
  1   it did not: ratd refused, a run failed, a project is not valid, nobody answered
  2   the command line is wrong
  78  rat dev, rat units: the configuration is wrong

Standard output carries results only; progress, notes and errors go to standard error.";

/// Command line of RAT: apply pipelines, run them, query their tables.
#[derive(Debug, Parser)]
#[command(
    name = "rat",
    version = crate::VERSION,
    about = "Command line of RAT: apply pipelines, run them, query their tables",
    after_help = AFTER_HELP,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub struct Arguments {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Where ratd is: http://host:port, https://host:port or unix:/path
    #[arg(
        long,
        global = true,
        env = "RAT_URL",
        value_name = "URL",
        default_value = DEFAULT_SERVER,
        hide_env_values = true
    )]
    pub server: Server,
    /// File that holds the API key, instead of a login
    #[arg(
        long,
        global = true,
        env = "RAT_API_KEY_FILE",
        value_name = "FILE",
        hide_env_values = true
    )]
    pub api_key_file: Option<PathBuf>,
    /// Plain lines instead of progress bars
    #[arg(long, global = true)]
    pub no_progress: bool,
}

/// The format of the result.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgument {
    /// Format of the result
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start ratd, rat-runner and ratq on this machine, and watch over them
    Dev(DevArguments),
    /// Log in with the login provider of a server
    Login(LoginArguments),
    /// Forget the login at a server, and have the provider forget it
    Logout(LogoutArguments),
    /// Show who the server takes the caller for
    Whoami(WhoamiArguments),
    /// Make the server's pipelines equal to a project folder
    Apply(ApplyArguments),
    /// Run pipelines, in the order in which they depend on each other
    Run(RunArguments),
    /// List runs, newest first
    Runs(RunsArguments),
    /// Show the log of a run
    Logs(LogsArguments),
    /// Ask a run to stop
    Cancel(CancelArguments),
    /// Execute a read-only SQL query
    Query(QueryArguments),
    /// List tables, or show one with its columns
    Tables(TablesArguments),
    /// List pipelines
    Pipelines(ListArguments),
    /// List landing zones
    Zones(ZonesArguments),
    /// Put files into a landing zone
    Upload(UploadArguments),
    /// List plugins with their health
    Plugins(PluginsArguments),
    /// Work with plugins: check that one keeps its contract, read their configuration again
    Plugin(PluginArguments),
    /// Give a user or a role access to something
    Share(ShareArguments),
    /// Take a grant back
    Unshare(UnshareArguments),
    /// List grants
    Shares(SharesArguments),
    /// Give something, or everything that somebody owns, to another owner
    Transfer(TransferArguments),
    /// List what was changed, refused and denied, newest first
    Audit(AuditArguments),
    /// Write systemd units for a machine without NixOS
    Units(UnitsArguments),
    /// Show whether the services are well; exit code 1 if not
    #[command(after_help = "Example:\n  rat health && echo all is well")]
    Health(HealthArguments),
    /// Print the completion script of a shell
    #[command(after_help = "\
Examples:
  rat completions bash > ~/.local/share/bash-completion/completions/rat
  rat completions zsh > \"${fpath[1]}/_rat\"
  rat completions fish > ~/.config/fish/completions/rat.fish")]
    Completions(CompletionsArguments),
    /// Write the manual pages of this program into a folder
    #[command(after_help = "Example:\n  rat man ~/.local/share/man/man1")]
    Man(ManArguments),
    /// Print the version of this program
    #[command(after_help = "Example:\n  rat version")]
    Version,
}

/// `rat man`.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// Folder, which is made where it is missing
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// `rat apply`.
#[derive(Debug, Args)]
#[command(after_help = "\
A project is laid out as
  DIR/<namespace>/pipelines/<bronze|silver|gold>/<name>/pipeline.sql
  DIR/<namespace>/pipelines/<layer>/<name>/config.yaml
  DIR/<namespace>/pipelines/<layer>/<name>/tests/quality/<test>.sql
  DIR/<namespace>/landing/<zone>/<file>

Everything is validated first; nothing is applied unless all of it is valid.

Examples:
  rat apply examples/tpch --dry-run
  rat apply examples/tpch --prune")]
pub struct ApplyArguments {
    /// Folder of the project
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Delete the pipelines of the project's namespaces that the project does not have
    #[arg(long)]
    pub prune: bool,
    /// Only validate and print what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// `rat runs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rat runs
  rat runs --status failed --limit 5
  rat runs --pipeline shop.gold.daily -o json")]
pub struct RunsArguments {
    /// Only runs of this namespace
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<NamespaceName>,
    /// Only runs of this pipeline: layer.name with --namespace, or namespace.layer.name
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,
    /// Only runs in this state: pending, running, success, failed or cancelled
    #[arg(long, value_name = "STATUS")]
    pub status: Option<RunStatus>,
    /// Most runs to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub limit: u64,
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}

/// `rat logs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rat logs 0199f0a4-7d2e-7c41-b3a5-2f1f6d1c9a10
  rat logs shop.silver.daily --follow")]
pub struct LogsArguments {
    /// Id of the run, or a pipeline, for its latest run
    #[arg(value_name = "RUN|PIPELINE")]
    pub run: String,
    /// Namespace of a pipeline written as layer.name [default: default]
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<NamespaceName>,
    /// Keep showing new lines until the run has ended; exit code 1 unless it succeeded
    #[arg(short, long)]
    pub follow: bool,
}

/// `rat cancel`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  rat cancel 0199f0a4-7d2e-7c41-b3a5-2f1f6d1c9a10")]
pub struct CancelArguments {
    /// Id of the run
    #[arg(value_name = "RUN")]
    pub run: RunId,
}

/// `rat query`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rat query 'SELECT count(*) FROM tpch.bronze.orders'
  rat query --namespace tpch -o csv 'SELECT * FROM gold.q1_pricing_summary' > q1.csv
  echo 'SELECT 1 AS one' | rat query -")]
pub struct QueryArguments {
    /// One SQL statement that only reads; - takes it from standard input
    #[arg(value_name = "SQL")]
    pub sql: String,
    /// Namespace in which layer.table is looked up
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub namespace: NamespaceName,
    /// Most rows in the answer
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}

/// `rat tables`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rat tables --namespace tpch
  rat tables tpch.gold.q1_pricing_summary")]
pub struct TablesArguments {
    /// A table to show with its columns: layer.name with --namespace, or namespace.layer.name
    #[arg(value_name = "NAME")]
    pub table: Option<String>,
    /// Only tables of this namespace
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<NamespaceName>,
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}

/// `rat pipelines`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rat pipelines --namespace tpch")]
pub struct ListArguments {
    /// Only pipelines of this namespace
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<NamespaceName>,
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}

/// `rat zones`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rat zones --namespace tpch")]
pub struct ZonesArguments {
    /// Only zones of this namespace
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<NamespaceName>,
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}

/// `rat upload`.
#[derive(Debug, Args)]
#[command(after_help = "\
The zone is created if there is none of that name.

Examples:
  rat upload orders 2026-11.csv 2026-12.csv
  rat upload shop.orders orders.parquet --overwrite")]
pub struct UploadArguments {
    /// Landing zone: zone with --namespace, or namespace.zone
    #[arg(value_name = "ZONE")]
    pub zone: String,
    /// Files to upload, each under its own name
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Namespace of the zone
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub namespace: NamespaceName,
    /// Replace files of the same name
    #[arg(long)]
    pub overwrite: bool,
}

/// `rat health`.
#[derive(Debug, Args)]
pub struct HealthArguments {
    /// Format.
    #[command(flatten)]
    pub output: OutputArgument,
}

/// `rat completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
