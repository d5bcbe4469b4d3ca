//! Life of a daemon process: from the first line of `main` to its exit code.
//!
//! The first SIGTERM or SIGINT asks for an orderly end, the second one ends the process at once.
//! SIGHUP is handed to whoever wants to reload. systemd is told when the daemon is ready, what it
//! does and that its runtime still turns; without systemd all of that does nothing.

mod notify;
mod signals;

use std::error::Error as StdError;
use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rat_config::Settings;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::listen::Activation;
use crate::{ErrorChain, config, logging};

/// A fault while running.
pub const EXIT_FAILURE: u8 = 1;
/// Wrong command line. clap uses the same.
pub const EXIT_USAGE: u8 = 2;
/// Bad configuration: starting again will not help (`RestartPreventExitStatus=78`).
pub const EXIT_CONFIG: u8 = 78;

/// How long blocking work may hold up the end of the process.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(2);

/// Why a daemon ends otherwise than by being asked to, with its exit code.
///
/// Every error becomes one with exit code 1 through `?`.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    error: Box<dyn StdError + Send + Sync>,
}

impl Failure {
    /// A failure that the operator has to mend in the configuration: exit code 78.
    pub fn configuration(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            code: EXIT_CONFIG,
            error: error.into(),
        }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ErrorChain(self.error.as_ref()).fmt(f)
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            code: EXIT_FAILURE,
            error: error.into(),
        }
    }
}

/// Who gives systemd its signs of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watchdog {
    /// A task of the runtime: proves that the runtime turns.
    Runtime,
    /// The daemon itself, by [`Process::alive`], when it has proved more than that.
    Daemon,
}

/// What a daemon sees of its own process.
#[derive(Debug, Clone)]
pub struct Process {
    shutdown: CancellationToken,
    reloads: watch::Receiver<u64>,
}

impl Process {
    /// Cancelled when the process is asked to end.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Changes with every SIGHUP; the value counts them.
    pub fn reloads(&self) -> watch::Receiver<u64> {
        self.reloads.clone()
    }

    /// Tells systemd that the daemon serves: every listener is bound.
    pub fn ready(&self) {
        for name in Activation::unclaimed() {
            tracing::warn!(name, "systemd handed over a socket that nobody uses");
        }
        notify::ready();
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        notify::status(text);
    }

    /// How often systemd wants a sign of life; `None` where it wants none.
    pub fn watchdog(&self) -> Option<Duration> {
        notify::watchdog()
    }

    /// A sign of life, from a daemon that was started with [`Watchdog::Daemon`].
    pub fn alive(&self) {
        notify::alive();
    }

    /// Waits for a part of the end that may take long, telling systemd meanwhile that it goes on:
    /// for as long as `work` takes, the unit's stop time-out is extended.
    pub async fn stopping<F: Future>(&self, what: &str, work: F) -> F::Output {
        notify::status(what);
        notify::extending(work).await
    }

    /// Waits for a part of the start that may take long, telling systemd meanwhile that it goes
    /// on: for as long as `work` takes, the unit's start time-out is extended.
    pub async fn starting<F: Future>(&self, what: &str, work: F) -> F::Output {
        notify::status(what);
        notify::extending(work).await
    }
}

/// Runs a daemon with its settings: `config` is the argument of `--config`, see
/// [`config::load`]. Logging starts before the settings are read and follows them from then on.
///
/// Bad settings are printed, one problem a line, and end the process with [`EXIT_CONFIG`].
pub fn start_configured<F, Fut>(name: &'static str, config: Option<&Path>, main: F) -> ExitCode
where
    F: FnOnce(Settings, Process) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    let logging = match logging::init() {
        Ok(logging) => logging,
        Err(error) => return refuse(name, &error, EXIT_FAILURE),
    };
    let settings = match config::load(config) {
        Ok(settings) => settings,
        Err(error) => return refuse(name, &error, EXIT_CONFIG),
    };
    if let Err(error) = logging.configure(settings.log.level.as_str(), settings.log.format) {
        return refuse(name, &error, EXIT_FAILURE);
    }
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    start(name, async |process| {
        let reloads = process.reloads();
        tokio::select! {
            ended = main(settings, process) => ended,
            never = follow_settings(&logging, config, reloads) => match never {},
        }
    })
}

/// SIGHUP takes level and format of the log over from the settings file; everything else in it
/// waits for a restart.
async fn follow_settings(
    logging: &logging::Logging,
    config: Option<&Path>,
    mut reloads: watch::Receiver<u64>,
) -> std::convert::Infallible {
    while reloads.changed().await.is_ok() {
        let reloaded = config::load(config).map_err(|error| ErrorChain(&error).to_string());
        let reloaded = reloaded.and_then(|settings| {
            let log = settings.log;
            let set = logging.configure(log.level.as_str(), log.format);
            set.map_err(|error| ErrorChain(&error).to_string())
                .map(|()| log)
        });
        match reloaded {
            Ok(log) => tracing::info!(level = %log.level, format = %log.format, "log reloaded"),
            Err(error) => tracing::warn!(error, "the settings are not valid, nothing changed"),
        }
    }
    std::future::pending().await
}

/// Prints why a process does not do what it was asked to, for people, and answers `code`.
pub fn refuse(name: &str, error: &(dyn StdError + 'static), code: u8) -> ExitCode {
    for line in ErrorChain(error).to_string().lines() {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{name}: {line}");
    }
    ExitCode::from(code)
}

/// Runs a daemon: takes sockets from systemd, builds the runtime, watches the signals, feeds the
/// watchdog and awaits `main`.
///
/// To be called from a plain `fn main`, before any thread exists.
pub fn start<F, Fut>(name: &'static str, main: F) -> ExitCode
where
    F: FnOnce(Process) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    start_watched(name, Watchdog::Runtime, main)
}

/// Like [`start`], with a choice of who feeds the watchdog.
pub fn start_watched<F, Fut>(name: &'static str, watchdog: Watchdog, main: F) -> ExitCode
where
    F: FnOnce(Process) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    match try_start(watchdog, main) {
        Ok(()) => {
            tracing::info!(process = name, "ended");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            tracing::error!(process = name, error = %failure, exit_code = failure.code, "failed");
            ExitCode::from(failure.code)
        }
    }
}

fn try_start<F, Fut>(watchdog: Watchdog, main: F) -> Result<(), Failure>
where
    F: FnOnce(Process) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    Activation::take_over()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(supervise(watchdog, main));
    notify::stopping();
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    result
}

/// Drives signals, watchdog and `main` in one task: when `main` ends, so do the others.
async fn supervise<F, Fut>(watchdog: Watchdog, main: F) -> Result<(), Failure>
where
    F: FnOnce(Process) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    let signals = signals::Signals::install()?;
    let shutdown = CancellationToken::new();
    let (reload, reloads) = watch::channel(0);
    let watch = tokio::spawn(signals.watch(shutdown.clone(), reload));
    let feeder = (watchdog == Watchdog::Runtime).then(|| tokio::spawn(notify::feed_watchdog()));
    let result = main(Process { shutdown, reloads }).await;
    watch.abort();
    if let Some(feeder) = feeder {
        feeder.abort();
    }
    result
}
