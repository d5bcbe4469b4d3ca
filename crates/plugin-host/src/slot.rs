//! The slots: who stands in each at this moment.
//!
//! A slot's adapter loads its [`Standing`] at every call, without a lock, and does what the holder
//! says. It is put in place anew whenever the plugin's status changes, or another plugin is
//! configured; whatever the order in which that happens, the last one to do so has read the
//! plugin's latest state.

mod authentication;
mod cloud;
mod enforcement;
mod executor;
mod sharing;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use rat_api::{Holder, SlotError, SlotState};
use rat_config::{OnDown, Slot};
use rat_store::PluginStatus;
use rat_types::Kind;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::Code;

use crate::call::{CallError, Cause};
use crate::plugin::Plugin;

pub(crate) use authentication::AuthSlot;
pub(crate) use cloud::CloudSlot;
pub(crate) use enforcement::EnforcementSlot;
pub(crate) use executor::ExecutorSlot;
pub(crate) use sharing::SharingSlot;

/// How long a call waits for a plugin that ratd has not asked yet: a moment after the start, or as
/// long as a plugin takes that hangs.
const FIRST_CHECK: Duration = Duration::from_secs(5);

/// Who stands in a slot.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) holder: Holder,
    /// The plugin that is configured, whether it is the holder or not.
    pub(crate) plugin: Option<Arc<Plugin>>,
    /// Why the plugin is not the holder; empty where it is, or where there is none.
    pub(crate) message: String,
}

impl Standing {
    /// Whether nothing is known of the plugin yet.
    fn is_unasked(&self) -> bool {
        let plugin = self.plugin.as_ref();
        plugin.is_some_and(|plugin| plugin.state().status == PluginStatus::Unknown)
    }
}

type Follower = Box<dyn Fn(&Standing) + Send + Sync>;

/// A slot.
pub(crate) struct Cell {
    slot: Slot,
    standing: ArcSwap<Standing>,
    /// Held while the standing changes.
    plugin: Mutex<Option<Arc<Plugin>>>,
    /// Who has to be told.
    follower: OnceLock<Follower>,
    /// Tells who waits that the standing is another.
    changes: watch::Sender<()>,
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell").field("slot", &self.slot).finish()
    }
}

impl Cell {
    pub(crate) fn new(slot: Slot) -> Self {
        Self {
            slot,
            standing: ArcSwap::from_pointee(standing(slot, None)),
            plugin: Mutex::new(None),
            follower: OnceLock::new(),
            changes: watch::Sender::new(()),
        }
    }

    /// From now on `follower` is told of every change, in their order.
    pub(crate) fn follow(&self, follower: Follower) {
        // There is one at most; a second one would be a mistake in this crate.
        let _ = self.follower.set(follower);
    }

    pub(crate) fn load(&self) -> Guard<Arc<Standing>> {
        self.standing.load()
    }

    /// As [`load`](Self::load), but where the plugin was not asked yet, after that: callers that
    /// waited for ratd to start are not to find a plugin missing that is there.
    pub(crate) async fn settled(&self) -> Arc<Standing> {
        let standing = self.standing.load_full();
        if !standing.is_unasked() {
            return standing;
        }
        let mut changes = self.changes.subscribe();
        let asked = async {
            // An error would mean that the slot is gone, and with it who asks.
            while self.load().is_unasked() && changes.changed().await.is_ok() {}
        };
        // Past that the plugin counts as one that is down.
        let _ = timeout(FIRST_CHECK, asked).await;
        self.standing.load_full()
    }

    /// Puts another plugin in, or none.
    pub(crate) fn fill(&self, plugin: Option<Arc<Plugin>>) {
        let mut current = self.lock();
        *current = plugin;
        self.settle(current.as_ref());
    }

    /// The plugin's status has changed.
    pub(crate) fn update(&self) {
        let current = self.lock();
        self.settle(current.as_ref());
    }

