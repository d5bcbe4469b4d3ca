//! Plugins that are absent, wrong, unreachable or too much: ratd stays up and says which and why.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use rat_acceptance::{
    AuthPlugin, ControlPlane, Load, log_lines, private_folder, skip, users, wait_for,
};

use super::{callers, settings};

/// Settings of a plugin in the sharing slot, where the list of plugins stays in reach.
fn sharing(address: &str) -> String {
    format!(
        "log:\n  level: debug\n  format: json\n\
         plugins:\n  sharing:\n    name: sharing-one\n    image: local/sharing-one\n    \
         address: {address}\n"
    )
}

/// ratd is up, and tells of the plugin in the list, in its health and in its log.
async fn is_told(control_plane: &ControlPlane, address: &str, cause: &str) -> Result<()> {
    let plugin = control_plane.plugin_is("sharing-one", "down", None).await?;
    ensure!(
        plugin["slot"] == "sharing" && plugin["address"] == address,
        "{plugin}"
    );
    let message = plugin["message"].as_str().unwrap_or_default();
    ensure!(
        message.contains(cause),
        "{message:?} does not say {cause:?}"
    );
    // Which is a second old at most.
    wait_for("its health", async || {
        let (_, health) = control_plane.get("/health", None).await?;
        ensure!(health["plugins"]["sharing-one"] == "down", "{health}");
        Ok(Some(()))
    })
    .await?;
    let lines = log_lines(control_plane.log(), "the plugin's status changed")?;
    let line = lines.last().context("nothing in the log")?;
    let said = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
    ensure!(
        said("slot") == "sharing" && said("plugin") == "sharing-one",
        "{line}"
    );
    ensure!(
        said("address") == address && line.to_string().contains(cause),
        "{line}"
    );
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_is_absent_at_the_start_is_named_and_found_when_it_comes() -> Result<()> {
    let folder = private_folder()?;
    let address = format!("unix:{}/auth.sock", folder.path().display());
    let control_plane =
        ControlPlane::start(folder.path(), &settings(&address, "off", &users(1, 0)), &[]).await?;
    let (status, body) = control_plane.get("/api/v1/me", Some("token-0")).await?;
    ensure!(
        status == 503 && body.to_string().contains("auth-static"),
        "{status} {body}"
    );
    let lines = log_lines(control_plane.log(), "the plugin's status changed")?;
    let line = lines.last().context("nothing in the log")?.to_string();
    for part in [
        "\"auth\"",
        "\"auth-static\"",
        &address,
        "failed to connect",
        "No such file",
    ] {
        ensure!(line.contains(part), "{line} does not say {part}");
    }
    let _plugin = AuthPlugin::listening(&address, &folder.path().join("plugin.log"), &[])?;
    let come = wait_for("the plugin to be found", async || {
        let (status, body) = control_plane.get("/api/v1/me", Some("token-0")).await?;
        Ok((status == 200).then_some(body))
    });
    ensure!(come.await?["user_id"] == "user-0");
    Ok(())
}

#[tokio::test]
async fn another_service_at_the_address_is_no_plugin() -> Result<()> {
    let folder = private_folder()?;
    let other = private_folder()?;
    let other = (ControlPlane::start(other.path(), "", &[]).await?, other);
    let address = other.0.url().trim_start_matches("http://").to_owned();
    let control_plane = ControlPlane::start(folder.path(), &sharing(&address), &[]).await?;
    is_told(&control_plane, &address, "no plugin").await
}

#[tokio::test]
async fn a_plugin_of_another_slot_is_told_apart() -> Result<()> {
    let folder = private_folder()?;
    let address = format!("unix:{}/auth.sock", folder.path().display());
    let _plugin = AuthPlugin::listening(&address, &folder.path().join("plugin.log"), &[])?;
    let control_plane = ControlPlane::start(folder.path(), &sharing(&address), &[]).await?;
    let warned = wait_for("a warning", async || {
        let plugin = control_plane.plugin("sharing-one", None).await?;
        let told = "it says that it fills auth, and is configured for sharing";
        ensure!(plugin.to_string().contains(told), "{plugin}");
        Ok(Some(()))
    });
    warned.await
}

#[tokio::test]
async fn a_socket_that_ratd_may_not_open_is_named() -> Result<()> {
    // What root may do anyway is taken from it; others have no more than they have.
    let without = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-all"];
    let is_root = nix::unistd::Uid::effective().is_root();
    let wrapper: &[&str] = if is_root { &without } else { &[] };
    if is_root && !works(&["setpriv", "--bounding-set=-dac_override", "true"]) {
        return skip("a socket without permission", "setpriv does not work here");
    }
    let folder = private_folder()?;
    let socket = folder.path().join("sharing.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket)?;
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o000))?;
    let address = format!("unix:{}", socket.display());
    let control_plane = ControlPlane::start(folder.path(), &sharing(&address), wrapper).await?;
    is_told(&control_plane, &address, "Permission denied").await
}

