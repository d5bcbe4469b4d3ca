//! What systemd is told (`sd_notify`). Without `NOTIFY_SOCKET` nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

/// By how much each message extends the start time-out.
const EXTENSION: Duration = Duration::from_secs(30);
/// How often it is extended.
const EXTEND_EVERY: Duration = Duration::from_secs(10);

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "failed to notify systemd");
    }
}

pub(super) fn ready() {
    send(&[NotifyState::Ready, NotifyState::Status("ready")]);
}

pub(super) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// A status is one line.
pub(super) fn status(text: &str) {
    send(&[NotifyState::Status(&text.replace('\n', " "))]);
}

pub(super) async fn extending<F: Future>(work: F) -> F::Output {
    let extend = async {
        let mut ticks = interval(EXTEND_EVERY);
        loop {
            ticks.tick().await;
            let micros = u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX);
            send(&[NotifyState::ExtendTimeoutUsec(micros)]);
        }
    };
    tokio::select! {
        biased;
        output = work => output,
        () = extend => unreachable!("the loop has no end"),
    }
}

/// How often systemd wants a sign of life.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero())
}

pub(super) fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// Feeds the watchdog at half of its time. The proof of life is that the runtime gets to this
/// task at all: if its workers are stuck, nothing is sent.
pub(super) async fn feed_watchdog() {
    let Some(limit) = watchdog() else {
        return;
    };
    let mut ticks = interval(limit / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        alive();
    }
}
