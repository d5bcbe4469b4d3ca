//! A plugin whose socket outlives it is restarted under load: nobody notices.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use rat_acceptance::{AuthPlugin, ControlPlane, Load, private_folder, users, wait_for};
use tokio::time::{Instant, sleep_until};

use super::{RATE, callers, duration, say, settings};

const USERS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_a_socket_activated_plugin_is_restarted() -> Result<()> {
    let folder = private_folder()?;
    let path = folder.path().join("auth.sock");
    let log = folder.path().join("plugin.log");
    let socket = UnixListener::bind(&path)?;
    let start = || AuthPlugin::activated(OwnedFd::from(socket.try_clone()?), &log, &[]);
    let mut plugin = start()?;
    let address = format!("unix:{}", path.display());
    let settings = settings(&address, "off", &users(USERS, 0));
    let control_plane = ControlPlane::start(folder.path(), &settings, &[]).await?;
    wait_for("the plugin to be asked", async || {
        let (status, _) = control_plane.get("/api/v1/me", Some("token-0")).await?;
        Ok((status == 200).then_some(()))
    })
    .await?;

    let load = Load::start(control_plane.url(), callers(USERS), RATE)?;
    let begun = Instant::now();
    let seconds = u32::try_from(duration().as_secs())?;
    for second in 1..=seconds {
        sleep_until(begun + Duration::from_secs(1) * second).await;
        // Either way: with a successor that is there already, and after the end as systemd does.
        let early = match second % 2 {
            0 => Some(start()?),
            _ => None,
        };
        plugin.signal(Signal::SIGTERM)?;
        ensure!(plugin.ended().await?, "the plugin did not end well");
        plugin = match early {
            Some(successor) => successor,
            None => start()?,
        };
    }
    let answers = load.stop().await?;
    let failed: Vec<_> = answers
        .iter()
        .filter(|answer| {
            let expected = if answer.caller.user.is_some() {
                200
            } else {
                401
            };
            answer.status() != expected
        })
        .collect();
    let slowest = answers.iter().map(|answer| answer.done - answer.sent).max();
    say(&format!(
        "\n{seconds} graceful restarts: {} requests, {} failed, the slowest took {} ms\n",
        answers.len(),
        failed.len(),
        slowest.unwrap_or_default().num_milliseconds()
    ));
    ensure!(
        failed.is_empty(),
        "{} failed, such as {:?}",
        failed.len(),
        failed[0]
    );
    Ok(())
}
