//! `rat-runner`: executes pipeline runs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use rat_service::runtime;

/// Executes pipeline runs
#[derive(Debug, Parser)]
#[command(
    name = "rat-runner",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "\
Exit codes: 0 asked to end, or the run succeeded; 1 a fault, or the run did not succeed; 2 the
command line is wrong; 78 the configuration is wrong.

Examples:
  rat-runner --config /etc/rat/rat.yaml
  rat-runner once --request run.json --result outcome.json"
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Settings file [default: $RAT_CONFIG, else ./rat.yaml, else built-in defaults]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take runs from ratd over gRPC until asked to end (the default)
    Serve(Common),
    /// Execute one run and exit
    Once {
        #[command(flatten)]
        common: Common,
        /// File with the request, as JSON
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
        /// File to write the outcome to, as JSON, readable by the owner alone
        #[arg(long, value_name = "FILE")]
        result: PathBuf,
    },
}

fn main() -> ExitCode {
    let Arguments { command, common } = Arguments::parse();
    match command.unwrap_or(Command::Serve(common)) {
        Command::Serve(Common { config }) => {
            runtime::start_configured("rat-runner", config.as_deref(), rat_runner::serve)
        }
        Command::Once {
            common: Common { config },
            request,
            result,
        } => runtime::start_configured("rat-runner", config.as_deref(), |settings, process| {
            rat_runner::once(settings, process, request, result)
        }),
    }
}
