//! `cargo xtask vm`: scenarios on machines that boot real systemd with the module's own units.
//!
//! A scenario is two files of `vm-tests/`: `<name>.nix` says what lies on its machines, `<name>.py`
//! what is done with them. On NixOS the NixOS test driver runs it. Here, where there is no nixpkgs,
//! Debian's Nix evaluates the same `units.nix`, the units go into a Debian root, and the project's
//! own driver (`vm-tests/lib/driver`) runs the same script. ADR 0014 has the reasons.
//!
//! This module builds, evaluates, calls the driver and reports; it boots nothing by itself.

mod figures;
mod guest;
mod programs;
mod scenario;

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::cargo::{self, Build, root, say};
use guest::Guest;
use programs::Programs;
use scenario::{Mutation, Scenario};

/// A scenario that takes longer has hung.
const LIMIT: Duration = Duration::from_secs(900);
/// Programs that have to be on the host.
const TOOLS: [(&str, &str); 8] = [
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("nix-instantiate", "nix-bin"),
    ("python3", "python3"),
    ("mke2fs", "e2fsprogs"),
    ("unshare", "util-linux"),
    ("strip", "binutils"),
    ("timeout", "coreutils"),
];

/// What is asked for.
#[derive(Debug, Default, Clone, clap::Args)]
pub(crate) struct Options {
    /// Scenarios, by name; all of them unless any is given.
    names: Vec<String>,
    /// Take out of the units what each scenario guards, and expect it to fail.
    #[arg(long)]
    mutate: bool,
    /// Measure with release binaries, and write the figures to `docs/benchmarks.md`.
    #[arg(long, conflicts_with_all = ["names", "mutate"])]
    figures: bool,
    /// Show every command that is executed on a machine.
    #[arg(long)]
    verbose: bool,
    /// Take the programs from this folder instead of building them.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
    /// List the scenarios and what is taken out for each.
    #[arg(long)]
    list: bool,
}

