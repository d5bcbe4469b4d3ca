//! What every plugin is, whichever slot it fills.

use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::Invalid;

/// A plugin.
///
/// A plugin is made from its configuration. Another configuration makes another one; calls that
/// are under way end on the one that they began with.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// Its name, for example `auth-keycloak`: in logs, in `Describe`, and with capitals and
    /// underscores as the prefix of its environment variables (`AUTH_KEYCLOAK_`).
    const NAME: &'static str;
    /// Its version, usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// Its configuration. `#[serde(deny_unknown_fields)]` makes misspelt keys an error;
    /// [`NoConfig`](crate::NoConfig) is for a plugin that has none.
    type Config: DeserializeOwned + JsonSchema + Send + 'static;
    /// Environment variables with names of their own, each with the key at the top that it stands
    /// for, beside those with the plugin's prefix, which win.
    const VARIABLES: &'static [(&'static str, &'static str)] = &[];
    /// Where the plugin listens when neither `--listen` nor systemd says it: an environment
    /// variable with a port of loopback, and the port where the variable is not set.
    const PORT: Option<(&'static str, u16)> = None;

    /// What can be wrong with `config` beyond its types, all of it, without making anything: for
    /// `check-config`, and before the plugin listens.
    ///
    /// # Errors
    /// [`Invalid::missing`] for what ratd may still send, [`Invalid::new`] for the rest.
    fn check(config: &Self::Config) -> Result<(), Invalid> {
        let _ = config;
        Ok(())
    }

    /// Makes the plugin. The types of `config` are checked already; what else can be wrong with
    /// it is refused here, all of it at once.
    ///
    /// Not the place to wait for others: a plugin whose database is away starts, and says so in
    /// [`Plugin::health`].
    fn configure(config: Self::Config) -> impl Future<Output = Result<Self, Invalid>> + Send;

    /// Makes the plugin's successor, where something has to be carried over. Without it the
    /// successor is made like the first.
    fn reconfigure(
        &self,
        config: Self::Config,
    ) -> impl Future<Output = Result<Self, Invalid>> + Send {
        let _ = self;
        Self::configure(config)
    }

    /// Whether it can do its work. Asked often, so that a look at something that is known already
    /// is best; after four seconds the answer is down.
    fn health(&self) -> impl Future<Output = Health> + Send {
        async { Health::healthy("") }
    }

    /// The last chance to put something in order: all calls have ended. It has five seconds.
    fn stop(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// How a plugin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Details for people, one line, no secret; may be empty.
    pub message: String,
}

/// The three words of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthStatus {
    /// It can do all of its work.
    Healthy,
    /// It can do part of it, or for a while.
    Degraded,
    /// It cannot.
    Down,
}

impl HealthStatus {
    /// The word in `HealthCheckResponse.status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

impl Health {
    /// It can do all of its work.
    pub fn healthy(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Healthy, message)
    }

    /// It can do part of it, or for a while.
    pub fn degraded(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Degraded, message)
    }

    /// It cannot.
    pub fn down(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Down, message)
    }

    fn new(status: HealthStatus, message: impl Into<String>) -> Self {
        let message = message.into().replace(['\n', '\r'], " ");
        Self { status, message }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.status.as_str())?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}
