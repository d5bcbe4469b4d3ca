//! The command line of RAT: a client of ratd's REST API for people and scripts, and `rat dev`,
//! which starts all of RAT on one machine.
//!
//! Everything but `rat dev` and `rat units` goes through the public API; nothing here knows the database, the
//! catalog or the lake. The binary is this library's [`main`].

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use crate::arguments::{Arguments, DevChildArguments};

pub mod apply;
pub mod arguments;
pub mod client;
pub mod commands;
pub mod demo;
pub mod dev;
pub mod landing;
pub mod login;
pub mod output;
pub mod progress;
pub mod runs;
mod state_folder;
pub mod units;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Revision that it was built from.
pub const REVISION: &str = match option_env!("RAT_GIT_REV") {
    Some(revision) => revision,
    None => "unknown revision",
};

/// Something did not work.
const FAILURE: u8 = 1;
/// The command line is wrong.
const USAGE: u8 = 2;
/// The configuration is wrong.
const CONFIGURATION: u8 = 78;

/// Time that blocking work gets to notice that the program ends.
const LEFTOVERS: Duration = Duration::from_millis(500);

/// The whole program.
pub fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words
        .next()
        .is_some_and(|word| word == DevChildArguments::NAME)
    {
        let arguments = match DevChildArguments::try_parse_from(std::env::args_os().skip(1)) {
            Ok(arguments) => arguments,
            Err(error) => return refuse(&error),
        };
        return dev::become_child(&arguments).unwrap_or_else(|error| exit(&error));
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    start_tracing();
    // One thread: the kernel ties the programs of `rat dev` to the thread that started them.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return exit(&error.into()),
    };
    let outcome = runtime.block_on(commands::execute(arguments));
    runtime.shutdown_timeout(LEFTOVERS);
    outcome.unwrap_or_else(|error| exit(&error))
}

/// Shows what clap has to say.
fn refuse(error: &clap::Error) -> ExitCode {
    // Help and version go to standard output and are no error. Nobody is left to tell when the
    // message cannot be written.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
}

/// Diagnostics for whoever asks with RAT_LOG, and only then.
fn start_tracing() {
    let Some(directives) = std::env::var_os("RAT_LOG") else {
        return;
    };
    let filter = match EnvFilter::try_new(directives.to_string_lossy()) {
        Ok(filter) => filter,
        Err(error) => {
            let console = output::Console::new(output::Settings::detect(true));
            return console.note(&format!("RAT_LOG is ignored: {error}"));
        }
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    // It can only fail where a subscriber is set already.
    let _ = subscriber.try_init();
}

/// Shows why it did not work, and with which code the program ends.
fn exit(error: &anyhow::Error) -> ExitCode {
    let is_closed_pipe = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe);
    if is_closed_pipe {
        // Whoever reads our output has seen enough, as `head` does.
        return ExitCode::SUCCESS;
    }
    let console = output::Console::new(output::Settings::detect(true));
    let word = console.paint_note(output::Tone::Bad, "error:");
    console.note(&format!("{word} {error:#}"));
    if error.is::<commands::Usage>() {
        return ExitCode::from(USAGE);
    }
    let is_configuration = error.is::<dev::BadConfiguration>()
        || error
            .downcast_ref::<dev::Fatal>()
            .is_some_and(|fatal| fatal.configuration);
    ExitCode::from(if is_configuration {
        CONFIGURATION
    } else {
        FAILURE
    })
}

/// The completion script of a shell.
fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(shell, &mut command, "rat", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Writes the manual pages, one for each command.
fn manual(folder: &std::path::Path) -> anyhow::Result<()> {
    let command = Arguments::command();
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .with_context(|| format!("cannot write the manual pages into {}", folder.display()))
}
