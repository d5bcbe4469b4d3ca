//! Calling cargo and the programs that it built.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The project's root folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Prints a line for people.
pub(crate) fn say(line: &str) {
    // Nothing useful can be done when stdout is closed.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// What is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// The programs.
    Programs,
    /// The programs, to be measured.
    Release,
    /// The programs and all tests, which afterwards only have to be started. What tests need of
    /// their dependencies, such as tokio's `test-util`, the programs then have too: else cargo
    /// would compile everything that uses those, and so DataFusion, once for either.
    ProgramsAndTests,
}

/// Builds and answers with the folder that holds the programs.
///
/// Always the whole workspace: for a selection of packages cargo picks other features of their
/// dependencies, and would compile those once more.
pub(crate) fn build(what: Build) -> Result<PathBuf> {
    let (arguments, profile): (&[&str], _) = match what {
        Build::Programs => (&[], "debug"),
        Build::Release => (&["--release"], "release"),
        Build::ProgramsAndTests => (&["--bins", "--tests"], "debug"),
    };
    let mut command = cargo();
    command.args(["build", "--workspace"]).args(arguments);
    finish(command)?;
    Ok(target_folder()?.join(profile))
}

fn target_folder() -> Result<PathBuf> {
    let output = cargo()
        .args(["metadata", "--format-version=1", "--no-deps"])
        .output()
        .context("failed to start cargo metadata")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")?;
    let folder = metadata["target_directory"]
        .as_str()
        .context("no target_directory")?;
    Ok(PathBuf::from(folder))
}

/// The machine that is compiled on, as rustc calls it.
pub(crate) fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let output = Command::new(rustc)
        .arg("-vV")
        .output()
        .context("failed to start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

/// Runs cargo with `arguments` and additional environment variables.
pub(crate) fn run_with(
    arguments: impl IntoIterator<Item = String>,
    environment: &[(String, String)],
) -> Result<()> {
    let mut command = cargo();
    command.args(arguments).envs(environment.iter().cloned());
    finish(command)
}

/// Runs a program that was built.
pub(crate) fn program(path: &Path, arguments: impl IntoIterator<Item = String>) -> Result<()> {
    let mut command = Command::new(path);
    command.args(arguments).current_dir(root());
    finish(command)
}

fn finish(mut command: Command) -> Result<()> {
    let name = Path::new(command.get_program())
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let status = command
        .status()
        .with_context(|| format!("failed to start {name}"))?;
    ensure!(status.success(), "{name} ended with {status}");
    Ok(())
}
