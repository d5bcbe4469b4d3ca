//! `rat dev`: all of RAT on this machine, in one private folder.
//!
//! The programs are those that an appliance runs; only their settings and their supervisor differ.
//! Nothing outside the folder is written, except for sockets where the folder's path is too long
//! for them.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::arguments::{DEFAULT_SERVER, Demo, DevArguments};
use crate::client::{Client, Credentials};
use crate::demo;
use crate::output::{Console, Tone};

mod child;
mod folder;
mod locate;
mod settings;
mod supervisor;

pub use child::become_child;
pub use folder::Folder;
pub use settings::{BadConfiguration, Plan};
pub use supervisor::{Fatal, Supervisor};

/// Time until everything has to be ready.
const START: Duration = Duration::from_secs(90);
/// Pause between two looks at the readiness.
const LOOK: Duration = Duration::from_millis(100);

/// Executes the command.
///
/// # Errors
/// A program is missing, the folder is in use or cannot be written, something does not start.
pub async fn execute(console: &Console, arguments: &DevArguments) -> Result<ExitCode> {
    let programs = locate::programs()?;
    let folder = Folder::open(arguments.folder.as_deref())?;
    let plan = Plan::make(&folder, arguments)?;
    let mut signals = Signals::install()?;
    console.note(&format!("Starting RAT in {}", folder.path().display()));
    let quiet = arguments.demo.is_some();
    let mut supervisor = Supervisor::start(console, &folder, &programs, &plan, quiet)?;
    let client = Client::new(
        plan.server.clone(),
        plan.key.clone().map_or(Credentials::None, Credentials::Key),
    )?;
    let outcome = tokio::select! {
        fatal = supervisor.fatal() => Err(fatal.into()),
        () = signals.next() => Ok(ExitCode::SUCCESS),
        outcome = serve(console, &client, &folder, &plan, arguments) => outcome,
    };
    let stopped = tokio::select! {
        () = supervisor.stop() => true,
        () = signals.next() => false,
    };
    if !stopped {
        console.note("Killing what is still running.");
        supervisor.kill().await;
    }
    outcome
}

/// Waits until everything is ready and runs the demo; does not return unless asked to (`--once`).
async fn serve(
    console: &Console,
    client: &Client,
    folder: &Arc<Folder>,
    plan: &Plan,
    arguments: &DevArguments,
) -> Result<ExitCode> {
    wait_ready(client).await?;
    if arguments.demo.is_none() {
        console.note(&addresses(console, folder, plan, arguments.demo));
    }
    if let Some(Demo::Tpch) = arguments.demo {
        let is_success = demo::run(console, client, folder, arguments.scale).await?;
        console.note(&addresses(console, folder, plan, arguments.demo));
        if arguments.once {
            console.note("Stopping, because of --once.");
            return Ok(if is_success {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
    }
    console.note(&console.paint_note(Tone::Bold, "Serving; Ctrl-C stops."));
    std::future::pending().await
}

async fn wait_ready(client: &Client) -> Result<()> {
    let client = client.without_retry();
    let begin = Instant::now();
    loop {
        let error = match client.get("/health/ready", &[]).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if begin.elapsed() > START {
            let seconds = START.as_secs();
            return Err(error).with_context(|| format!("RAT was not ready within {seconds} s"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn addresses(console: &Console, folder: &Folder, plan: &Plan, demo: Option<Demo>) -> String {
    let mut lines = vec![
        console.paint_note(Tone::Bold, "RAT is ready"),
        format!("  server    {}", plan.server),
        format!("  API       {}/api/v1", plan.server),
        format!("  Iceberg   {}/iceberg", plan.server),
        format!("  settings  {}", plan.config.display()),
        format!("  logs      {}", folder.logs().display()),
    ];
    let example = match demo {
        Some(Demo::Tpch) => "query 'SELECT * FROM tpch.gold.q1_pricing_summary'",
        None => "health",
    };
    let option = match plan.server.to_string().as_str() {
        DEFAULT_SERVER => String::new(),
        other => format!("--server {other} "),
    };
    let rat = locate::own_name();
    lines.push(format!("  try       {rat} {option}{example}"));
    lines.join("\n")
}

/// Requests to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn install() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// The next request.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
