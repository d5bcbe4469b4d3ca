//! ratd, the control plane: the only process that opens the platform database, and the only one
//! that moves a table's `main`.
//!
//! This crate puts the parts together and holds nothing that could stand elsewhere: the public API
//! is `rat-api`'s, the catalog `rat-catalog`'s, the life of a run `rat-scheduler`'s, what stands in
//! the slots of plugins `rat-plugin-host`'s. Its own is the
//! internal listener ([`internal`]), where runs and queries present their tokens, and the order in
//! which everything starts and ends.

mod arguments;
mod inspect;
mod internal;
mod serve;

use std::process::ExitCode;

use rat_service::runtime;

pub use arguments::{Arguments, Command};

/// Name of the process in logs and messages.
const NAME: &str = "ratd";

/// Does what the command line says.
pub fn run(arguments: Arguments) -> ExitCode {
    match arguments.command.unwrap_or_default() {
        Command::Serve(options) => {
            let config = options.config.or(arguments.options.config);
            runtime::start_configured(NAME, config.as_deref(), |settings, process| {
                serve::serve(settings, process, config.clone())
            })
        }
        Command::CheckConfig { file } => inspect::check(&file),
        Command::DumpConfig(options) => {
            inspect::dump(options.config.or(arguments.options.config).as_deref())
        }
        Command::ConfigSchema => inspect::schema(),
    }
}
