//! `rat plugin`.

use std::process::ExitCode;

use anyhow::Result;

use crate::arguments::{PluginArguments, PluginCommand};
use crate::output::Console;

mod check;

pub(super) async fn execute(console: &Console, arguments: &PluginArguments) -> Result<ExitCode> {
    match &arguments.command {
        PluginCommand::Check(arguments) => check::execute(console, arguments).await,
    }
}
