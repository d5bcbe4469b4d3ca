//! Nix, where it is installed.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// The project's root folder.
pub(crate) fn root() -> PathBuf {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    PathBuf::from(here).canonicalize().unwrap()
}

/// Runs a program of Nix; `None` where it is missing and may be.
pub(crate) fn run(command: &mut Command) -> Option<Output> {
    match command.current_dir(root()).output() {
        Ok(output) => Some(output),
        Err(error) => {
            let program = command.get_program().to_string_lossy().into_owned();
            let is_required = std::env::var_os("RAT_REQUIRE_ALL").is_some();
            assert!(!is_required, "{program} is needed: {error}");
            skipped(&program, &error);
            None
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "what is left out is said where the tests say everything"
)]
fn skipped(program: &str, error: &std::io::Error) {
    eprintln!("SKIPPED: the NixOS module: {program}: {error}");
}

/// The libraries to evaluate with: the stand-in of the tests, and the one of the nixpkgs that
/// `RAT_TEST_NIXPKGS` names, if any.
pub(crate) fn libraries() -> Vec<String> {
    let nixpkgs = std::env::var("RAT_TEST_NIXPKGS").ok();
    let real = nixpkgs.map(|folder| format!("{folder}/lib"));
    [Some(String::new()), real].into_iter().flatten().collect()
}

/// Evaluates an expression, in which paths are relative to the root: its value, or what Nix says.
pub(crate) fn evaluate(expression: &str) -> Option<Result<Value, String>> {
    let mut command = Command::new("nix-instantiate");
    command.args(["--eval", "--strict", "--json", "--expr", expression]);
    let output = run(&mut command)?;
    Some(match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    })
}

/// Evaluates an attribute of `nixos-module/tests/evaluate.nix` for a configuration.
pub(crate) fn configured(
    configuration: &str,
    library: &str,
    attribute: &str,
) -> Option<Result<Value, String>> {
    evaluate(&format!(
        "(import ./nixos-module/tests/evaluate.nix {{ configuration = {configuration}; lib = \"{library}\"; }}).{attribute}"
    ))
}
