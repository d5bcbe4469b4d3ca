//! What the API asks of the slots that only it uses: sharing and cloud credentials, and of
//! whoever looks after the plugins.
//!
//! Each slot has a built-in that stands here, and is filled by a plugin elsewhere without a
//! handler noticing. The contracts of auth and enforcement stand beside the layers that ask them
//! ([`crate::Authenticator`], [`crate::Enforcer`]), that of the executor in `rat-scheduler`.

mod cloud;
mod plugins;
mod sharing;

pub use cloud::{CloudCredentials, Credentials, CredentialsRequest, NoCredentials};
pub use plugins::{Holder, NoPlugins, Plugins, ReloadError, Reloaded, SlotState};
pub use sharing::{Grant, GrantFilter, GrantPermission, Grantee, NewGrant, NoSharing, Sharing};

use rat_types::Kind;

use crate::fault::Fault;

/// Why a slot did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// The slot holds its built-in, which cannot do it.
    #[error("{what} is not available: no plugin fills the slot {slot}")]
    NotAvailable {
        /// The slot.
        slot: &'static str,
        /// What was asked for.
        what: &'static str,
    },
    /// The slot's plugin is down, or did not answer.
    #[error("the slot {slot} does not answer: {message}")]
    Unavailable {
        /// The slot.
        slot: &'static str,
        /// Which plugin, where, and why.
        message: String,
    },
    /// The plugin refuses this request, and says what is wrong with it.
    #[error("{message}")]
    Refused {
        /// What sort of refusal it is: `InvalidArgument`, `NotFound`, `AlreadyExists`,
        /// `PermissionDenied` or `ResourceExhausted`.
        kind: Kind,
        /// The plugin's words, cut to a bounded length.
        message: String,
    },
    /// The plugin answered what its contract does not allow, or failed.
    #[error("the slot {slot} failed: {message}")]
    Failed {
        /// The slot.
        slot: &'static str,
        /// Which plugin, where, and why.
        message: String,
    },
}

impl From<SlotError> for Fault {
    fn from(error: SlotError) -> Self {
        let (kind, reason) = match &error {
            SlotError::NotAvailable { .. } => (Kind::NotImplemented, "SLOT_NOT_FILLED"),
            SlotError::Unavailable { .. } => (Kind::Unavailable, "PLUGIN_UNAVAILABLE"),
            SlotError::Refused { kind, .. } => (*kind, "PLUGIN_REFUSED"),
            SlotError::Failed { .. } => (Kind::Upstream, "PLUGIN_FAILED"),
        };
        Self::of(kind, reason, &error)
    }
}
