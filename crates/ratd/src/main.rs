//! The control plane of RAT. All it does is in the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    ratd::run(ratd::Arguments::parse())
}
