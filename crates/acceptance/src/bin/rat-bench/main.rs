//! Measures RAT and writes the figures to `docs/benchmarks.md`, a section for each subject.
//!
//! Machines differ and are noisy: each figure stands beside a baseline measured in the same run.

mod auth;
mod figures;
mod page;
mod plugins;
mod runs;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures, and writes the figures to docs/benchmarks.md.
#[derive(Parser)]
#[command(
    name = "cargo xtask bench",
    bin_name = "cargo xtask bench",
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    subject: Option<Subject>,
    #[command(flatten)]
    runs: runs::RunsArguments,
}

#[derive(Subcommand)]
enum Subject {
    /// Time from `POST /runs` to `success` of a pipeline of one row; what is measured by default.
    Runs(runs::RunsArguments),
    /// What an auth plugin costs a request, with a cold token cache and with a warm one.
    Plugins(plugins::PluginsArguments),
    /// What validating a token costs auth-keycloak, beside the bare verification of its signature.
    Auth(auth::AuthArguments),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.subject.unwrap_or(Subject::Runs(arguments.runs)) {
        Subject::Runs(arguments) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(runs::bench(&arguments))
        }
        Subject::Plugins(arguments) => plugins::bench(&arguments),
        Subject::Auth(arguments) => auth::bench(&arguments),
    }
}
