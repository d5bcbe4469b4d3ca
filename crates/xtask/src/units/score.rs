//! What systemd says of units: whether they are well-formed, and how exposed they leave a process.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The largest exposure that a unit may have; systemd's scale ends at 10.
pub(crate) const MOST: f64 = 2.0;
/// Stands for the folder with the programs until there is one.
pub(crate) const PROGRAMS: &str = "/run/rat-units-programs";
/// Keys that came with systemd 254: an older one says so and goes on.
const NEWER: [&str; 2] = ["RestartSteps", "RestartMaxDelaySec"];

/// Exposure by service, and who says so.
#[derive(Debug)]
pub(crate) struct Scores {
    pub(crate) systemd: String,
    pub(crate) exposures: BTreeMap<String, f64>,
}

impl Scores {
    /// The line above the table.
    pub(crate) fn heading(&self) -> String {
        format!("Scored by `systemd-analyze security` of {}.", self.systemd)
    }

    /// Those of a table that was written before.
    pub(crate) fn from_table(table: &str) -> Result<Self> {
        let systemd = table
            .split_once("security` of ")
            .and_then(|(_, rest)| rest.split_once(".\n"))
            .context("the table names no systemd")?
            .0;
        let rows = table.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.trim_end_matches('`');
            Some((name.to_owned(), cells.next()?.parse().ok()?))
        });
        Ok(Self {
            systemd: systemd.to_owned(),
            exposures: rows.collect(),
        })
    }
}

/// Writes the units to a folder, verifies all and scores the services.
pub(crate) fn scores(texts: &Value) -> Result<Scores> {
    let folder = Folder::new()?;
    let programs = folder.0.join("bin");
    std::fs::create_dir(&programs).context("failed to make a folder")?;
    let mut files = Vec::new();
    for (name, text) in texts.as_object().context("there are no units")? {
        let Some(name) = name.strip_prefix("system/") else {
            continue;
        };
        let text = text.as_str().context("a unit is no text")?;
        let text = text.replace(PROGRAMS, &programs.display().to_string());
        for program in text
            .lines()
            .filter_map(|line| line.strip_prefix("ExecStart="))
        {
            let program = program.split(' ').next().unwrap_or_default();
            symlink("/bin/true", program).with_context(|| format!("failed to link {program}"))?;
        }
        std::fs::write(folder.0.join(name), text).context("failed to write a unit")?;
        files.push(name.to_owned());
    }
    verify(&folder.0, &files)?;
    let mut exposures = BTreeMap::new();
    for file in &files {
        if let Some(name) = file.strip_suffix(".service") {
            exposures.insert(name.to_owned(), exposure(&folder.0, file)?);
        }
    }
    Ok(Scores {
        systemd: version()?,
        exposures,
    })
}

fn analyze(folder: &Path, arguments: &[&str]) -> Result<std::process::Output> {
    Command::new("systemd-analyze")
        .args(arguments)
        .current_dir(folder)
        .env("SYSTEMD_COLORS", "0")
        .output()
        .context("failed to start systemd-analyze: install the package `systemd`")
}

fn verify(folder: &Path, files: &[String]) -> Result<()> {
    let mut arguments = vec!["verify", "--man=no", "--recursive-errors=one"];
    let local: Vec<_> = files.iter().map(|file| format!("./{file}")).collect();
    arguments.extend(local.iter().map(String::as_str));
    let output = analyze(folder, &arguments)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let is_known = |line: &str| {
        NEWER.iter().any(|key| line.contains(&format!("'{key}'"))) && line.contains("ignoring")
    };
    let complaints: Vec<_> = said.lines().filter(|line| !is_known(line)).collect();
    ensure!(
        complaints.is_empty(),
        "systemd-analyze verify says:\n{}",
        complaints.join("\n")
    );
    Ok(())
}

fn exposure(folder: &Path, file: &str) -> Result<f64> {
    let output = analyze(
        folder,
        &[
            "security",
            "--offline=yes",
            "--no-pager",
            &format!("./{file}"),
        ],
    )?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines()
        .rfind(|line| line.contains("exposure level"))
        .and_then(|line| line.split(": ").nth(1)?.split(' ').next()?.parse().ok())
        .with_context(|| format!("systemd-analyze security gave {file} no score"))
}

fn version() -> Result<String> {
    let output = analyze(Path::new("/"), &["--version"])?;
    let said = String::from_utf8_lossy(&output.stdout);
    let words: Vec<_> = said.split_whitespace().take(2).collect();
    ensure!(words.len() == 2, "systemd-analyze does not say its version");
    Ok(words.join(" "))
}

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("rat-units-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in the temporary folder costs little.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
