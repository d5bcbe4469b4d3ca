//! Keycloak, from Maven Central, unpacked once into the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Capability, find_program, quiet};
use crate::cargo::say;

/// The release that the tests were written with.
const VERSION: &str = "26.4.5";

/// Finds Keycloak, or gets it.
pub(super) fn find(root: &Path) -> Capability {
    let found = match std::env::var_os("RAT_TEST_KEYCLOAK") {
        Some(path) => Ok(PathBuf::from(path)),
        None => get(root),
    };
    let (environment, problem) = match found {
        Ok(path) => (
            vec![("RAT_TEST_KEYCLOAK".into(), path.display().to_string())],
            None,
        ),
        Err(error) => (Vec::new(), Some(format!("{error:#}"))),
    };
    Capability {
        tests: "logins with Keycloak",
        environment,
        problem,
    }
}

fn get(root: &Path) -> Result<PathBuf> {
    anyhow::ensure!(
        find_program("java").is_some(),
        "no java: install the package `default-jre-headless`"
    );
    let folder = root.join("target/keycloak");
    let home = folder.join(format!("keycloak-{VERSION}"));
    // Written last.
    let stamp = folder.join(format!("{VERSION}.unpacked"));
    if stamp.is_file() {
        return Ok(home);
    }
    anyhow::ensure!(
        find_program("mvn").is_some(),
        "no mvn: install the package `maven`, or set RAT_TEST_KEYCLOAK"
    );
    say("downloading Keycloak for the tests of logins");
    let artifact = format!("org.keycloak:keycloak-quarkus-dist:{VERSION}:zip");
    std::fs::create_dir_all(&folder).context("failed to make a folder for Keycloak")?;
    quiet(
        Command::new("mvn")
            .args(["--batch-mode", "--quiet"])
            .arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy")
            .args([
                format!("-Dartifact={artifact}"),
                format!("-DoutputDirectory={}", folder.display()),
            ])
            .current_dir(&folder),
    )
    .context("Keycloak could not be downloaded from Maven Central")?;
    let archive = folder.join(format!("keycloak-quarkus-dist-{VERSION}.zip"));
    quiet(
        Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .args([&archive, &folder]),
    )
    .context("Keycloak could not be unpacked")?;
    std::fs::remove_file(&archive).context("failed to remove Keycloak's archive")?;
    std::fs::write(&stamp, "").context("failed to mark Keycloak as unpacked")?;
    Ok(home)
}
