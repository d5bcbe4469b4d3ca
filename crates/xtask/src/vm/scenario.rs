//! Scenarios as they lie in `vm-tests/`, and their evaluation.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::cargo::root;

/// A scenario: `vm-tests/<name>.nix` and `vm-tests/<name>.py`.
pub(crate) struct Scenario {
    pub name: String,
    file: PathBuf,
    /// What the driver executes, one after the other.
    pub script: [PathBuf; 2],
}

/// Something that is taken out of the units.
pub(crate) struct Mutation {
    pub name: String,
    /// The claim that then does not hold.
    pub fails: String,
}

/// The scenarios of these names, or all.
pub(crate) fn discover(root: &Path, names: &[String]) -> Result<Vec<Scenario>> {
    let folder = root.join("vm-tests");
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("failed to list {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let file = entry.context("failed to list the scenarios")?.path();
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let is_nix = file.extension().is_some_and(|extension| extension == "nix");
        if is_nix && name != "default" {
            found.push(Scenario {
                name: name.into_owned(),
                script: [folder.join("lib/helpers.py"), file.with_extension("py")],
                file,
            });
        }
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    for name in names {
        if !found.iter().any(|scenario| scenario.name == *name) {
            let all: Vec<_> = found
                .iter()
                .map(|scenario| scenario.name.as_str())
                .collect();
            bail!("there is no scenario {name:?}, but {}", all.join(", "));
        }
    }
    found.retain(|scenario| names.is_empty() || names.contains(&scenario.name));
    Ok(found)
}

impl Scenario {
    /// What lies where on the scenario's machines.
    pub(crate) fn plan(&self, mutation: &str) -> Result<Value> {
        let output = Command::new("nix-instantiate")
            .args(["--eval", "--strict", "--json"])
            .arg(root().join("vm-tests/lib/debian.nix"))
            .arg("--argstr")
            .arg("scenario")
            .arg(&self.file)
            .args(["--argstr", "mutation", mutation])
            .output()
            .context("failed to start nix-instantiate")?;
        ensure!(
            output.status.success(),
            "{} cannot be evaluated: {}",
            self.file.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).context("nix-instantiate printed no JSON")
    }

    /// The first line of its file: what it proves.
    pub(crate) fn proves(&self) -> Result<String> {
        let text = std::fs::read_to_string(&self.file)
            .with_context(|| format!("failed to read {}", self.file.display()))?;
        let first = text.lines().next().unwrap_or_default();
        Ok(first.trim_start_matches("# ").to_owned())
    }
}

impl Mutation {
    /// Those that a plan knows.
    pub(crate) fn all(plan: &Value) -> Vec<Self> {
        let found = plan["mutations"].as_object();
        let each = found.into_iter().flatten();
        each.map(|(name, fails)| Self {
            name: name.clone(),
            fails: fails.as_str().unwrap_or_default().to_owned(),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::discover;
    use crate::cargo::root;

    #[test]
    fn every_scenario_has_a_script_and_a_row_in_the_documentation() {
        let page = root().join("docs/reference/scenarios.md");
        let page = std::fs::read_to_string(page).unwrap();
        let scenarios = discover(&root(), &[]).unwrap();
        assert!(!scenarios.is_empty());
        for scenario in &scenarios {
            for script in &scenario.script {
                assert!(script.is_file(), "{} is missing", script.display());
            }
            assert!(!scenario.proves().unwrap().is_empty());
            let row = format!("\n| `{}` |", scenario.name);
            assert!(page.contains(&row), "no row for {}", scenario.name);
        }
        let rows =
            page.matches(" | container | ").count() + page.matches(" | virtual machine | ").count();
        assert_eq!(rows, scenarios.len(), "a row for no scenario");
    }

    #[test]
    fn a_scenario_that_is_not_there_is_named_with_those_that_are() {
        let names = ["boot".to_owned()];
        let error = discover(&root(), &names).err().unwrap().to_string();
        assert!(
            error.contains("\"boot\"") && error.contains("boots"),
            "{error}"
        );
    }
}
