//! `rat dev` with the plugins of `examples/plugins`, as their READMEs say to start them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rat_acceptance::{binaries, private_folder, skip, wait_for};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStderr;

/// Until everything is ready; `rat dev` itself gives up after 90 s.
const START: Duration = Duration::from_secs(100);

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/plugins")
        .join(path)
}

/// The status of `GET /api/v1/me`, and who that is.
async fn me(server: &str, token: Option<&str>) -> Result<(u16, String)> {
    let mut request = reqwest::Client::new().get(format!("{server}/api/v1/me"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let body: serde_json::Value = answer.json().await?;
    Ok((
        status,
        body["user_id"].as_str().unwrap_or_default().to_owned(),
    ))
}

/// Reads on until `rat dev` says where ratd is.
async fn address(lines: &mut Lines<BufReader<ChildStderr>>) -> Result<String> {
    let mut seen = String::new();
    while let Some(line) = lines.next_line().await? {
        if let Some(server) = line.trim().strip_prefix("server    ") {
            return Ok(server.to_owned());
        }
        seen.push_str(&line);
        seen.push('\n');
    }
    anyhow::bail!("it ended:\n{seen}")
}

/// Starts everything with the example's settings, on a socket and a port of its own.
async fn start_and_ask(settings: &Path, socket: &str, program: &str, token: &str) -> Result<()> {
    let folder = private_folder()?;
    let own = format!("{}/plugin.sock", folder.path().display());
    let text = std::fs::read_to_string(settings)?;
    ensure!(
        text.contains(socket),
        "{} names no {socket}",
        settings.display()
    );
    let text = text.replace(socket, &own);
    let config = folder.path().join("settings.yaml");
    std::fs::write(&config, format!("{text}\nserver:\n  listen: 127.0.0.1:0\n"))?;
    let mut child = tokio::process::Command::new(binaries()?.join("rat"))
        .args(["dev", "--no-progress", "--dir"])
        .arg(folder.path().join("dev"))
        .arg("--config")
        .arg(&config)
        .args(["--plugin", &format!("{program} --listen unix:{own}")])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("no output")?).lines();
    let server = tokio::time::timeout(START, address(&mut lines))
        .await
        .context("it was not ready in time")??;
    // Nobody reads on; a full pipe would stop it.
    let rest = tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });

    let user = wait_for("the plugin to say who is calling", async || {
        let (status, user) = me(&server, Some(token)).await?;
        Ok((status == 200).then_some(user))
    })
    .await?;
    ensure!(user == "alice", "{user} is not alice");
    let (without, _) = me(&server, None).await?;
    let (wrong, _) = me(&server, Some("wrong")).await?;
    ensure!((without, wrong) == (401, 401), "{without}, {wrong}");

    let pid = child.id().context("it has ended")?;
    kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
    let status = child.wait().await?;
    rest.abort();
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

#[tokio::test]
async fn the_rust_example_says_who_is_calling() -> Result<()> {
    let program = binaries()?.join("rat-plugin-auth-static");
    if !program.is_file() {
        return skip("the Rust example", "rat-plugin-auth-static is not built");
    }
    start_and_ask(
        &example("auth-static/rat.yaml"),
        "/tmp/rat-auth-static.sock",
        &format!("'{}'", program.display()),
        "let-me-in",
    )
    .await
}

#[tokio::test]
async fn the_python_example_says_who_is_calling() -> Result<()> {
    let Some(python) = std::env::var_os("RAT_TEST_PYTHON").map(PathBuf::from) else {
        return skip("the Python example", "RAT_TEST_PYTHON is not set");
    };
    let script = example("auth-static-python/auth_static.py");
    start_and_ask(
        &example("auth-static-python/rat.yaml"),
        "/tmp/rat-auth-static-python.sock",
        &format!("'{}' '{}'", python.display(), script.display()),
        "alice-token",
    )
    .await
}