    fn settle(&self, plugin: Option<&Arc<Plugin>>) {
        let standing = Arc::new(standing(self.slot, plugin));
        self.standing.store(Arc::clone(&standing));
        if let Some(follower) = self.follower.get() {
            follower(&standing);
        }
        self.changes.send_replace(());
    }

    pub(crate) fn state(&self) -> SlotState {
        let standing = self.load();
        let plugin = standing.plugin.as_ref();
        SlotState {
            slot: self.slot,
            plugin: plugin.map(|plugin| plugin.who.name.clone()),
            on_down: plugin.map(|plugin| plugin.on_down()),
            holder: standing.holder,
            message: standing.message.clone(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Plugin>>> {
        self.plugin.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn standing(slot: Slot, plugin: Option<&Arc<Plugin>>) -> Standing {
    let Some(plugin) = plugin else {
        return Standing {
            holder: Holder::Builtin,
            plugin: None,
            message: String::new(),
        };
    };
    let state = plugin.state();
    let (holder, message) = match state.is_serving() {
        true => (Holder::Plugin, String::new()),
        false => {
            let word = match state.status {
                PluginStatus::Unknown => "not known yet",
                _ => "down",
            };
            let message = format!("{} is {word}: {}", plugin.who, state.message);
            (without(slot, plugin.on_down(), state.status), message)
        }
    };
    Standing {
        holder,
        plugin: Some(Arc::clone(plugin)),
        message,
    }
}

/// Who stands in for a plugin that is not there.
fn without(slot: Slot, on_down: OnDown, status: PluginStatus) -> Holder {
    match (slot, on_down, status) {
        // Runs that waited for ratd to start wait a moment longer for who is to execute them.
        (Slot::Executor, _, PluginStatus::Unknown) => Holder::Held,
        (_, OnDown::Deny, _) => Holder::Denied,
        (_, OnDown::Builtin, _) => Holder::Fallback,
        (_, OnDown::Hold, _) => Holder::Held,
    }
}

/// What the caller of sharing and cloud hears of a call that failed.
fn slot_error(slot: Slot, error: &CallError) -> SlotError {
    let slot = slot.as_str();
    let kind = match &error.cause {
        Cause::Answered { code, .. } => refusal(*code),
        _ => None,
    };
    match (&error.cause, kind) {
        (Cause::Answered { message, .. }, Some(kind)) => SlotError::Refused {
            kind,
            message: match message.is_empty() {
                true => error.to_string(),
                false => message.clone(),
            },
        },
        (Cause::TooLarge(_) | Cause::Garbage(_), _) => SlotError::Failed {
            slot,
            message: error.to_string(),
        },
        (cause, _) if cause.is_an_answer() => SlotError::Failed {
            slot,
            message: error.to_string(),
        },
        _ => SlotError::Unavailable {
            slot,
            message: error.to_string(),
        },
    }
}

/// What a plugin's error says about the request, if it is about that.
fn refusal(code: Code) -> Option<Kind> {
    match code {
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
            Some(Kind::InvalidArgument)
        }
        Code::NotFound => Some(Kind::NotFound),
        Code::AlreadyExists => Some(Kind::AlreadyExists),
        Code::PermissionDenied => Some(Kind::PermissionDenied),
        Code::ResourceExhausted => Some(Kind::ResourceExhausted),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stands_in_for_a_plugin_is_what_on_down_says() {
        use PluginStatus::{Down, Unknown};
        for slot in Slot::ALL {
            for status in [Down, Unknown] {
                let waits = slot == Slot::Executor && status == Unknown;
                let or_waits = |holder| if waits { Holder::Held } else { holder };
                let fallback = without(slot, OnDown::Builtin, status);
                assert_eq!(fallback, or_waits(Holder::Fallback), "{slot}");
                let denied = without(slot, OnDown::Deny, status);
                assert_eq!(denied, or_waits(Holder::Denied), "{slot}");
            }
        }
        assert_eq!(without(Slot::Executor, OnDown::Hold, Down), Holder::Held);
    }
}
