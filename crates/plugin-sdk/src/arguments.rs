//! The command line, the same for every plugin.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use rat_config::{Address, LogFormat};

use crate::Plugin;
use crate::config::prefix_of;

const EXIT_CODES: &str = "\
Exit codes: 0 asked to end; 1 a fault; 2 the command line is wrong; 78 the configuration is wrong.";

/// What a plugin is told when it is started.
// The text for people is put together when the plugin is known.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serving: Serving,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the JSON Schema of the configuration
    ConfigSchema,
    /// Check the configuration in a file and the environment, and exit
    CheckConfig {
        /// Configuration file, YAML or JSON
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Serving {
    /// Where to listen: unix:/path or host:port; may be repeated. Sockets from systemd replace it
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<Address>,
    /// Configuration file, YAML or JSON: over what ratd sends, under the environment
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// User that may send a configuration, by name or number, beside root and the plugin's own;
    /// may be repeated
    #[arg(long, value_name = "USER")]
    pub(crate) configure_from: Vec<String>,
    /// Exit after no call for so long, as in 5m; only with sockets from systemd, which start the
    /// plugin again
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) idle_stop: Option<Duration>,
    /// How long open calls may take after SIGTERM
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = humantime::parse_duration)]
    pub(crate) shutdown_timeout: Duration,
    /// Log level, or directives such as info,h2=debug
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: String,
    /// How logs are written
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub(crate) log_format: Format,
}

/// The formats of the log.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// JSON under systemd, text otherwise
    Auto,
    /// One object a line
    Json,
    /// For people
    Text,
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Auto => Self::Auto,
            Format::Json => Self::Json,
            Format::Text => Self::Text,
        }
    }
}

impl Arguments {
    /// Reads the command line; ends the process where it is wrong, or only help was wanted.
    pub(crate) fn read<P: Plugin>(slots: &[&str]) -> Self {
        let about = match slots {
            [] => "A plugin of RAT".to_owned(),
            slots => format!("A plugin of RAT: {}", slots.join(", ")),
        };
        let prefix = prefix_of(P::NAME);
        let after = format!(
            "Environment: {prefix}<KEY> sets a key of the configuration, {prefix}<KEY>__<KEY> one \
             within.\n\n{EXIT_CODES}"
        );
        let command = Self::command()
            .name(P::NAME)
            .version(P::VERSION)
            .about(about)
            .long_about(None)
            .after_help(after);
        let matches = command.get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}
