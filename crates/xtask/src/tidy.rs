//! The project's own rules, as code: what rustc and clippy do not check.
//!
//! Every finding names file and line, and says what to do.

mod errors;
mod nix_files;
mod proofs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo::say;

/// The floors of `docs/architecture.md`, from the ground: a crate may depend on its own floor
/// and on those below.
const FLOORS: [(&str, &[&str]); 5] = [
    ("pure", &["rat-config", "rat-pipeline", "rat-types"]),
    ("contracts", &["rat-plugin-sdk", "rat-proto", "rat-service"]),
    (
        "adapters",
        &[
            "rat-api",
            "rat-catalog",
            "rat-engine",
            "rat-iceberg",
            "rat-lake",
            "rat-plugin-check",
            "rat-plugin-host",
            "rat-scheduler",
            "rat-sql",
            "rat-store",
        ],
    ),
    (
        "binaries",
        &[
            "rat-cli",
            "rat-example-auth-static",
            "rat-plugin-auth-keycloak",
            "rat-runner",
            "ratd",
            "ratq",
        ],
    ),
    ("tooling", &["rat-acceptance", "xtask"]),
];

/// Crates that a floor must not depend on, however indirectly: (floor or crate, forbidden, why).
const FORBIDDEN: [(&str, &str, &str); 5] = [
    ("pure", "tokio", "pure crates do no I/O and know no runtime"),
    ("pure", "sqlx", "pure crates do no I/O"),
    ("pure", "tonic", "pure crates know no transport"),
    ("ratd", "datafusion", "ratd executes no user SQL"),
    ("rat-cli", "sqlx", "the command line talks to the API alone"),
];

/// Plugins: other processes than ratd, which know it by its contracts alone.
const PLUGINS: [&str; 2] = ["rat-example-auth-static", "rat-plugin-auth-keycloak"];

/// Longest source file, without its tests folder: past it a file holds two ideas.
const MAX_LINES: usize = 650;

/// Checks every rule.
pub(crate) fn check(root: &Path) -> Result<()> {
    let metadata = metadata(root)?;
    let mut findings = Vec::new();
    floors(&metadata, &mut findings)?;
    manifests(root, &metadata, &mut findings)?;
    sources(root, &mut findings)?;
    nix_files::check(root, &mut findings)?;
    proofs::check(root, &mut findings).context("failed to read docs/reference/plugins.md")?;
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        say(&format!("tidy: {finding}"));
    }
    bail!("{} rule(s) of the project are broken", findings.len());
}

fn metadata(root: &Path) -> Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked"])
        .current_dir(root)
        .output()
        .context("failed to start cargo metadata")?;
    anyhow::ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")
}

/// Normal dependencies of every package, by package id.
fn graph(metadata: &Value) -> BTreeMap<&str, Vec<&str>> {
    let nodes = metadata["resolve"]["nodes"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    nodes
        .iter()
        .filter_map(|node| {
            let normal = node["deps"]
                .as_array()?
                .iter()
                .filter(|dep| {
                    let kinds = dep["dep_kinds"]
                        .as_array()
                        .map(Vec::as_slice)
                        .unwrap_or_default();
                    kinds.iter().any(|kind| kind["kind"].is_null())
                })
                .filter_map(|dep| dep["pkg"].as_str())
                .collect();
            Some((node["id"].as_str()?, normal))
        })
        .collect()
}

fn floors(metadata: &Value, findings: &mut Vec<String>) -> Result<()> {
    let packages = metadata["packages"].as_array().context("no packages")?;
    let names: BTreeMap<&str, &str> = packages
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
        .collect();
    let members: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .context("no workspace members")?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let graph = graph(metadata);
    let floor_of = |name: &str| FLOORS.iter().position(|(_, crates)| crates.contains(&name));
    for id in &members {
        let name = names[id];
        let Some(floor) = floor_of(name) else {
            findings.push(format!(
                "crate {name} stands on no floor: add it to FLOORS in crates/xtask/src/tidy.rs"
            ));
            continue;
        };
        for dependency in &graph[id] {
            let other = names[dependency];
            if floor_of(other).is_some_and(|below| below > floor) {
                findings.push(format!(
                    "crate {name} depends on {other}, which stands on a floor above"
                ));
            }
        }
        let reachable = reachable(&graph, id);
        for reached in &reachable {
            let other = names[reached];
            let of_ratd = floor_of(other).is_some_and(|floor| FLOORS[floor].0 == "adapters");
            if PLUGINS.contains(&name) && of_ratd {
                findings.push(format!(
                    "plugin {name} reaches {other}: a plugin is built on contracts alone"
                ));
            }
        }
        for (who, forbidden, why) in FORBIDDEN {
            let concerned = who == name || who == FLOORS[floor].0;
            if concerned && reachable.iter().any(|id| names[id] == forbidden) {
                findings.push(format!("crate {name} reaches {forbidden}: {why}"));
            }
        }
    }
    Ok(())
}

fn reachable<'a>(graph: &BTreeMap<&'a str, Vec<&'a str>>, from: &'a str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(graph.get(id).into_iter().flatten().copied());
        }
    }
    seen
}

