//! Commands about the settings that start nothing.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use rat_config::Settings;
use rat_service::config;
use rat_service::runtime::{EXIT_CONFIG, EXIT_FAILURE, refuse};

use crate::NAME;

/// `ratd check-config FILE`.
pub(crate) fn check(file: &Path) -> ExitCode {
    match config::check(file) {
        Ok(settings) => {
            warn(&settings);
            print(&format!("{}: valid\n", file.display()))
        }
        Err(error) => refuse(NAME, &error, EXIT_CONFIG),
    }
}

/// `ratd dump-config`.
pub(crate) fn dump(file: Option<&Path>) -> ExitCode {
    match config::load(file) {
        Ok(settings) => {
            warn(&settings);
            print(&rat_config::dump(&settings))
        }
        Err(error) => refuse(NAME, &error, EXIT_CONFIG),
    }
}

/// `ratd config-schema`.
pub(crate) fn schema() -> ExitCode {
    print(&format!("{:#}\n", rat_config::json_schema()))
}

fn warn(settings: &Settings) {
    for warning in &settings.warnings {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(io::stderr(), "{NAME}: warning: {warning}");
    }
}

/// A reader that has seen enough (`ratd config-schema | head`) is no failure.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => refuse(NAME, &error, EXIT_FAILURE),
    }
}
