//! Starting ratd and talking to it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// No test waits longer than this for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

pub(crate) fn ratd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ratd"));
    // What the developer has set must not decide the test.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RAT_") {
            command.env_remove(name);
        }
    }
    command
        .env_remove("NOTIFY_SOCKET")
        .env_remove("CREDENTIALS_DIRECTORY");
    command
}

/// A folder with a valid `rat.yaml`, in which everything of one ratd lies.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let root = home.path().display();
        fs::write(
            home.config(),
            format!(
                "server:\n  listen: unix:{root}/public.sock\n  \
                   internal_socket: unix:{root}/internal.sock\n  shutdown_timeout: 5s\n\
                 database: {{url: 'sqlite:{root}/db/rat.db'}}\n\
                 storage: {{url: 'file://{root}/lake'}}\n\
                 runner: {{address: 'unix:{root}/runner.sock'}}\n\
                 ratq: {{address: 'unix:{root}/ratq.sock'}}\n\
                 log: {{format: json}}\n"
            ),
        )
        .unwrap();
        home
    }

    /// Adds to `rat.yaml`.
    pub(crate) fn with(self, yaml: &str) -> Self {
        let text = fs::read_to_string(self.config()).unwrap();
        fs::write(self.config(), format!("{text}{yaml}")).unwrap();
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("rat.yaml")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = ratd();
        command
            .current_dir(self.path())
            .arg("--config")
            .arg(self.config());
        command
    }

    pub(crate) fn public(&self) -> PathBuf {
        self.path().join("public.sock")
    }

    /// ratd's database, beside ratd.
    pub(crate) fn database(&self) -> rat_sql::DatabaseUrl {
        rat_sql::DatabaseUrl::sqlite(self.path().join("db/rat.db"))
    }

    pub(crate) fn internal(&self) -> PathBuf {
        self.path().join("internal.sock")
    }

    /// A ratd that answers.
    pub(crate) fn start(&self) -> Daemon {
        self.start_as(&mut self.command())
    }

    /// Like [`Self::start`], with a command that was changed.
    pub(crate) fn start_as(&self, command: &mut Command) -> Daemon {
        let daemon = Daemon::spawn(command);
        daemon.wait_for("ratd answers", || {
            UnixStream::connect(self.public()).is_ok()
                && get(&self.public(), "/health/live").starts_with("HTTP/1.1 200")
        });
        daemon
    }
}

/// A started process; it is killed if the test ends before it does.
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self::of(child)
    }

    pub(crate) fn of(child: Child) -> Self {
        Self { child }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    pub(crate) fn wait_for(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < LIMIT, "never came true: {what}");
            sleep(LOOK_AGAIN);
        }
    }

    pub(crate) fn ended(mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "the process does not end");
            sleep(LOOK_AGAIN);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn get(socket: &Path, path: &str) -> String {
    send(socket, "GET", path, None, "")
}

pub(crate) fn send(
    socket: &Path,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> String {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    exchange(stream, &request(method, path, token, body))
}

pub(crate) fn get_tcp(address: std::net::SocketAddr, path: &str) -> String {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    exchange(stream, &request("GET", path, None, ""))
}

/// Sends what begins a request, and reads what is answered without the rest.
pub(crate) fn send_part(socket: &Path, part: &str) -> String {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    exchange(stream, part)
}

fn request(method: &str, path: &str, token: Option<&str>, body: &str) -> String {
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        bearer.unwrap_or_default(),
        body.len()
    )
}

fn exchange(mut stream: impl Read + Write, request: &str) -> String {
    // A server that has seen enough answers and hangs up before everything is written.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// Runs something asynchronous in a test that is not. One runtime for all: a connection to a
/// database belongs to the runtime that opened it.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());
    RUNTIME.block_on(future)
}

pub(crate) fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}
