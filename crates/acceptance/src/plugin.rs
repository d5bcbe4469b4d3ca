//! The auth plugin of the examples as a process, and what it writes.

use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::stack::{pid, program, wait_for};

const PROGRAM: &str = "rat-plugin-auth-static";
const LOGGING: [&str; 2] = ["--log-format", "json"];
/// Arguments with which the plugin writes a line for everybody whom it has verified.
pub const TELL_ALL: [&str; 2] = ["--log-level", "info,rat_plugin_auth_static=debug"];
/// A shell puts the socket where the plugin looks for it, and becomes the plugin.
const ACTIVATE: &str =
    "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=plugin; exec \"$0\" \"$@\" 3<&0 0</dev/null";

/// A started plugin. Dropping it kills it.
pub struct AuthPlugin {
    child: Child,
}

impl AuthPlugin {
    /// A plugin that listens at `address`. It appends to `log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn listening(address: &str, log: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(program(PROGRAM)?);
        command.args(["--listen", address]).stdin(Stdio::null());
        Self::spawn(command, log, arguments)
    }

    /// A plugin that gets a socket which listens already, as from systemd.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn activated(socket: OwnedFd, log: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(ACTIVATE).arg(program(PROGRAM)?);
        command.stdin(Stdio::from(socket));
        Self::spawn(command, log, arguments)
    }

    fn spawn(mut command: Command, log: &Path, arguments: &[&str]) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let child = command
            .args(LOGGING)
            .args(arguments)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to start {PROGRAM}"))?;
        Ok(Self { child })
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(pid(&self.child), signal)?)
    }

    /// Waits until it has ended; whether that was a success.
    ///
    /// # Errors
    /// It does not end.
    pub async fn ended(mut self) -> Result<bool> {
        let status = wait_for("the plugin to end", async || Ok(self.child.try_wait()?));
        Ok(status.await?.success())
    }

    /// Whether the shell that started it has become the plugin.
    pub fn has_begun(&self) -> bool {
        let program = std::fs::read_link(format!("/proc/{}/exe", self.child.id()));
        program.is_ok_and(|program| program.ends_with(PROGRAM))
    }
}

impl Drop for AuthPlugin {
    fn drop(&mut self) {
        // Already ended is as good as ended now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `config` of the plugin for so many users, `user-0` with `token-0` and so on, as lines of YAML
/// below `plugins.auth.config`.
pub fn users(count: usize, cache_seconds: u32) -> String {
    let mut text = format!("      cache_seconds: {cache_seconds}\n      tokens:\n");
    for number in 0..count {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "        token-{number}: {{user_id: user-{number}}}");
    }
    text
}

/// The lines of a JSON log with this message. A last line that is not complete is left out.
///
/// # Errors
/// The file cannot be read.
pub fn log_lines(log: &Path, message: &str) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(log)
        .with_context(|| format!("failed to read {}", log.display()))?;
    let wanted = format!("\"message\":\"{message}\"");
    let lines = text.lines().filter(|line| line.contains(&wanted));
    Ok(lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}
