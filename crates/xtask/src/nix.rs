//! Evaluating Nix, with `nix-instantiate` as every version of Nix has it. Nothing is built.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cargo::root;

/// The value of an expression, in which paths are relative to the project's root.
pub(crate) fn evaluate(expression: &str) -> Result<Value> {
    let output = Command::new("nix-instantiate")
        .args(["--eval", "--strict", "--json", "--expr", expression])
        .current_dir(root())
        .output()
        .context("failed to start nix-instantiate: install the package `nix-bin`, or Nix")?;
    ensure!(
        output.status.success(),
        "failed to evaluate {expression}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_slice(&output.stdout).context("nix-instantiate printed no JSON")
}
