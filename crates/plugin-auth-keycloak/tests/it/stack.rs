//! The real ratd, the real plugin and the real `rat`, in one folder.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const PLUGIN: &str = env!("CARGO_BIN_EXE_rat-plugin-auth-keycloak");
/// No single thing takes longer than this.
const LIMIT: Duration = Duration::from_secs(60);

/// Ends its process.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Stack {
    folder: tempfile::TempDir,
    http: reqwest::Client,
    _processes: [Process; 2],
}

/// One of RAT's programs: where `cargo xtask test` says, else beside the plugin.
fn program(name: &str) -> PathBuf {
    let folder = match std::env::var_os("RAT_TEST_BINARIES") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(PLUGIN).parent().unwrap().to_owned(),
    };
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is not built: cargo xtask test",
        path.display()
    );
    path
}

fn spawn(folder: &Path, name: &str, arguments: &[&str]) -> Process {
    let log = File::create(folder.join(format!("{name}.log"))).unwrap();
    let mut command = Command::new(match name {
        "ratd" => program(name),
        _ => PLUGIN.into(),
    });
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("RAT_") {
            command.env_remove(variable);
        }
    }
    let child = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    Process(child.unwrap())
}

impl Stack {
    /// With a provider that need not be there yet, and the plugin's configuration.
    pub(crate) async fn start(issuer: &str, config: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display();
        let yaml = format!(
            "server:
  listen: unix:{root}/public.sock
  internal_socket: unix:{root}/internal.sock
database: {{url: 'sqlite:{root}/rat.db'}}
storage: {{url: 'file://{root}/lake'}}
runner: {{address: 'unix:{root}/runner.sock'}}
ratq: {{address: 'unix:{root}/ratq.sock'}}
plugin_health: {{interval: 1s}}
auth: {{login_issuer: '{issuer}', token_cache: off}}
plugins:
  auth:
    image: ghcr.io/squat-collective/auth-keycloak:latest
    address: unix:{root}/auth.sock
    # JSON is YAML.
    config: {config}
"
        );
        let file = folder.path().join("rat.yaml");
        fs::write(&file, yaml).unwrap();
        let listen = format!("unix:{root}/auth.sock");
        let plugin = spawn(folder.path(), "plugin", &["--listen", &listen]);
        let ratd = spawn(folder.path(), "ratd", &["--config", file.to_str().unwrap()]);
        let http = reqwest::Client::builder()
            .unix_socket(folder.path().join("public.sock"))
            .timeout(LIMIT);
        Self {
            http: http.build().unwrap(),
            folder,
            _processes: [plugin, ratd],
        }
    }

    /// What `curl` shows: status and body.
    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> (u16, Value) {
        self.try_get(path, token).await.unwrap_or_else(|error| {
            panic!("{path}: {error}: {}", self.logs());
        })
    }

    async fn try_get(
        &self,
        path: &str,
        token: Option<&str>,
    ) -> Result<(u16, Value), reqwest::Error> {
        let mut request = self.http.get(format!("http://ratd{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// Waits until `/health` says that of the plugin.
    pub(crate) async fn plugin_is(&self, wanted: &str) {
        let begun = Instant::now();
        loop {
            let health = self.try_get("/health", None).await;
            let found = health
                .as_ref()
                .map(|(_, health)| health["plugins"]["auth-keycloak"].clone());
            if found.as_ref().is_ok_and(|found| found == wanted) {
                return;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "not {wanted}: {health:?} {}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn logs(&self) -> String {
        ["ratd.log", "plugin.log"]
            .map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default())
            .concat()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("rat"));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("RAT_") {
                command.env_remove(variable);
            }
        }
        let server = format!("unix:{}/public.sock", self.folder.path().display());
        command
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .args(["--server", &server])
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// `rat`, to its end: exit code, standard output, standard error.
    pub(crate) async fn rat(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap();
        (code, text(&output.stdout), text(&output.stderr))
    }

    /// `rat plugin check` on the plugin, which is to accept `token`.
    pub(crate) async fn passes_the_kit(&self, token: &str) {
        let file = self.folder.path().join("token");
        fs::write(&file, token).unwrap();
        let address = format!("unix:{}", self.folder.path().join("auth.sock").display());
        let token = file.to_str().unwrap();
        let arguments = [
            "plugin", "check", &address, "--slot", "auth", "--token", token,
        ];
        let (code, out, err) = self.rat(&arguments).await;
        assert_eq!(code, 0, "{out}\n{err}");
    }

    /// `rat login`; `person` is given the line of standard error that has an address.
    pub(crate) async fn log_in<F: Future<Output = ()>>(
        &self,
        arguments: &[&str],
        person: impl FnOnce(String) -> F,
    ) -> (i32, String) {
        let mut command = self.command(&["login"]);
        let child = command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = Process(child.spawn().unwrap());
        let mut lines = BufReader::new(child.0.stderr.take().unwrap());
        let (address, mut lines, mut said) = tokio::task::spawn_blocking(move || {
            let mut said = String::new();
            loop {
                let mut line = String::new();
                assert_ne!(lines.read_line(&mut line).unwrap(), 0, "no address: {said}");
                said.push_str(&line);
                let words = line.trim().strip_prefix("or open ").unwrap_or(line.trim());
                if words.starts_with("http") {
                    return (words.to_owned(), lines, said);
                }
            }
        })
        .await
        .unwrap();
        person(address).await;
        tokio::task::spawn_blocking(move || {
            lines.read_to_string(&mut said).unwrap();
            (child.0.wait().unwrap().code().unwrap(), said)
        })
        .await
        .unwrap()
    }
}
