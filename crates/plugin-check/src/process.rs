//! A plugin that the kit starts itself, and commands that restart one.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// The plugin's command could not be started.
#[derive(Debug, thiserror::Error)]
#[error("failed to start {command}")]
pub struct StartError {
    command: String,
    #[source]
    source: std::io::Error,
}

/// A plugin started by the kit. Dropping it kills it and all that it started.
#[derive(Debug)]
pub(crate) struct Plugin {
    command: String,
    child: Child,
    group: Option<Pid>,
}

impl Plugin {
    /// Starts it, through the shell.
    pub(crate) fn start(command: &str) -> Result<Self, StartError> {
        let child = shell(command)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| StartError {
                command: command.to_owned(),
                source,
            })?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw);
        Ok(Self {
            command: command.to_owned(),
            child,
            group,
        })
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Ends it with `signal` and waits for at most `limit`.
    pub(crate) async fn end(&mut self, signal: Signal, limit: Duration) -> Option<ExitStatus> {
        self.send(signal);
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(Ok(status)) => Some(status),
            _ => None,
        }
    }

    /// Kills what is left of it, and starts it again.
    pub(crate) async fn again(&mut self) -> Result<(), StartError> {
        self.end(Signal::SIGKILL, Duration::from_secs(5)).await;
        *self = Self::start(&self.command)?;
        Ok(())
    }

    fn send(&mut self, signal: Signal) {
        // Once it has been waited for, its id may be somebody else's.
        if let (Some(group), Ok(None)) = (self.group, self.child.try_wait()) {
            let _ = killpg(group, signal);
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.send(Signal::SIGKILL);
    }
}

/// Runs a command to its end.
pub(crate) async fn execute(command: &str, limit: Duration) -> Result<(), String> {
    let run = shell(command).kill_on_drop(true).status();
    match tokio::time::timeout(limit, run).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("the restart command ended with {status}")),
        Ok(Err(error)) => Err(format!("the restart command cannot be started: {error}")),
        Err(_) => Err(format!(
            "the restart command did not end within {}",
            crate::wire::seconds(limit)
        )),
    }
}

fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    // A signal goes to the shell and to what it runs; the shell then waits, and ends as that ended.
    // Standard output is the report's.
    shell
        .args(["-c", &format!("trap : TERM\n{command}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    shell
}
