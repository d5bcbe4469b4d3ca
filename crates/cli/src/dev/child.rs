//! One program under `rat dev`.
//!
//! It is started by way of this very program (`rat dev-child`), which binds its life to that of
//! `rat dev` and then becomes it: the kernel sends it SIGTERM when its parent dies, however that
//! happens. Doing this between fork and exec instead would need unsafe code.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};

use crate::arguments::DevChildArguments;

/// Tells `rat dev-child` that standard input is a listening socket.
const LISTENER: &str = "RAT_DEV_LISTENER";
/// Hands descriptor 0 on as descriptor 3, where programs look for sockets of systemd.
const SCRIPT: &str = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=ratd; export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES; exec \"$0\" \"$@\" 3<&0 0</dev/null";
/// Variables of whoever started `rat dev` that would mislead the programs.
const FOREIGN: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "JOURNAL_STREAM",
];

/// What is started.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: String,
    /// Program and arguments.
    pub(super) command: Vec<OsString>,
    /// Variables besides those of whoever started `rat dev`.
    pub(super) environment: BTreeMap<String, String>,
    pub(super) listener: Option<OwnedFd>,
}

/// The words with which a shell becomes a command that a person wrote: the kernel then ties the
/// command itself, and not a shell above it, to the life of `rat dev`.
pub(super) fn shell(command: &str) -> Vec<OsString> {
    [
        "/bin/sh".to_owned(),
        "-c".to_owned(),
        format!("exec {command}"),
    ]
    .map(OsString::from)
    .to_vec()
}

impl Program {
    /// Starts it. To be called from the thread that lives as long as `rat dev`: the kernel takes
    /// the death of the starting thread for that of the parent.
    pub(super) fn start(&self, rat: &Path) -> Result<tokio::process::Child> {
        let mut command = tokio::process::Command::new(rat);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RAT_") {
                command.env_remove(name);
            }
        }
        for name in FOREIGN {
            command.env_remove(name);
        }
        command
            .arg("dev-child")
            .arg("--parent")
            .arg(getpid().to_string())
            .arg("--");
        command.args(&self.command).envs(&self.environment);
        match &self.listener {
            Some(listener) => {
                let copy = listener
                    .try_clone()
                    .context("cannot hand over the listener")?;
                command.env(LISTENER, "1").stdin(Stdio::from(copy));
            }
            None => drop(command.stdin(Stdio::null())),
        }
        // A process group of its own: Ctrl-C reaches only rat dev, which then stops in order.
        command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))
    }
}

/// `rat dev-child`: becomes the given program, bound to the life of its parent.
///
/// # Errors
/// The parent is gone already, or the program cannot be executed.
pub fn become_child(arguments: &DevChildArguments) -> Result<ExitCode> {
    set_pdeathsig(Signal::SIGTERM).context("cannot bind this program to its parent")?;
    // The parent may have died before the line above.
    if getppid() != Pid::from_raw(arguments.parent) {
        bail!("rat dev has ended");
    }
    let (program, rest) = arguments
        .command
        .split_first()
        .context("no program was named")?;
    let mut command = match std::env::var_os(LISTENER) {
        None => std::process::Command::new(program),
        Some(_) => {
            let mut shell = std::process::Command::new("/bin/sh");
            shell
                .env_remove(LISTENER)
                .arg("-c")
                .arg(SCRIPT)
                .arg(program);
            shell
        }
    };
    let error = command.args(rest).exec();
    Err(error).with_context(|| format!("cannot execute {}", display(program)))
}

fn display(program: &OsString) -> std::path::Display<'_> {
    Path::new(program).display()
}

/// How a program ended, in words.
pub(super) fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("signal {signal}"),
            Err(_) => format!("signal {signal}"),
        },
        (None, None) => status.to_string(),
    }
}

/// The log file of a program: one older generation is kept.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: std::fs::File,
    size: u64,
}

/// Size at which a log file becomes the older generation.
const MAX_LOG: u64 = 32 << 20;

impl Log {
    /// Opens the log for appending.
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let file = append(&path)?;
        let size = file.metadata().map_or(0, |meta| meta.len());
        Ok(Self { path, file, size })
    }

    /// Writes a line. A full disk is no reason to stop the program whose output this is.
    pub(super) fn line(&mut self, line: &[u8]) {
        let _ = self.try_line(line);
    }

    fn try_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.size > MAX_LOG {
            std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
            self.file = append(&self.path).map_err(io::Error::other)?;
            self.size = 0;
        }
        let mut text = line.to_vec();
        text.push(b'\n');
        self.size += text.len() as u64;
        self.file.write_all(&text)
    }
}

fn append(path: &Path) -> Result<std::fs::File> {
    std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))
}
