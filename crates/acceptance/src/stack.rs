//! Starting, killing and asking a RAT of one's own.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take to become true before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the platform database is.
#[derive(Debug, Clone, Default)]
pub enum Database {
    /// SQLite in the stack's folder.
    #[default]
    Sqlite,
    /// PostgreSQL at this URL.
    Postgres(String),
}

/// How a stack differs from the default one.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The platform database.
    pub database: Database,
    /// Lines that are added to the configuration.
    pub settings: String,
    /// The lake's folder, if it is not the stack's own.
    pub lake: Option<PathBuf>,
}

/// One of the daemons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// Control plane.
    Ratd,
    /// Execution.
    Runner,
    /// Queries.
    Ratq,
}

impl Process {
    const ALL: [Self; 3] = [Self::Runner, Self::Ratq, Self::Ratd];

    fn program(self) -> &'static str {
        match self {
            Self::Ratd => "ratd",
            Self::Runner => "rat-runner",
            Self::Ratq => "ratq",
        }
    }
}

/// A RAT of one's own. Dropping it ends its processes and deletes its folder.
pub struct Stack {
    folder: TempDir,
    listener: TcpListener,
    url: String,
    http: reqwest::Client,
    children: Vec<(Process, std::process::Child)>,
}

impl Stack {
    /// Starts a RAT and waits until it is ready.
    ///
    /// # Errors
    /// A program is missing, does not start or does not become ready.
    pub async fn start(options: &Options) -> Result<Self> {
        Self::start_in(private_folder()?, options).await
    }

