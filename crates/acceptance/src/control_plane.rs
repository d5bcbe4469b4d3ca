//! ratd alone, without those that execute: all that authentication and plugins need.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::stack::{pid, program, wait_for};

/// Hands the public listener over as descriptor 3, as systemd does.
const ACTIVATE: &str =
    "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=ratd; exec \"$0\" \"$@\" 3<&0 0</dev/null";

/// A ratd. Dropping it ends the process.
pub struct ControlPlane {
    log: PathBuf,
    url: String,
    http: reqwest::Client,
    child: Child,
    // Kept, so that the port stays this test's own.
    _listener: TcpListener,
}

/// Memory of a process in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Now.
    pub resident: u64,
    /// The most that it ever was.
    pub peak: u64,
}

impl ControlPlane {
    /// Starts ratd in `folder` with `settings` beside the necessary ones, and waits until it
    /// answers. `wrapper` is what starts it, with its arguments, where it has to live in a world
    /// of its own.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(folder: &Path, settings: &str, wrapper: &[&str]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let path = folder.display();
        let text = format!(
            "server:\n  internal_socket: unix:{path}/internal.sock\n  rate_limit: off\n\
             database:\n  url: \"sqlite:{path}/rat.db\"\n\
             storage:\n  url: \"file://{path}/lake\"\n\
             runner:\n  address: unix:{path}/runner.sock\n\
             ratq:\n  address: unix:{path}/ratq.sock\n\
             {settings}"
        );
        let file = folder.join("ratd.yaml");
        std::fs::write(&file, text).context("failed to write ratd.yaml")?;
        let log = folder.join("ratd.log");
        let output = File::options().create(true).append(true).open(&log)?;
        let ratd = program("ratd")?;
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(ACTIVATE).args(wrapper).arg(ratd);
        command.arg("--config").arg(&file);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RAT_") {
                command.env_remove(name);
            }
        }
        let child = command
            .stdin(Stdio::from(OwnedFd::from(listener.try_clone()?)))
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("failed to start ratd")?;
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()?;
        let control_plane = Self {
            log,
            url,
            http,
            child,
            _listener: listener,
        };
        let answers = wait_for("ratd to answer", async || {
            let answer = control_plane.get("/health", None).await?;
            Ok((answer.0 == 200).then_some(()))
        });
        let answers = answers.await;
        answers.with_context(|| std::fs::read_to_string(&control_plane.log).unwrap_or_default())?;
        Ok(control_plane)
    }

    /// Base URL of the public listener.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(pid(&self.child), signal)?)
    }

    /// What it takes of memory.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory(&self) -> Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.trim().split(' ').next());
            number.and_then(|number| number.parse().ok())
        };
        Ok(Memory {
            resident: field("VmRSS:").context("ratd has no VmRSS")?,
            peak: field("VmHWM:").context("ratd has no VmHWM")?,
        })
    }

    /// `GET` a path below the base URL with a token or without: status and JSON body.
    ///
    /// # Errors
    /// No answer, or the body is not JSON.
    pub async fn get(&self, path: &str, token: Option<&str>) -> Result<(u16, Value)> {
        let mut request = self.http.get(format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let body = answer.json().await;
        Ok((status, body.with_context(|| format!("{status} of {path}"))?))
    }

    /// The plugin's entry in the list of plugins.
    ///
    /// # Errors
    /// The list is not to be had, or the plugin is not in it.
    pub async fn plugin(&self, name: &str, token: Option<&str>) -> Result<Value> {
        let (status, list) = self.get("/api/v1/plugins", token).await?;
        ensure!(status == 200, "{status} {list}");
        let plugins = list["plugins"].as_array().context("no plugins")?;
        let mut plugins = plugins.iter();
        let found = plugins.find(|plugin| plugin["name"] == name);
        found.cloned().with_context(|| list.to_string())
    }

    /// Waits until the plugin has a status.
    ///
    /// # Errors
    /// It never has.
    pub async fn plugin_is(&self, name: &str, status: &str, token: Option<&str>) -> Result<Value> {
        wait_for(&format!("{name} to be {status}"), async || {
            let plugin = self.plugin(name, token).await?;
            ensure!(plugin["status"] == status, "{plugin}");
            Ok(Some(plugin))
        })
        .await
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // Already ended is as good as ended now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
