//! `rat plugin`.

use std::process::ExitCode;

use anyhow::Result;

use super::Session;
use crate::arguments::{PluginArguments, PluginCommand};
use crate::output::Console;

mod check;
mod manage;

pub(super) use manage::list;

pub(super) async fn execute(
    console: &Console,
    connect: impl FnOnce() -> Result<Session>,
    arguments: &PluginArguments,
) -> Result<ExitCode> {
    match &arguments.command {
        PluginCommand::Check(arguments) => check::execute(console, arguments).await,
        PluginCommand::Reload(arguments) => manage::reload(&connect()?, arguments).await,
    }
}