fn works(command: &[&str]) -> bool {
    let mut command_line = Command::new(command[0]);
    command_line.args(&command[1..]).stderr(Stdio::null());
    command_line.status().is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_ten_megabytes_are_refused_and_take_no_memory() -> Result<()> {
    let folder = private_folder()?;
    let address = format!("unix:{}/auth.sock", folder.path().display());
    let tokens = folder.path().join("tokens.yaml");
    // A short file that says much: one role of 64 KiB, 160 times.
    let (role, again) = ("x".repeat(64 << 10), ["*role"; 159].join(", "));
    let huge = format!("huge:\n  user_id: huge\n  roles: [&role {role}, {again}]\n");
    std::fs::write(&tokens, huge)?;
    let config = format!("      token_file: {}\n{}", tokens.display(), users(1, 0));
    let _plugin = AuthPlugin::listening(&address, &folder.path().join("plugin.log"), &[])?;
    let settings = settings(&address, "1m", &config);
    let control_plane = ControlPlane::start(folder.path(), &settings, &[]).await?;
    wait_for("the plugin to be asked", async || {
        let (status, body) = control_plane.get("/api/v1/me", Some("token-0")).await?;
        ensure!(status == 200, "{body}");
        Ok(Some(()))
    })
    .await?;
    let first = control_plane.memory()?;
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (http, url) = (
            reqwest::Client::new(),
            format!("{}/api/v1/me", control_plane.url()),
        );
        asked.spawn(async move { http.get(url).bearer_auth("huge").send().await });
    }
    while let Some(answer) = asked.join_next().await {
        let status = answer??.status();
        ensure!(status == 503, "{status}");
    }
    let last = control_plane.memory()?;
    ensure!(
        last.peak < first.resident + 128 * 1024,
        "{first:?} {last:?}"
    );
    let log = std::fs::read_to_string(control_plane.log())?;
    let parts = ["auth", "auth-static", &address, "more than 4194304 bytes"];
    let mut lines = log.lines();
    ensure!(
        lines.any(|line| parts.iter().all(|part| line.contains(part))),
        "no line of the log has all of {parts:?}"
    );
    let (status, _) = control_plane.get("/api/v1/me", Some("token-0")).await?;
    ensure!(status == 200, "the others are let in as before: {status}");
    Ok(())
}

/// A world in which a name has two addresses.
fn two_addresses(folder: &Path) -> Result<Option<Vec<String>>> {
    let hosts = folder.join("hosts");
    std::fs::write(
        &hosts,
        "127.0.0.1 localhost\n127.0.0.1 replicas.test\n127.0.0.2 replicas.test\n",
    )?;
    let script = format!(
        "mount --bind {} /etc/hosts && exec \"$0\" \"$@\"",
        hosts.display()
    );
    for unshare in [vec!["unshare", "-m"], vec!["unshare", "-rm"]] {
        let mut wrapper = unshare;
        wrapper.extend(["sh", "-c", &script]);
        let mut attempt = wrapper.clone();
        attempt.extend(["true"]);
        if works(&attempt) {
            return Ok(Some(wrapper.into_iter().map(str::to_owned).collect()));
        }
    }
    skip("two replicas", "a mount namespace is not allowed here")?;
    Ok(None)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_replicas_one_may_die() -> Result<()> {
    let folder = private_folder()?;
    let Some(wrapper) = two_addresses(folder.path())? else {
        return Ok(());
    };
    let wrapper: Vec<_> = wrapper.iter().map(String::as_str).collect();
    let one = TcpListener::bind("127.0.0.1:0")?;
    let port = one.local_addr()?.port();
    let other = TcpListener::bind(("127.0.0.2", port))?;
    let log = folder.path().join("plugin.log");
    // Over TCP nobody may send them a configuration.
    let config = folder.path().join("plugin.json");
    let known: Vec<_> = (0..8)
        .map(|number| format!("\"token-{number}\": {{\"user_id\": \"user-{number}\"}}"))
        .collect();
    std::fs::write(&config, format!("{{\"tokens\": {{{}}}}}", known.join(", ")))?;
    let config = config.to_str().context("the folder has a name")?;
    let start = |socket: TcpListener| {
        AuthPlugin::activated(OwnedFd::from(socket), &log, &["--config", config])
    };
    let (staying, dying) = (start(one)?, start(other)?);
    let address = format!("replicas.test:{port}");
    let settings = settings(&address, "off", "      {}\n");
    let control_plane = ControlPlane::start(folder.path(), &settings, &wrapper).await?;
    let token = Some("token-0");
    control_plane
        .plugin_is("auth-static", "healthy", token)
        .await?;

    let load = Load::start(control_plane.url(), callers(8), 200)?;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    dying.signal(Signal::SIGKILL)?;
    dying.ended().await?;
    let plugin = control_plane
        .plugin_is("auth-static", "degraded", token)
        .await?;
    let message = plugin["message"].as_str().unwrap_or_default();
    let expected = format!("1 of 2 replicas cannot be used; 127.0.0.2:{port}: ");
    ensure!(message.starts_with(&expected), "{message}");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    for answer in load.stop().await? {
        let expected = if answer.caller.user.is_some() {
            200
        } else {
            401
        };
        ensure!(answer.status() == expected, "{answer:?}");
    }
    drop(staying);
    Ok(())
}