    /// Starts a RAT on what `folder` holds already, which may be a folder of `rat dev`.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub async fn start_in(folder: TempDir, options: &Options) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(120))
            .build()?;
        let mut stack = Self {
            folder,
            listener,
            url,
            http,
            children: Vec::new(),
        };
        stack.write_settings(options)?;
        for process in Process::ALL {
            stack.spawn(process)?;
        }
        stack.wait_ready().await?;
        Ok(stack)
    }

    fn write_settings(&self, options: &Options) -> Result<()> {
        let folder = self.path().display();
        let database = match &options.database {
            Database::Sqlite => format!("sqlite:{folder}/rat.db"),
            Database::Postgres(url) => url.clone(),
        };
        let lake = options.lake.clone();
        let lake = lake.unwrap_or_else(|| self.path().join("lake"));
        let (lake, extra) = (lake.display(), &options.settings);
        let text = format!(
            "server:\n  internal_socket: unix:{folder}/internal.sock\n  rate_limit: off\n\
             database:\n  url: \"{database}\"\n\
             storage:\n  url: \"file://{lake}\"\n\
             runner:\n  address: unix:{folder}/runner.sock\n\
             ratq:\n  address: unix:{folder}/ratq.sock\n\
             {extra}"
        );
        std::fs::write(self.path().join("stack.yaml"), text).context("failed to write stack.yaml")
    }

    /// Starts one daemon (again).
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn(&mut self, process: Process) -> Result<()> {
        let name = process.program();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path().join(format!("{name}.log")))?;
        // The public listener outlives ratd, as under systemd: it is handed over as descriptor 3.
        let script = "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=ratd; exec \"$0\" \"$@\" 3<&0 0</dev/null";
        let program = binaries()?.join(name);
        let mut command = if process == Process::Ratd {
            let mut shell = Command::new("/bin/sh");
            shell.arg("-c").arg(script).arg(program);
            shell.stdin(Stdio::from(OwnedFd::from(self.listener.try_clone()?)));
            shell
        } else {
            let mut command = Command::new(program);
            command.stdin(Stdio::null());
            command
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RAT_") {
                command.env_remove(name);
            }
        }
        let child = command
            .arg("--config")
            .arg(self.path().join("stack.yaml"))
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to start {name}"))?;
        self.children.push((process, child));
        Ok(())
    }

    /// Sends a signal to one daemon and waits until it has ended.
    ///
    /// # Errors
    /// It was not running, or it does not end.
    pub async fn stop(&mut self, process: Process, signal: Signal) -> Result<()> {
        let at = self
            .children
            .iter()
            .position(|(which, _)| *which == process)
            .with_context(|| format!("{} is not running", process.program()))?;
        let (_, mut child) = self.children.swap_remove(at);
        kill(pid(&child), signal)?;
        wait_for("the process to end", async || Ok(child.try_wait()?)).await?;
        Ok(())
    }

    /// Waits until `/health/ready` says so.
    ///
    /// # Errors
    /// It never does; the error carries the logs.
    pub async fn wait_ready(&self) -> Result<()> {
        let ready = wait_for("RAT to be ready", async || {
            let answer = self
                .http
                .get(format!("{}/health/ready", self.url))
                .send()
                .await?;
            let status = answer.status();
            if status.is_success() {
                return Ok(Some(()));
            }
            bail!("{status}: {}", answer.text().await?)
        })
        .await;
        ready.with_context(|| format!("logs:\n{}", self.logs()))
    }

    /// The tail of every daemon's log.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for process in Process::ALL {
            let name = process.program();
            let log = std::fs::read_to_string(self.path().join(format!("{name}.log")))
                .unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(40)..].join("\n");
            text.push_str(&format!("--- {name}\n{tail}\n"));
        }
        text
    }

    /// The stack's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Base URL of the public listener.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The client that the stack itself uses.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Runs the command line against this stack.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn rat(&self, arguments: &[&str]) -> Result<Output> {
        let output = tokio::process::Command::new(binaries()?.join("rat"))
            .args(["--server", &self.url])
            .args(arguments)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        tokio::time::timeout(PATIENCE * 5, output)
            .await
            .context("rat did not end in time")?
            .context("failed to start rat")
    }

    /// Runs a Python program with PyIceberg and DuckDB and answers with its stdout; `None` where
    /// this machine has none.
    ///
    /// # Errors
    /// It ends with a non-zero status.
    pub async fn python(&self, arguments: &[&str]) -> Result<Option<String>> {
        let Some(interpreter) = std::env::var_os("RAT_TEST_PYTHON") else {
            skip(
                "interoperability with PyIceberg and DuckDB",
                "RAT_TEST_PYTHON is not set",
            )?;
            return Ok(None);
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/interop.py");
        let output = tokio::process::Command::new(interpreter)
            .arg(script)
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "python {arguments:?} ended with {}\n{stdout}\n{}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
            self.logs()
        );
        Ok(Some(stdout))
    }

    /// `GET` a path below the base URL; status and JSON body (null where there is none).
    ///
    /// # Errors
    /// No answer, or the body is not JSON.
    pub async fn get(&self, path: &str) -> Result<(u16, Value)> {
        answer(self.http.get(format!("{}{path}", self.url))).await
    }

    /// `POST` JSON to a path below the base URL.
    ///
    /// # Errors
    /// No answer, or the body is not JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        answer(self.http.post(format!("{}{path}", self.url)).json(body)).await
    }

    /// Writes one source file, creating namespace and pipeline where needed.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn put_pipeline(&self, ident: &str, file: &str, content: &str) -> Result<()> {
        let parts: Vec<_> = ident.split('.').collect();
        let [namespace, layer, name] = parts[..] else {
            bail!("{ident} is not ns.layer.name")
        };
        self.post("/api/v1/namespaces", &json!({"name": namespace}))
            .await?;
        let pipeline = json!({"namespace": namespace, "layer": layer, "name": name});
        let (status, body) = self.post("/api/v1/pipelines", &pipeline).await?;
        ensure!(
            status == 201 || status == 409,
            "creating {ident}: {status} {body}"
        );
        let path = format!("/api/v1/files/{namespace}/pipelines/{layer}/{name}/{file}");
        let request = self
            .http
            .put(format!("{}{path}", self.url))
            .json(&json!({"content": content}));
        let (status, body) = answer(request).await?;
        ensure!(status == 200, "writing {path}: {status} {body}");
        Ok(())
    }

    /// Uploads one file into a landing zone, creating the zone where needed.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn upload(
        &self,
        namespace: &str,
        zone: &str,
        name: &str,
        content: Vec<u8>,
    ) -> Result<()> {
        self.post("/api/v1/namespaces", &json!({"name": namespace}))
            .await?;
        self.post(
            "/api/v1/landing-zones",
            &json!({"namespace": namespace, "name": zone}),
        )
        .await?;
        let part = reqwest::multipart::Part::bytes(content).file_name(name.to_owned());
        let form = reqwest::multipart::Form::new().part("file", part);
        let url = format!("{}/api/v1/landing-zones/{namespace}/{zone}/files", self.url);
        let (status, body) = answer(self.http.post(url).multipart(form)).await?;
        ensure!(status == 201, "uploading {name}: {status} {body}");
        Ok(())
    }

    /// Starts a run and answers with its id.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn start_run(&self, ident: &str) -> Result<String> {
        let parts: Vec<_> = ident.split('.').collect();
        let [namespace, layer, pipeline] = parts[..] else {
            bail!("{ident} is not ns.layer.name")
        };
        let body = json!({"namespace": namespace, "layer": layer, "pipeline": pipeline});
        let (status, body) = self.post("/api/v1/runs", &body).await?;
        ensure!(status == 202, "running {ident}: {status} {body}");
        Ok(body["run_id"].as_str().context("no run_id")?.to_owned())
    }

    /// Waits until a run has ended and answers with it.
    ///
    /// # Errors
    /// It does not end.
    pub async fn finished(&self, run: &str) -> Result<Value> {
        let path = format!("/api/v1/runs/{run}");
        let ended = wait_for("the run to end", async || {
            let (status, body) = self.get(&path).await?;
            ensure!(status == 200, "{status} {body}");
            let state = body["status"].as_str().unwrap_or_default();
            Ok(["success", "failed", "cancelled"]
                .contains(&state)
                .then(|| body.clone()))
        })
        .await;
        ended.with_context(|| format!("logs:\n{}", self.logs()))
    }

    /// Runs a pipeline to its end.
    ///
    /// # Errors
    /// See [`Self::start_run`] and [`Self::finished`].
    pub async fn run(&self, ident: &str) -> Result<Value> {
        let run = self.start_run(ident).await?;
        self.finished(&run).await
    }

    /// Rows of a query.
    ///
    /// # Errors
    /// The query is refused.
    pub async fn query(&self, sql: &str) -> Result<Vec<Value>> {
        let (status, body) = self.post("/api/v1/query", &json!({"sql": sql})).await?;
        ensure!(status == 200, "{sql}: {status} {body}");
        Ok(body["rows"].as_array().context("no rows")?.clone())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            // Already ended is as good as ended now.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A folder whose path is short enough for the sockets in it, which have 107 bytes.
///
/// # Errors
/// It cannot be created.
pub fn private_folder() -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("rat-")
        .tempdir_in("/tmp")
        .context("failed to create a folder")
}

