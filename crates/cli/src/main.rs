//! `rat`: the command line of RAT.

use std::process::ExitCode;

fn main() -> ExitCode {
    rat_cli::main()
}
