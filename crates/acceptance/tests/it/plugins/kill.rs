//! `kill -9` of the auth plugin again and again, under load: nobody comes in unverified.
//!
//! Four kinds of kills take turns, so that each phase of a call is met for sure. Which phases a
//! kill has met is not taken from its kind but from the logs.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::Signal;
use rat_acceptance::{
    Answer, AuthPlugin, ControlPlane, Load, TELL_ALL, private_folder, users, wait_for,
};
use tokio::time::{Instant, sleep, sleep_until};

use super::join::Logs;
use super::{RATE, callers, duration, say, settings};

const USERS: usize = 400;
/// For so long after a kill, failing calls are counted as its doing.
const AFTERMATH: TimeDelta = TimeDelta::milliseconds(900);

/// What a kill is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// Calls are sent to a plugin that stands still, and is killed.
    Sent,
    /// The plugin is killed after an answer that ratd, which stands still, has not read.
    Answered,
    /// The plugin is killed while its socket stays and takes connections; then its successor,
    /// before it has taken them from there.
    Handshake,
    /// The plugin is killed with its socket, at any moment.
    Any,
}

const AIMS: [Aim; 4] = [Aim::Sent, Aim::Answered, Aim::Handshake, Aim::Any];

/// A kill: surely after the first time and before the second.
struct Kill {
    before: DateTime<Utc>,
    after: DateTime<Utc>,
}

/// Restarts the plugin, and kills it.
struct Supervisor {
    socket: PathBuf,
    log: PathBuf,
    plugin: Option<AuthPlugin>,
    /// The socket of a plugin that did not make its own.
    held: Option<UnixListener>,
    kills: Vec<Kill>,
}

impl Supervisor {
    fn new(folder: &Path) -> Self {
        Self {
            socket: folder.join("auth.sock"),
            log: folder.join("plugin.log"),
            plugin: None,
            held: None,
            kills: Vec::new(),
        }
    }

    fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    fn start(&mut self, next: Aim) -> Result<()> {
        self.held = None;
        self.plugin = Some(match next {
            Aim::Handshake => {
                match std::fs::remove_file(&self.socket) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(error.into());
                    }
                    _ => {}
                }
                let socket = UnixListener::bind(&self.socket)?;
                let plugin = self.activated(&socket)?;
                self.held = Some(socket);
                plugin
            }
            _ => AuthPlugin::listening(&self.address(), &self.log, &TELL_ALL)?,
        });
        Ok(())
    }

    fn activated(&self, socket: &UnixListener) -> Result<AuthPlugin> {
        AuthPlugin::activated(OwnedFd::from(socket.try_clone()?), &self.log, &TELL_ALL)
    }

    async fn kill(&mut self) -> Result<()> {
        let plugin = self.plugin.take().context("no plugin")?;
        let before = Utc::now();
        plugin.signal(Signal::SIGKILL)?;
        let after = Utc::now();
        plugin.ended().await?;
        self.kills.push(Kill { before, after });
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.plugin.as_ref().context("no plugin")?.signal(signal)
    }

    /// Waits until the plugin verifies somebody.
    async fn verifies(&self) -> Result<()> {
        let mut log = File::open(&self.log)?;
        log.seek(SeekFrom::End(0))?;
        let (mut text, until) = (String::new(), Instant::now() + Duration::from_secs(10));
        while !text.contains("\"verified\"") {
            ensure!(Instant::now() < until, "the plugin is not asked any more");
            log.read_to_string(&mut text)?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn strike(&mut self, aim: Aim, control_plane: &ControlPlane) -> Result<()> {
        self.verifies().await?;
        match aim {
            Aim::Any => self.kill().await,
            Aim::Sent => {
                self.signal(Signal::SIGSTOP)?;
                sleep(Duration::from_millis(15)).await;
                self.kill().await
            }
            Aim::Answered => {
                control_plane.signal(Signal::SIGSTOP)?;
                sleep(Duration::from_millis(15)).await;
                let killed = self.kill().await;
                control_plane.signal(Signal::SIGCONT)?;
                killed
            }
            Aim::Handshake => {
                self.kill().await?;
                sleep(Duration::from_millis(50)).await;
                let socket = self.held.take().context("the socket was not held")?;
                let successor = self.activated(&socket)?;
                while !successor.has_begun() {
                    tokio::task::yield_now().await;
                }
                successor.signal(Signal::SIGSTOP)?;
                // From now on the socket is the successor's alone, and dies with it.
                drop(socket);
                self.plugin = Some(successor);
                sleep(Duration::from_millis(10)).await;
                self.kill().await
            }
        }
    }
}

async fn nobody_comes_in(title: &str, token_cache: &str, limit: TimeDelta) -> Result<()> {
    let folder = private_folder()?;
    let mut supervisor = Supervisor::new(folder.path());
    supervisor.start(AIMS[0])?;
    let settings = settings(&supervisor.address(), token_cache, &users(USERS, 60));
    let control_plane = ControlPlane::start(folder.path(), &settings, &[]).await?;
    wait_for("the plugin to be asked", async || {
        let (status, _) = control_plane.get("/api/v1/me", Some("token-0")).await?;
        Ok((status == 200).then_some(()))
    })
    .await?;
    let first = control_plane.memory()?;

    let load = Load::start(control_plane.url(), callers(USERS), RATE)?;
    let begun = Instant::now();
    let seconds = u32::try_from(duration().as_secs())?;
    for second in 1..=seconds {
        let aim = |number: u32| AIMS[number as usize % AIMS.len()];
        sleep_until(begun + Duration::from_secs(1) * second).await;
        supervisor.strike(aim(second - 1), &control_plane).await?;
        sleep(Duration::from_millis(100)).await;
        supervisor.start(aim(second))?;
    }
    let took = begun.elapsed();
    let answers = load.stop().await?;
    let last = control_plane.memory()?;

    let logs = Logs::read(control_plane.log(), &supervisor.log)?;
    let kills = &supervisor.kills;
    let proven = logs.prove(&answers, limit)?;
    for answer in &answers {
        let expected: &[u16] = match answer.caller.user {
            Some(_) => &[200, 503],
            None => &[401, 503],
        };
        ensure!(expected.contains(&answer.status()), "{answer:?}");
    }
    let others = logs.recognised.values().flatten();
    let others: Vec<_> = others
        .filter(|known| !["plugin", "cache"].contains(&known.by.as_str()))
        .collect();
    ensure!(
        others.is_empty(),
        "{} came in by {}",
        others.len(),
        others[0].by
    );

    let phases = phases(kills, &logs, &answers);
    let users: Vec<_> = answers
        .iter()
        .filter(|answer| answer.caller.user.is_some())
        .collect();
    let good = users.iter().filter(|answer| answer.status() == 200).count();
    let mut text = format!(
        "\n{title}: {} kills in {:.0} s, {} requests ({:.0}/s)\n  users: {} requests, {:.1}% answered 200 \
         ({} by the plugin, {} from the cache, the oldest after {} ms), the others 503\n  \
         without a valid token: {} requests, none let in\n  \
         ratd: {} MiB at the beginning, {} MiB at the end, {} MiB at most\n  \
         phase of a call      kills that met it   calls\n",
        kills.len(),
        took.as_secs_f64(),
        answers.len(),
        answers.len() as f64 / took.as_secs_f64(),
        users.len(),
        100.0 * good as f64 / users.len() as f64,
        proven.by_plugin,
        proven.by_cache,
        proven.oldest.num_milliseconds(),
        answers.len() - users.len(),
        first.resident / 1024,
        last.resident / 1024,
        last.peak / 1024,
    );
    for phase in &phases {
        text.push_str(&format!(
            "  {:<20} {:>17} {:>7}\n",
            phase.name, phase.kills, phase.calls
        ));
    }
    say(&text);
    ensure!(
        proven.by_plugin + proven.by_cache == good,
        "{proven:?} {good}"
    );
    ensure!(good > 0 && kills.len() >= seconds as usize, "{text}");
    for phase in &phases {
        ensure!(
            phase.kills > 0,
            "no kill met a call in the phase {}",
            phase.name
        );
    }
    ensure!(last.peak < first.resident + 64 * 1024, "{first:?} {last:?}");
    Ok(())
}

/// A phase of a call, and how often the plugin was killed in it.
struct Phase {
    name: &'static str,
    kills: usize,
    calls: usize,
}

impl Phase {
    /// From the number of the kill that each call in the phase has met.
    fn new(name: &'static str, mut met: Vec<usize>) -> Self {
        let calls = met.len();
        met.sort_unstable();
        met.dedup();
        let kills = met.len();
        Self { name, kills, calls }
    }
}

/// In which phases calls of users were when the plugin was killed. A connection to a Unix socket
/// comes about at once or not at all: "dial" are the calls that were about to connect and found
/// nobody there any more.
fn phases(kills: &[Kill], logs: &Logs, answers: &[Answer]) -> Vec<Phase> {
    let before = |at: DateTime<Utc>| {
        let last = kills.iter().rposition(|kill| kill.before <= at)?;
        (at - kills[last].before < AFTERMATH).then_some(last)
    };
    let failed = |is_meant: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let attempts = logs.attempts.iter();
        attempts
            .filter(|attempt| is_meant(&attempt.cause))
            .filter_map(|attempt| before(attempt.at))
            .collect()
    };
    let dial = |cause: &str| cause.starts_with("it cannot be reached: failed to connect");
    let unreachable = |cause: &str| cause.starts_with("it cannot be reached");
    let sent = |cause: &str| {
        cause.starts_with("the connection broke during the call")
            || cause.starts_with("it broke the call off")
    };
    let verified = logs.verified();
    let answered = answers.iter().filter(|answer| answer.status() == 200);
    let answered = answered.filter_map(|answer| {
        let verified = verified.get(answer.id.as_str())?;
        let during = |kill: &Kill| verified.at <= kill.before && kill.after <= answer.done;
        kills.iter().position(during)
    });
    vec![
        Phase::new("dial", failed(&dial)),
        Phase::new(
            "handshake",
            failed(&|cause| unreachable(cause) && !dial(cause)),
        ),
        Phase::new("sent", failed(&sent)),
        Phase::new("answered", answered.collect()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_comes_in_unverified_while_the_auth_plugin_is_killed_again_and_again() -> Result<()>
{
    nobody_comes_in("without a token cache", "off", TimeDelta::zero()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_cache_lets_nobody_in_longer_than_its_limit_while_the_plugin_is_killed()
-> Result<()> {
    nobody_comes_in("with a token cache of 2 s", "2s", TimeDelta::seconds(2)).await
}