fn manifests(root: &Path, metadata: &Value, findings: &mut Vec<String>) -> Result<()> {
    let packages = metadata["packages"].as_array().context("no packages")?;
    for package in packages
        .iter()
        .filter(|package| package["source"].is_null())
    {
        let path = PathBuf::from(package["manifest_path"].as_str().unwrap_or_default());
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let shown = path.strip_prefix(root).unwrap_or(&path).display();
        if !text.contains("[lints]\nworkspace = true") {
            findings.push(format!("{shown}: add `[lints]` with `workspace = true`"));
        }
        let mut in_dependencies = false;
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            } else if in_dependencies
                && line.contains('=')
                && !line.contains("workspace = true")
                && !line.contains("path = \".\"")
                && !line.starts_with('#')
                && !line.starts_with(char::is_whitespace)
            {
                let number = number + 1;
                findings.push(format!(
                    "{shown}:{number}: take the version from the workspace"
                ));
            }
        }
    }
    Ok(())
}

fn sources(root: &Path, findings: &mut Vec<String>) -> Result<()> {
    let mut files = Vec::new();
    walk(&root.join("crates"), "rs", &mut files)?;
    let mut codes = errors::Codes::default();
    for path in files {
        let shown = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        if path.file_name().is_some_and(|name| name == "mod.rs") {
            findings.push(format!(
                "{shown}: modules are `foo.rs` beside `foo/`, never `mod.rs`"
            ));
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("failed to read {shown}"))?;
        let lines = text.lines().count();
        if lines > MAX_LINES && !shown.contains("/tests") {
            findings.push(format!(
                "{shown}: {lines} lines hold more than one idea: look for the seam"
            ));
        }
        if !shown.contains("xtask/") && shown.contains("/src/") {
            codes.read(&shown, &text);
        }
        if !shown.ends_with("xtask/src/tidy.rs") {
            source_lines(&shown, &text, findings);
        }
    }
    let page = std::fs::read_to_string(root.join("docs/reference/errors.md"))
        .context("failed to read docs/reference/errors.md")?;
    codes.compare(&page, findings);
    Ok(())
}

fn source_lines(shown: &str, text: &str, findings: &mut Vec<String>) {
    let mut in_error = false;
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        in_error |= line.trim_start().starts_with("#[error(");
        if in_error && line.contains("{source") {
            findings.push(format!(
                "{shown}:{number}: an error says what its own layer did; the edge prints the source"
            ));
        }
        in_error &= !line.trim_end().ends_with(")]");
        if line.contains("#[ignore") || line.contains("#[should_panic") {
            findings.push(format!(
                "{shown}:{number}: a test runs, and asserts what it expects"
            ));
        }
        if line.contains("\"/root/") || line.contains("\"/home/") {
            findings.push(format!("{shown}:{number}: no path of somebody's machine"));
        }
    }
}

/// Files below `folder` whose names end in `suffix`.
fn walk(folder: &Path, suffix: &str, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("failed to list {}", folder.display()))?;
    for entry in entries {
        let path = entry.context("failed to list a folder")?.path();
        if path.is_dir() {
            walk(&path, suffix, files)?;
        } else if path.extension().is_some_and(|found| found == suffix) {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}
