//! The plugin as a process, and what it takes.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rat_acceptance::program;
use serde_json::Value;

/// In which /proc counts time; Linux has shown no other to programs for decades.
const TICKS_PER_SECOND: f64 = 100.0;

/// Dropping it ends the process.
pub(super) struct Process(Child);

impl Process {
    pub(super) fn start(socket: &Path, config: &Value, folder: &Path) -> Result<Self> {
        let file = folder.join("plugin.yaml");
        // JSON is YAML.
        std::fs::write(&file, config.to_string()).context("failed to write plugin.yaml")?;
        let child = Command::new(program("rat-plugin-auth-keycloak")?)
            .arg("--listen")
            .arg(format!("unix:{}", socket.display()))
            .arg("--config")
            .arg(file)
            .stdin(Stdio::null())
            .spawn()
            .context("failed to start the plugin")?;
        Ok(Self(child))
    }

    /// What it has taken of the processor, in user and in system.
    pub(super) fn time(&self) -> Result<Duration> {
        let text = self.read("stat")?;
        // The name, which may hold anything, ends with the last parenthesis.
        let (_, fields) = text.rsplit_once(')').context("no name in stat")?;
        let ticks: Vec<f64> = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let ticks: f64 = ticks.iter().sum();
        Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
    }

    /// What it has in memory, in KiB.
    pub(super) fn memory(&self) -> Result<u64> {
        let text = self.read("status")?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().split(' ').next());
        let number = number.context("the plugin has no VmRSS")?;
        Ok(number.parse()?)
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.0.id());
        std::fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended is as good as ended now.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
