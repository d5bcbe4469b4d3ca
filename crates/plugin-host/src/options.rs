//! Times and bounds of talking to plugins.

use std::time::Duration;

/// Times and bounds. Every wait for a plugin is one of these.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long connecting may take, TLS included.
    pub dial: Duration,
    /// How long a call may take; of a stream, its first message.
    pub call: Duration,
    /// How long a stream may be silent after its first message.
    pub idle: Duration,
    /// Bytes of the largest message that a plugin may answer.
    pub answer_bytes: usize,
    /// How often a host name is looked up again.
    pub resolve: Duration,
    /// Time between two health checks of a plugin that is well.
    pub health_interval: Duration,
    /// Time between two health checks of a plugin that is not, at most.
    pub probe_interval: Duration,
    /// How long a health check may take.
    pub health_timeout: Duration,
    /// For how long a verified token is believed without asking again; `None` asks every time.
    pub token_cache: Option<Duration>,
    /// Bytes that remembered tokens and their users may take.
    pub token_cache_bytes: u64,
    /// Roles whose holders have every permission of the platform, where the auth plugin leaves
    /// that to ratd.
    pub admin_roles: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dial: Duration::from_secs(5),
            call: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            answer_bytes: 4 << 20,
            resolve: Duration::from_secs(30),
            health_interval: Duration::from_secs(30),
            probe_interval: Duration::from_secs(1),
            health_timeout: Duration::from_secs(5),
            token_cache: Some(Duration::from_secs(60)),
            token_cache_bytes: 32 << 20,
            admin_roles: ["admin", "/admin"].map(str::to_owned).into(),
        }
    }
}
