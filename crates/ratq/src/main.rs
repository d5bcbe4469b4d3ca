//! `ratq`: read-only queries over the lake.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use rat_service::runtime;

/// Read-only queries over the lake, as a gRPC service for ratd
#[derive(Debug, Parser)]
#[command(
    name = "ratq",
    version,
    after_help = "\
Exit codes: 0 asked to end, 1 a fault, 2 the command line is wrong, 78 the configuration is wrong.

Example:
  ratq --config /etc/rat/rat.yaml"
)]
struct Arguments {
    /// Settings file [default: $RAT_CONFIG, else ./rat.yaml, else built-in defaults]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    runtime::start_configured("ratq", arguments.config.as_deref(), ratq::run)
}
