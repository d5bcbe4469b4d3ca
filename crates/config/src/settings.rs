//! Settings after validation: what the daemons work with.
//!
//! Plain data without serde: whoever holds a [`Settings`] holds values that are possible
//! together, and nothing here can be read past `validate`.

mod catalog;
mod plugins;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use url::Url;

pub use catalog::{Catalog, CatalogAccess, RestCatalog};
pub use plugins::{
    InvalidPluginName, OnDown, Plugin, PluginConfig, PluginName, PluginTls, Protocol, Slot,
};

use crate::{Address, Cidr, FileReference};

/// All settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// HTTP servers of ratd.
    pub server: Server,
    /// Who may call, without an auth plugin.
    pub auth: Auth,
    /// The platform database.
    pub database: Database,
    /// Where tables and landing files lie.
    pub storage: Storage,
    /// Which Iceberg catalog holds the tables.
    pub catalog: Catalog,
    /// The warm pool.
    pub runner: Runner,
    /// The query service.
    pub ratq: Ratq,
    /// How ratd dispatches runs.
    pub scheduler: Scheduler,
    /// How ratd looks after plugins.
    pub plugin_health: PluginHealth,
    /// What the daemons log.
    pub log: Log,
    /// Plugins by slot; a slot that is absent uses its built-in.
    pub plugins: BTreeMap<Slot, Plugin>,
    /// What is allowed and yet worth telling the operator, one sentence each. The edge logs them.
    pub warnings: Vec<String>,
}

/// HTTP servers of ratd.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Public listener.
    pub listen: Address,
    /// Internal listener: a Unix socket or on loopback.
    pub internal_socket: Address,
    /// Origins in the form in which a browser sends them.
    pub cors_origins: Vec<String>,
    /// Requests per client address; `None` is no limit.
    pub rate_limit: Option<RateLimit>,
    /// Largest body of a request other than an upload.
    pub body_limit: ByteSize,
    /// Largest uploaded file.
    pub upload_limit: ByteSize,
    /// Time that a request other than an upload may take.
    pub request_timeout: Duration,
    /// Time within which a client has to send a request's headers.
    pub header_timeout: Duration,
    /// Time that running requests get when a daemon is stopped.
    pub shutdown_timeout: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Cidr>,
}

/// Requests per client address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// In the long run.
    pub requests_per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

/// Who may call, and who may do everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Auth {
    /// File that holds the API key; `None` lets everybody in as an administrator.
    pub api_key_file: Option<FileReference>,
    /// For how long a token that the auth plugin has verified is believed; `None` asks every time.
    pub token_cache: Option<Duration>,
    /// Roles whose holders have every permission of the platform.
    pub admin_roles: Vec<String>,
    /// Where people log in, if that is said.
    pub login: Option<Login>,
}

/// Where people log in with an auth plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The provider, to the letter as its tokens name it.
    pub issuer: String,
    /// The public client that `rat` is to it.
    pub client_id: String,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
}

/// The platform database.
#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    /// Where it is.
    pub source: DatabaseSource,
    /// Most connections to PostgreSQL.
    pub max_connections: NonZeroU32,
}

/// Where the database's URL comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum DatabaseSource {
    /// `sqlite:/path` or `postgres://…`, without a password.
    Url(String),
    /// A file that holds such a URL, perhaps with a password. The edge reads it.
    File(FileReference),
}

/// Where tables and landing files lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// Root of the lake: `file:///absolute/path`, without a slash at its end and without
    /// characters that would need escaping.
    pub url: Url,
}

/// The warm pool.
#[derive(Debug, Clone, PartialEq)]
pub struct Runner {
    /// Where it listens and is reached.
    pub address: Address,
    /// Runs that execute at the same time.
    pub slots: NonZeroU32,
    /// Runs that may wait for a slot.
    pub queue: NonZeroU32,
    /// Memory that all running queries share.
    pub memory_limit: ByteSize,
    /// Time that a run may take.
    pub run_timeout: Duration,
    /// Time that one quality test may take.
    pub quality_test_timeout: Duration,
    /// Time that runs have to end when the runner is asked to end.
    pub drain_timeout: Duration,
    /// Time for which a finished run is remembered.
    pub keep_results: Duration,
    /// Lines of log kept per run.
    pub log_lines: NonZeroU32,
    /// Folder for spilled data; `None` is the system's temporary folder.
    pub temp_dir: Option<PathBuf>,
}

/// The query service.
#[derive(Debug, Clone, PartialEq)]
pub struct Ratq {
    /// Where it listens and is reached.
    pub address: Address,
    /// Time that a query may take.
    pub timeout: Duration,
    /// Rows that a query returns at most.
    pub max_rows: u64,
    /// Memory that all queries share.
    pub memory_limit: ByteSize,
    /// Queries that execute at the same time.
    pub concurrent_queries: NonZeroU32,
}

/// How ratd dispatches runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduler {
    /// How often executors are asked for running runs.
    pub poll_interval: Duration,
    /// Polls in a row answered with "unknown" until a run is lost.
    pub lost_after: NonZeroU32,
    /// Runs that are with executors at the same time.
    pub max_running: NonZeroU32,
}

/// How ratd looks after plugins.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginHealth {
    /// Time between two health checks of a plugin that is well.
    pub interval: Duration,
    /// Time that a health check may take.
    pub timeout: Duration,
    /// Longest time between two health checks of a plugin that is not well.
    pub probe_interval: Duration,
}

/// What the daemons log.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// Least important level.
    pub level: LogLevel,
    /// Format.
    pub format: LogFormat,
}

/// Declares an enum that `rat.yaml` spells in the same way, and the ways there and back.
macro_rules! mirrored {
    ($(#[$doc:meta])* $ty:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $ty {
            $($(#[$vdoc])* $variant,)+
        }

        impl $ty {
            /// The value as it stands in `rat.yaml`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $ty {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl From<crate::wire::$ty> for $ty {
            fn from(wire: crate::wire::$ty) -> Self {
                match wire { $(crate::wire::$ty::$variant => Self::$variant),+ }
            }
        }

        impl From<$ty> for crate::wire::$ty {
            fn from(value: $ty) -> Self {
                match value { $($ty::$variant => Self::$variant),+ }
            }
        }
    };
}
use mirrored;

mirrored!(
    /// Level of a log line.
    LogLevel {
        /// What went wrong.
        Error = "error",
        /// What deserves a look.
        Warn = "warn",
        /// What happened.
        Info = "info",
        /// How it happened.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
);

mirrored!(
    /// Format of the log.
    LogFormat {
        /// JSON under systemd, else text.
        Auto = "auto",
        /// One JSON object per line.
        Json = "json",
        /// For people.
        Text = "text",
    }
);
