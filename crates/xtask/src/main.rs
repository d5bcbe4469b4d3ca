//! The one entry point for developers: `cargo xtask <command>`.
//!
//! It builds and calls; what is worth a test of its own lives in the crates. Nothing here is part
//! of the product.

mod capability;
mod cargo;
mod fuzz;
mod nix;
mod tidy;
mod units;
mod vm;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use cargo::Build;

/// Builds, runs, tests and measures RAT.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the workspace and start RAT on embedded defaults (`rat dev`).
    Dev {
        /// Arguments for `rat dev`, for example `--dir .rat`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the workspace, start RAT, load TPC-H, run the example project and show the results.
    Demo {
        /// Arguments for `rat dev --demo tpch`, for example `--once` or `--scale 1`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run every test that this machine can run and name what was left out.
    Test {
        /// Fail when anything had to be left out.
        #[arg(long)]
        require_all: bool,
        /// Arguments for `cargo test`, for example `-p rat-store`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure with release binaries and write the figures to `docs/benchmarks.md`.
    Bench {
        /// Arguments for the benchmark program, for example `--runs 50`, `plugins` or `auth`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the scenarios of `vm-tests/` on machines that boot real systemd with the module's units.
    Vm(vm::Options),
    /// Make what is made of `nixos-module/units.nix`: the templates of `rat units`, and the table of
    /// `docs/reference/units.md`.
    Units {
        /// Write nothing, and fail where something is out of date.
        #[arg(long)]
        check: bool,
    },
    /// Look for inputs that break the parsers of tokens and keys.
    Fuzz {
        /// token, keys or json; all of them in turn if none is named.
        target: Option<String>,
        /// Time for each.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Check formatting, clippy and the project's own rules.
    Lint,
    /// Everything the gate checks: lint, every test, the demo.
    Ci,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("error: {error:#}\n"),
            );
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Dev { arguments } => dev(&cargo::build(Build::Programs)?, &arguments),
        Command::Demo { arguments } => demo(&cargo::build(Build::Programs)?, &arguments),
        Command::Test {
            require_all,
            arguments,
        } => {
            let what = match selects_packages(&arguments) {
                true => Build::Programs,
                false => Build::ProgramsAndTests,
            };
            test(&cargo::build(what)?, require_all, &arguments)
        }
        Command::Bench { arguments } => {
            let binaries = cargo::build(Build::Release)?;
            cargo::program(&binaries.join("rat-bench"), arguments)
        }
        Command::Vm(options) => vm::command(&options),
        Command::Units { check } => units::update(check),
        Command::Fuzz { target, seconds } => fuzz::fuzz(target.as_deref(), seconds),
        Command::Lint => lint(),
        Command::Ci => {
            lint()?;
            let binaries = cargo::build(Build::ProgramsAndTests)?;
            test(&binaries, true, &[])?;
            demo(&binaries, &["--once".to_owned()])
        }
    }
}

fn dev(binaries: &Path, arguments: &[String]) -> Result<()> {
    cargo::program(
        &binaries.join("rat"),
        std::iter::once("dev".to_owned()).chain(arguments.iter().cloned()),
    )
}

fn demo(binaries: &Path, arguments: &[String]) -> Result<()> {
    let folder = cargo::root().join(".rat/demo");
    let mut all = vec!["--demo".to_owned(), "tpch".to_owned()];
    if !arguments
        .iter()
        .any(|argument| argument.starts_with("--dir"))
    {
        all.extend(["--dir".to_owned(), folder.display().to_string()]);
    }
    all.extend(arguments.iter().cloned());
    dev(binaries, &all)
}

/// Whether `arguments` of `cargo test` name packages.
fn selects_packages(arguments: &[String]) -> bool {
    arguments
        .iter()
        .any(|argument| argument == "-p" || argument.starts_with("--package"))
}

fn test(binaries: &Path, require_all: bool, arguments: &[String]) -> Result<()> {
    let capabilities = capability::detect(&cargo::root())?;
    let missing: Vec<_> = capabilities
        .iter()
        .filter(|found| found.problem.is_some())
        .collect();
    let mut environment: Vec<(String, String)> =
        vec![("RAT_TEST_BINARIES".into(), binaries.display().to_string())];
    environment.extend(
        capabilities
            .iter()
            .flat_map(|found| found.environment.clone()),
    );
    if require_all {
        environment.push(("RAT_REQUIRE_ALL".into(), "1".into()));
    }
    let selected = if selects_packages(arguments) {
        vec!["test".to_owned()]
    } else {
        vec!["test".to_owned(), "--workspace".to_owned()]
    };
    let mut outcome = cargo::run_with(
        selected.into_iter().chain(arguments.iter().cloned()),
        &environment,
    );
    if outcome.is_ok() && !selects_packages(arguments) && vm::problem().is_none() {
        outcome = vm::run(binaries, &vm::Options::default());
    }
    for found in &missing {
        let reason = found.problem.as_deref().unwrap_or_default();
        cargo::say(&format!("LEFT OUT: {}: {reason}", found.tests));
    }
    if missing.is_empty() {
        cargo::say("nothing was left out");
    }
    outcome?;
    anyhow::ensure!(
        !require_all || missing.is_empty(),
        "{} group(s) of tests could not be run on this machine",
        missing.len()
    );
    Ok(())
}

fn lint() -> Result<()> {
    tidy::check(&cargo::root())?;
    cargo::run_with(["fmt", "--all", "--check"].map(str::to_owned), &[])?;
    cargo::run_with(
        [
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]
        .map(str::to_owned),
        &[],
    )
}