/// Why scenarios cannot be run on this machine, and what to do.
pub(crate) fn problem() -> Option<String> {
    let missing: Vec<_> = TOOLS
        .iter()
        .filter(|(program, _)| crate::capability::find_program(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        return Some(format!("install {}", missing.join(", ")));
    }
    if std::env::consts::ARCH != "x86_64" {
        return Some("the machines are made for x86_64".to_owned());
    }
    (!is_root()).then(|| "only root may boot containers".to_owned())
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    users.and_then(|users| users.split_whitespace().nth(1)) == Some("0")
}

/// What `cargo xtask vm` does.
pub(crate) fn command(options: &Options) -> Result<()> {
    if options.list {
        return list();
    }
    let binaries = match &options.binaries {
        Some(folder) => folder.clone(),
        None if options.figures => cargo::build(Build::Release)?,
        None => cargo::build(Build::Programs)?,
    };
    run(&binaries, options)
}

/// Lists the scenarios.
fn list() -> Result<()> {
    for scenario in scenario::discover(&root(), &[])? {
        let plan = scenario.plan("")?;
        let machine = plan["machine"].as_str().unwrap_or_default().to_owned();
        say(&format!(
            "{} ({machine}): {}",
            scenario.name,
            scenario.proves()?
        ));
        for mutation in Mutation::all(&plan) {
            say(&format!(
                "    without {}: not {:?}",
                mutation.name, mutation.fails
            ));
        }
    }
    Ok(())
}

/// Runs scenarios with the programs in `binaries`.
pub(crate) fn run(binaries: &Path, options: &Options) -> Result<()> {
    if let Some(problem) = problem() {
        bail!("{problem}");
    }
    let scenarios = scenario::discover(&root(), &options.names)?;
    let folder = Folder::new()?;
    let programs = Programs::collect(binaries, &folder.path.join("programs"))?;
    let bench = Bench {
        guest: Guest::new()?,
        programs,
        folder: &folder.path,
        verbose: options.verbose,
    };
    let began = Instant::now();
    let mut table = Vec::new();
    let mut failed = Vec::new();
    for scenario in &scenarios {
        let rows = match options.mutate {
            true => bench.mutate(scenario)?,
            false => vec![bench.prove(scenario)?],
        };
        failed.extend(
            rows.iter()
                .filter(|row| !row.good)
                .map(|row| row.name.clone()),
        );
        table.extend(rows);
    }
    say("");
    for row in &table {
        let mark = if row.good { "ok    " } else { "FAILED" };
        say(&format!(
            "{mark} {:6.1} s  {}",
            row.took.as_secs_f64(),
            row.name
        ));
    }
    if options.figures && failed.is_empty() {
        let measured: Vec<_> = table.iter().flat_map(|row| row.figures.clone()).collect();
        let taken: Vec<_> = table
            .iter()
            .map(|row| (row.name.clone(), row.took))
            .collect();
        figures::write(&measured, &taken, &bench.programs)?;
    }
    let all = began.elapsed().as_secs_f64();
    say(&format!(
        "{} in {all:.0} s",
        count(table.len(), options.mutate)
    ));
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

fn count(number: usize, is_mutations: bool) -> String {
    let what = if is_mutations { "mutation" } else { "scenario" };
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// One line of the report.
struct Row {
    name: String,
    took: Duration,
    good: bool,
    /// What the scenario measured.
    figures: Vec<(String, String)>,
}

/// What a scenario's run left behind.
struct Outcome {
    took: Duration,
    /// What was claimed and is not so; `None` where everything is.
    failure: Option<Failure>,
    figures: Vec<(String, String)>,
}

struct Failure {
    claim: String,
    error: String,
    story: String,
}

/// Everything that scenarios run on.
struct Bench<'a> {
    guest: Guest,
    programs: Programs,
    folder: &'a Path,
    verbose: bool,
}

impl Bench<'_> {
    /// The scenario itself.
    fn prove(&self, scenario: &Scenario) -> Result<Row> {
        say(&scenario.name);
        let outcome = self.drive(scenario, scenario.plan("")?, false)?;
        let good = outcome.failure.is_none();
        if let Some(failure) = outcome.failure {
            say(&failure.story);
            say(&format!(
                "{}: not so: {}\n{}",
                scenario.name, failure.claim, failure.error
            ));
        }
        Ok(Row {
            name: scenario.name.clone(),
            took: outcome.took,
            good,
            figures: outcome.figures,
        })
    }

    /// The scenario on units that lack something, which it has to notice where it says so.
    fn mutate(&self, scenario: &Scenario) -> Result<Vec<Row>> {
        let mutations = Mutation::all(&scenario.plan("")?);
        if mutations.is_empty() {
            bail!("{} guards nothing: it has no mutations", scenario.name);
        }
        let mut rows = Vec::new();
        for mutation in mutations {
            let name = format!("{} without {}", scenario.name, mutation.name);
            say(&name);
            let outcome = self.drive(scenario, scenario.plan(&mutation.name)?, true)?;
            let good = match &outcome.failure {
                None => {
                    say("  NOT NOTICED");
                    false
                }
                Some(failure) if failure.claim == mutation.fails => {
                    say(&format!("  noticed: {}", failure.error));
                    true
                }
                Some(failure) => {
                    let Failure { claim, error, .. } = failure;
                    say(&format!(
                        "  fails at {claim:?}, not at {:?}: {error}",
                        mutation.fails
                    ));
                    false
                }
            };
            let took = outcome.took;
            rows.push(Row {
                name,
                took,
                good,
                figures: Vec::new(),
            });
        }
        Ok(rows)
    }

    fn drive(&self, scenario: &Scenario, plan: Value, quiet: bool) -> Result<Outcome> {
        let folder = self.folder.join("run");
        std::fs::create_dir(&folder).context("failed to make a run's folder")?;
        let outcome = self.drive_in(&folder, scenario, plan, quiet);
        std::fs::remove_dir_all(&folder).context("failed to remove a run's folder")?;
        outcome
    }

    fn drive_in(
        &self,
        folder: &Path,
        scenario: &Scenario,
        mut plan: Value,
        quiet: bool,
    ) -> Result<Outcome> {
        if plan["machine"] == "vm" {
            let emulator = self.guest.emulator()?;
            plan["qemu"] = json!(emulator.command);
            plan["kernel"] = json!(emulator.kernel);
        }
        plan["guest"] = json!(self.guest.root);
        plan["programs"] = self.programs.places();
        plan["script"] = json!(scenario.script);
        plan["verbose"] = json!(self.verbose);
        plan["quiet"] = json!(quiet);
        let file = folder.join("plan.json");
        std::fs::write(&file, plan.to_string()).context("failed to write a plan")?;
        let mut noise = tempfile(folder)?;
        let began = Instant::now();
        let mut command = Command::new("timeout");
        command
            .arg("--kill-after=30")
            .arg(LIMIT.as_secs().to_string())
            .args(["unshare", "--mount", "--propagation", "private", "python3"])
            .arg(root().join("vm-tests/lib/driver"))
            .arg(&file)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null());
        if quiet {
            command
                .stdout(noise.try_clone()?)
                .stderr(noise.try_clone()?);
        }
        let status = command.status().context("failed to start the driver")?;
        let took = began.elapsed();
        let Ok(text) = std::fs::read_to_string(folder.join("outcome.json")) else {
            let mut said = String::new();
            noise.rewind()?;
            noise.read_to_string(&mut said)?;
            bail!("the driver ended with {status} and without an outcome\n{said}");
        };
        let outcome: Value = serde_json::from_str(&text).context("the outcome is no JSON")?;
        let text = |key: &str| outcome[key].as_str().unwrap_or_default().to_owned();
        let failure = (outcome["passed"] != true).then(|| Failure {
            claim: text("claim"),
            error: text("error"),
            story: text("story"),
        });
        let measured = outcome["figures"].as_object().into_iter().flatten();
        let figures = measured
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        Ok(Outcome {
            took,
            failure,
            figures,
        })
    }
}

fn tempfile(folder: &Path) -> Result<std::fs::File> {
    std::fs::File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(folder.join("output"))
        .context("failed to make a file for the driver's output")
}

/// A folder that goes with its owner.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("rat-vm-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans the temporary folder.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
