//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The control plane of RAT: REST API, Iceberg catalog, scheduler.
#[derive(Debug, Parser)]
#[command(name = "ratd", version, about, long_about = None, args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Exit codes: 0 ended as asked, 1 failure, 2 wrong usage, 78 bad configuration, \
130 or 143 ended at once by a second signal.")]
pub struct Arguments {
    /// What to do; to serve, if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of the command that is not said.
    #[command(flatten)]
    pub options: Options,
}

/// What ratd can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve, until SIGTERM or SIGINT
    Serve(Options),
    /// Check a settings file: every problem with its place, exit code 78 if there is one
    CheckConfig {
        /// The file
        file: PathBuf,
    },
    /// Print the effective settings, without secrets
    DumpConfig(Options),
    /// Print the JSON Schema of the settings file
    ConfigSchema,
}

impl Default for Command {
    fn default() -> Self {
        Self::Serve(Options::default())
    }
}

/// Where the settings are.
#[derive(Debug, Default, Args)]
pub struct Options {
    /// Settings file; without it $RAT_CONFIG, else ./rat.yaml, else the defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn to_serve_is_what_is_done_if_nothing_is_said() {
        let arguments = Arguments::parse_from(["ratd", "--config", "a.yaml"]);
        assert!(arguments.command.is_none());
        assert_eq!(arguments.options.config, Some("a.yaml".into()));
        let arguments = Arguments::parse_from(["ratd", "serve", "--config", "a.yaml"]);
        assert!(matches!(
            arguments.command,
            Some(Command::Serve(Options { config: Some(_) }))
        ));
    }
}
