//! oidc-provider, a provider of logins of another make than Keycloak, from npm into the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Capability, find_program, quiet};
use crate::cargo::say;

/// What is installed, to the last dependency.
const FILES: [&str; 2] = ["package.json", "package-lock.json"];
const SOURCE: &str = "crates/plugin-auth-keycloak/tests/oidc-provider";

/// Finds oidc-provider, or gets it.
pub(super) fn find(root: &Path) -> Capability {
    let found = match std::env::var_os("RAT_TEST_OIDC_PROVIDER") {
        Some(path) => Ok(PathBuf::from(path)),
        None => get(root),
    };
    let (environment, problem) = match found {
        Ok(path) => (
            vec![("RAT_TEST_OIDC_PROVIDER".into(), path.display().to_string())],
            None,
        ),
        Err(error) => (Vec::new(), Some(format!("{error:#}"))),
    };
    Capability {
        tests: "logins with a provider of another make",
        environment,
        problem,
    }
}

fn get(root: &Path) -> Result<PathBuf> {
    for (program, package) in [("node", "nodejs"), ("npm", "npm")] {
        anyhow::ensure!(
            find_program(program).is_some(),
            "no {program}: install the package `{package}`, or set RAT_TEST_OIDC_PROVIDER"
        );
    }
    let folder = root.join("target/oidc-provider");
    let mut wanted = String::new();
    for name in FILES {
        let path = root.join(SOURCE).join(name);
        let text = std::fs::read_to_string(&path);
        wanted.push_str(&text.with_context(|| format!("failed to read {}", path.display()))?);
    }
    // Written last.
    let stamp = folder.join("installed.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(folder);
    }
    say("installing oidc-provider for the tests of logins");
    std::fs::create_dir_all(&folder).context("failed to make a folder for oidc-provider")?;
    for name in FILES {
        std::fs::copy(root.join(SOURCE).join(name), folder.join(name))
            .with_context(|| format!("failed to copy {name}"))?;
    }
    quiet(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&folder),
    )
    .context("oidc-provider could not be installed from npm")?;
    std::fs::write(&stamp, wanted).context("failed to mark oidc-provider as installed")?;
    Ok(folder)
}
