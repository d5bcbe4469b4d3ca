//! Starting the plugin, as a person does and as systemd does.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// No test waits longer than this for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

pub(crate) const AUTHENTICATE: &str = "/rat.auth.v1.AuthService/Authenticate";

/// A folder in which everything of one plugin lies.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Self { folder };
        let user = "{user_id: alice, email: a@example.com, roles: [admin]}";
        home.write("tokens.yaml", &format!("tokens: {{let-me-in: {user}}}"));
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("plugin.sock")
    }

    /// The plugin with an empty environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rat-plugin-auth-static"));
        command.env_clear().current_dir(self.folder.path());
        command
    }

    pub(crate) fn listening(&self) -> Command {
        let mut command = self.command();
        let address = format!("unix:{}", self.socket().display());
        command
            .args(["--listen", &address, "--config", "tokens.yaml"])
            .stderr(Stdio::null());
        command
    }

    /// A plugin that answers.
    pub(crate) fn start(&self) -> Process {
        let process = Process::spawn(&mut self.listening());
        wait_for("the plugin answers", || {
            UnixStream::connect(self.socket()).is_ok()
        });
        process
    }

    /// The plugin with a socket that is already listening, as systemd hands it over. A shell puts
    /// it where the plugin looks for it, and becomes the plugin.
    pub(crate) fn activated(&self, socket: &UnixListener, arguments: &str) -> Process {
        let script = format!(
            "LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=any.socket \
             exec \"$0\" --config tokens.yaml {arguments} 3<&0 </dev/null"
        );
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_rat-plugin-auth-static")])
            .env_clear()
            .current_dir(self.folder.path())
            .stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())))
            .stderr(Stdio::null());
        Process::spawn(&mut command)
    }
}

/// A started plugin; it is killed if the test ends before it does.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self {
            child: command.spawn().unwrap(),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    pub(crate) fn ended(mut self) -> ExitStatus {
        let mut status = None;
        wait_for("the plugin ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl From<Child> for Process {
    fn from(child: Child) -> Self {
        Self { child }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command that ends by itself.
pub(crate) fn run(command: &mut Command) -> Output {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.wait_with_output().unwrap()
}

pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LIMIT, "not in time: {what}");
        sleep(LOOK_AGAIN);
    }
}

/// A POST with JSON on a connection of its own: status and answer, or why there is none.
pub(crate) fn post(socket: &Path, path: &str, body: &str) -> std::io::Result<(u16, Value)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(head(path, body.len()).as_bytes())?;
    stream.write_all(body.as_bytes())?;
    read_answer(&mut stream)
}

pub(crate) fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: plugin\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

pub(crate) fn read_answer(stream: &mut UnixStream) -> std::io::Result<(u16, Value)> {
    stream.set_read_timeout(Some(LIMIT))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| std::io::Error::other("no answer"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = serde_json::from_str(body).map_err(std::io::Error::other)?;
    Ok((status.unwrap_or_default(), body))
}

/// What systemd would be told.
pub(crate) struct Notified {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Notified {
    pub(crate) fn new(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self {
            socket,
            heard: Vec::new(),
        }
    }

    /// Waits until a line was told, and forgets all before it.
    pub(crate) fn hear(&mut self, expected: &str) {
        loop {
            if let Some(index) = self.heard.iter().position(|line| line == expected) {
                self.heard.drain(..=index);
                return;
            }
            let mut buffer = [0; 4096];
            let length = match self.socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) => panic!("{expected} was not told but {:?}: {error}", self.heard),
            };
            let text = String::from_utf8_lossy(&buffer[..length]);
            self.heard.extend(text.lines().map(str::to_owned));
        }
    }

    /// Expects that a line is not told any more. What was on its way may still come.
    pub(crate) fn is_silent_about(&mut self, line: &str) {
        self.heard.clear();
        let quiet = Duration::from_secs(1);
        self.socket.set_read_timeout(Some(quiet)).unwrap();
        let begun = Instant::now();
        let mut last = begun;
        let mut buffer = [0; 4096];
        while last.elapsed() < quiet {
            let Ok(length) = self.socket.recv(&mut buffer) else {
                continue;
            };
            if String::from_utf8_lossy(&buffer[..length]).contains(line) {
                last = Instant::now();
            }
            assert!(begun.elapsed() < LIMIT, "{line} is told again and again");
        }
    }
}
