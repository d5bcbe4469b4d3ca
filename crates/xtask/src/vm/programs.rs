//! The programs as they get onto a machine: without what only a debugger reads.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Where the programs lie on a machine, and where those of a later release do. For a scenario,
/// that they lie elsewhere is what makes them new.
const PLACES: [&str; 2] = ["/opt/rat", "/opt/rat-next"];

/// Everything that a scenario may start.
const NAMES: [&str; 6] = [
    "rat",
    "rat-plugin-auth-keycloak",
    "rat-plugin-auth-static",
    "rat-runner",
    "ratd",
    "ratq",
];

/// The programs in a folder of their own.
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Copies the programs from `binaries` to `folder`.
    pub(crate) fn collect(binaries: &Path, folder: &Path) -> Result<Self> {
        let inner = folder.join("bin");
        std::fs::create_dir_all(&inner).context("failed to make a folder for the programs")?;
        let mut started = Vec::new();
        for name in NAMES {
            let mut command = Command::new("strip");
            command
                .arg("-o")
                .arg(inner.join(name))
                .arg(binaries.join(name));
            started.push((name, command.spawn().context("failed to start strip")?));
        }
        for (name, mut strip) in started {
            let status = strip.wait().context("failed to wait for strip")?;
            ensure!(status.success(), "strip of {name} ended with {status}");
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The programs' files.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        NAMES
            .iter()
            .map(|name| self.folder.join("bin").join(name))
            .collect()
    }

    /// Folder on the machine = folder here, as the driver wants it.
    pub(crate) fn places(&self) -> Value {
        PLACES
            .iter()
            .map(|place| ((*place).to_owned(), json!(self.folder)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}