pub(crate) fn pid(child: &std::process::Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("the kernel's process ids fit into 31 bits"))
}

async fn answer(request: reqwest::RequestBuilder) -> Result<(u16, Value)> {
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let text = answer.text().await?;
    if text.is_empty() {
        return Ok((status, Value::Null));
    }
    let body =
        serde_json::from_str(&text).with_context(|| format!("{status} without JSON: {text}"))?;
    Ok((status, body))
}

/// The folder with RAT's programs.
///
/// # Errors
/// They have not been built.
pub fn binaries() -> Result<PathBuf> {
    let folder = folder()?;
    for name in ["ratd", "rat-runner", "ratq", "rat"] {
        built(&folder, name)?;
    }
    Ok(folder)
}

/// One of RAT's programs, where the others may be missing.
///
/// # Errors
/// It has not been built.
pub fn program(name: &str) -> Result<PathBuf> {
    built(&folder()?, name)
}

fn built(folder: &Path, name: &str) -> Result<PathBuf> {
    let program = folder.join(name);
    ensure!(
        program.is_file(),
        "{name} is not in {}: run the tests with `cargo xtask test`",
        folder.display()
    );
    Ok(program)
}

/// `RAT_TEST_BINARIES`, else the folder above this test's own.
fn folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("RAT_TEST_BINARIES") {
        return Ok(PathBuf::from(folder));
    }
    let own = std::env::current_exe()?;
    let beside = own
        .ancestors()
        .nth(1)
        .filter(|folder| folder.join("ratd").is_file());
    let above = own.ancestors().nth(2);
    let folder = beside.or(above).context("no folder above this program")?;
    Ok(folder.to_owned())
}

/// Says that something is not tested here; an error where everything is required.
///
/// # Errors
/// `RAT_REQUIRE_ALL` is set.
#[expect(
    clippy::print_stderr,
    reason = "for whoever reads the output of the tests"
)]
pub fn skip(what: &str, why: &str) -> Result<()> {
    ensure!(
        std::env::var_os("RAT_REQUIRE_ALL").is_none(),
        "{what}: {why}"
    );
    eprintln!("SKIPPED: {what}: {why}");
    Ok(())
}

/// Asks until the answer is `Some`, a minute at most; the error names the last thing that failed.
///
/// # Errors
/// It never becomes true.
pub async fn wait_for<T, F>(what: &str, mut condition: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<Option<T>>,
{
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        let last = match condition().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if start.elapsed() > PATIENCE {
            let error = last.unwrap_or_else(|| anyhow::anyhow!("not yet"));
            return Err(error.context(format!("waited {PATIENCE:?} for {what}")));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
