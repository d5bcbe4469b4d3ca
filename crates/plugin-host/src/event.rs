//! What happens to plugins, for whoever wants to hear of it.

use chrono::{DateTime, Utc};
use rat_config::Slot;
use rat_store::PluginStatus;

/// A plugin's status has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The plugin.
    pub plugin: String,
    /// Its slot.
    pub slot: Slot,
    /// Status until now.
    pub from: PluginStatus,
    /// Status from now on.
    pub to: PluginStatus,
    /// What the plugin says, or why it is not asked.
    pub message: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Events that a listener may lag behind before it misses some.
pub(crate) const KEPT: usize = 256;
