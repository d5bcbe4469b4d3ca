//! Arguments of `rat run`.

use clap::Args;
use rat_types::NamespaceName;

use super::OutputArgument;

/// `rat run`.
#[derive(Debug, Args)]
#[command(after_help = "\
One pipeline is only started, and its run's id printed, unless --wait or --follow is given. With
several, or --all, rat always waits: a pipeline starts when those that it reads from have succeeded,
independent ones run side by side, and what depends on a failed one is skipped.
While rat waits, Ctrl-C asks to cancel what is running; a second Ctrl-C leaves at once.
The exit code is 1 unless every run succeeded.

Examples:
  rat run shop.gold.daily --wait
  rat run gold.daily --namespace shop --follow
  rat run --all --namespace tpch --stale")]
pub struct RunArguments {
    /// Pipelines: layer.name with --namespace, or namespace.layer.name
    #[arg(value_name = "PIPELINE", required_unless_present = "all")]
    pub pipelines: Vec<String>,
    /// Run every pipeline, or every one of --namespace
    #[arg(long, conflicts_with = "pipelines")]
    pub all: bool,
    /// Namespace of pipelines written as layer.name [default: default]; with --all, the only one
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<NamespaceName>,
    /// Wait until it has ended
    #[arg(long)]
    pub wait: bool,
    /// Wait, and show the logs meanwhile
    #[arg(short, long)]
    pub follow: bool,
    /// Leave out pipelines whose last success had the same sources and no newer input
    #[arg(long)]
    pub stale: bool,
    /// Most runs at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: u16,
    /// Format of the result
    #[command(flatten)]
    pub output: OutputArgument,
}
