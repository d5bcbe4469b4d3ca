//! Signals: the first asks to end, the second ends.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::notify;

/// What a shell reports for a process that a signal ended.
const SIGNAL_BASE: i32 = 128;

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Never returns: it is aborted when the daemon has ended.
    pub(super) async fn watch(mut self, shutdown: CancellationToken, reload: watch::Sender<u64>) {
        loop {
            let received = tokio::select! {
                _ = self.terminate.recv() => SignalKind::terminate(),
                _ = self.interrupt.recv() => SignalKind::interrupt(),
                _ = self.hangup.recv() => {
                    reload.send_modify(|count| *count += 1);
                    continue;
                }
            };
            let number = received.as_raw_value();
            if shutdown.is_cancelled() {
                tracing::warn!(signal = number, "second signal, ending at once");
                std::process::exit(SIGNAL_BASE + number);
            }
            tracing::info!(signal = number, "asked to end");
            notify::stopping();
            shutdown.cancel();
        }
    }
}
