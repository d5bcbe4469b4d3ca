//! What the API asks of the plugin host.

use futures::future::BoxFuture;
use rat_config::{OnDown, Slot};
use rat_types::Kind;

use crate::fault::Fault;

/// What stands in a slot at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// No plugin is configured: the built-in.
    Builtin,
    /// The plugin.
    Plugin,
    /// The plugin is down: calls that need it fail.
    Denied,
    /// The plugin is down: the built-in has taken over.
    Fallback,
    /// The plugin is down: runs wait.
    Held,
}

impl Holder {
    /// The holder as the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Plugin => "plugin",
            Self::Denied => "denied",
            Self::Fallback => "fallback",
            Self::Held => "held",
        }
    }
}

/// A slot at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotState {
    /// The slot.
    pub slot: Slot,
    /// Name of the plugin that is configured for it.
    pub plugin: Option<String>,
    /// What happens while that plugin is down.
    pub on_down: Option<OnDown>,
    /// What stands in it.
    pub holder: Holder,
    /// Why the plugin is not in its place; empty where it is.
    pub message: String,
}

/// What reading the configuration again has changed, as names of plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reloaded {
    /// New ones.
    pub added: Vec<String>,
    /// Those whose configuration is another one.
    pub changed: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that stay as they were.
    pub unchanged: Vec<String>,
}

/// Why the configuration was not taken over. Everything stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// It is wrong; the text is what `ratd check-config` would say.
    #[error("the configuration is not valid, nothing was changed: {0}")]
    Invalid(String),
    /// It cannot be read, or the database does not answer.
    #[error("the plugins were not read again: {0}")]
    Failed(String),
}

impl From<ReloadError> for Fault {
    fn from(error: ReloadError) -> Self {
        let (kind, reason) = match error {
            ReloadError::Invalid(_) => (Kind::InvalidArgument, "CONFIGURATION_INVALID"),
            ReloadError::Failed(_) => (Kind::Unavailable, "RELOAD_FAILED"),
        };
        Self::of(kind, reason, &error)
    }
}

/// Looks after the plugins.
pub trait Plugins: Send + Sync + 'static {
    /// All five slots, in the order of [`Slot::ALL`].
    fn slots(&self) -> Vec<SlotState>;

    /// Reads the plugins of the configuration again.
    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, ReloadError>>;

    /// What was counted about plugins, in the text format of OpenMetrics 1.0.
    fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }
}

/// An installation without plugins.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPlugins;

impl Plugins for NoPlugins {
    fn slots(&self) -> Vec<SlotState> {
        let builtin = |slot| SlotState {
            slot,
            plugin: None,
            on_down: None,
            holder: Holder::Builtin,
            message: String::new(),
        };
        Slot::ALL.into_iter().map(builtin).collect()
    }

    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, ReloadError>> {
        Box::pin(std::future::ready(Ok(Reloaded::default())))
    }
}
