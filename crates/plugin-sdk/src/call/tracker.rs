//! How many calls are open, and since when none is.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

/// Shared by all calls.
#[derive(Debug, Clone)]
pub(crate) struct Tracker {
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    open: usize,
    idle_since: Instant,
}

/// A call that is being answered.
#[derive(Debug)]
pub(crate) struct OpenCall(Tracker);

impl Tracker {
    pub(super) fn new() -> Self {
        let state = State {
            open: 0,
            idle_since: Instant::now(),
        };
        Self {
            state: Arc::new(watch::Sender::new(state)),
        }
    }

    pub(super) fn open(&self) -> OpenCall {
        self.state.send_modify(|state| state.open += 1);
        OpenCall(self.clone())
    }

    /// Waits until there has been no call for `limit`.
    pub(crate) async fn idle_for(&self, limit: std::time::Duration) {
        let mut changes = self.state.subscribe();
        loop {
            let state = *changes.borrow_and_update();
            let is_over = async {
                match state.open {
                    0 => tokio::time::sleep_until(state.idle_since + limit).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = is_over => return,
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| {
            state.open -= 1;
            state.idle_since = Instant::now();
        });
    }
}
