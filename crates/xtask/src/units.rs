//! `cargo xtask units`: what is made of `nixos-module/units.nix` and lies in the repository.
//!
//! That is the templates that `rat units` fills in, and the table in `docs/reference/units.md`. The
//! units of the table are verified and scored by systemd itself.

mod score;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::cargo::{root, say};
use crate::nix;
use score::Scores;

const TEMPLATES: &str = "crates/cli/src/units/templates.txt";
const REFERENCE: &str = "docs/reference/units.md";
const BEGIN: &str = "<!-- units: generated -->\n";
const END: &str = "<!-- end of units -->";

/// Writes both, or with `check` fails where they are not as they would be written.
pub(crate) fn update(check: bool) -> Result<()> {
    let templates = nix::evaluate("import ./nixos-module/templates.nix")?;
    let templates = templates.as_str().context("the templates are no text")?;
    keep(&root().join(TEMPLATES), templates, check)?;
    let file = root().join(REFERENCE);
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("failed to read {}", file.display()))?;
    let (before, rest) = text
        .split_once(BEGIN)
        .context("the reference has no beginning mark")?;
    let (old, after) = rest
        .split_once(END)
        .context("the reference has no end mark")?;
    let machine = Machine::render()?;
    let mut scores = score::scores(&machine.texts)?;
    for (unit, exposure) in &scores.exposures {
        ensure!(
            *exposure <= score::MOST,
            "{unit} has an exposure of {exposure}, which is more than {}",
            score::MOST
        );
    }
    // Another systemd looks at other things: its figures say that all is well, and are not kept.
    if check && !old.contains(&scores.heading()) {
        say(&format!(
            "units: scored by {}, and the table by another",
            scores.systemd
        ));
        scores = Scores::from_table(old)?;
    }
    let table = machine.table(&scores)?;
    keep(&file, &format!("{before}{BEGIN}{table}{END}{after}"), check)?;
    say("units: verified and scored, templates and reference are up to date");
    Ok(())
}

fn keep(file: &Path, wanted: &str, check: bool) -> Result<()> {
    let found = std::fs::read_to_string(file).unwrap_or_default();
    if found == wanted {
        return Ok(());
    }
    if check {
        bail!("{} is out of date: run `cargo xtask units`", file.display());
    }
    std::fs::write(file, wanted).with_context(|| format!("failed to write {}", file.display()))
}

/// The machine of the reference.
struct Machine {
    units: Value,
    /// Text of every file, by its name.
    texts: Value,
}

impl Machine {
    fn render() -> Result<Self> {
        let machine = |of: &str| {
            nix::evaluate(&format!(
                "let units = import ./nixos-module/tests/machine.nix {{ programs = \"{}\"; }}; in {of}",
                score::PROGRAMS
            ))
        };
        Ok(Self {
            units: machine("units")?,
            texts: machine("import ./nixos-module/text.nix units")?,
        })
    }

    fn table(&self, scores: &Scores) -> Result<String> {
        let mut rows = format!(
            "{}\n\n| Service | Exposure | User | Reaches | Writes | Memory, CPU, tasks |\n|---|---|---|---|---|---|\n",
            scores.heading()
        );
        let services = self.units["services"]
            .as_object()
            .context("there are no services")?;
        for (name, unit) in services {
            let config = &unit["serviceConfig"];
            let exposure = scores
                .exposures
                .get(name.as_str())
                .context("a unit has no score")?;
            rows.push_str(&format!(
                "| `{name}` | {exposure:.1} | {} | {} | {} | {} |\n",
                user(config),
                network(config),
                folders(config),
                limits(config),
            ));
        }
        rows.push_str(
            "\n| Socket | Listens on | Descriptor | Mode | Who connects |\n|---|---|---|---|---|\n",
        );
        let sockets = self.units["sockets"]
            .as_object()
            .context("there are no sockets")?;
        for (name, unit) in sockets {
            let config = &unit["socketConfig"];
            rows.push_str(&format!(
                "| `{name}` | `{}` | `{}` | {} | {} |\n",
                words(&unit["listenStreams"]),
                words(&config["FileDescriptorName"]),
                config["SocketMode"].as_str().unwrap_or("–"),
                match config["SocketUser"].as_str() {
                    Some(user) =>
                        format!("user `{user}`, group `{}`", words(&config["SocketGroup"])),
                    None => "whoever can reach the address".to_owned(),
                },
            ));
        }
        Ok(rows)
    }
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn user(config: &Value) -> String {
    match config["User"].as_str() {
        Some(user) => format!("`{user}`"),
        None => "dynamic".to_owned(),
    }
}

fn network(config: &Value) -> String {
    match (&config["PrivateNetwork"], &config["IPAddressAllow"]) {
        (Value::Bool(true), _) => "nobody: no network".to_owned(),
        (_, Value::Null) => "anybody".to_owned(),
        (_, allowed) => words(allowed),
    }
}

fn folders(config: &Value) -> String {
    let state = config["StateDirectory"].as_str();
    let listed = config["ReadWritePaths"].as_array().into_iter().flatten();
    let folders: Vec<_> = state
        .map(|name| format!("`/var/lib/{name}`"))
        .into_iter()
        .chain(listed.map(|path| format!("`{}`", words(path))))
        .collect();
    match folders.is_empty() {
        true => "nothing".to_owned(),
        false => folders.join(", "),
    }
}

fn limits(config: &Value) -> String {
    let limit = |key: &str| match &config[key] {
        Value::Null => "–".to_owned(),
        value => words(value),
    };
    ["MemoryMax", "CPUQuota", "TasksMax"].map(limit).join(", ")
}
