//! `rat.yaml` as it is written: the only place that knows its keys, and the source of the JSON
//! Schema and of the reference documentation.
//!
//! Every field documents meaning, default, unit, hazard and since when it exists. Texts with a
//! syntax of their own (addresses, durations) are still text here; `validate` parses them.

mod auth;
mod catalog;
mod plugins;
mod words;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use auth::Auth;
pub(crate) use catalog::{Catalog, CatalogType};
pub(crate) use plugins::{OnDown, Plugin, PluginTls, Plugins, Protocol};
pub(crate) use words::{
    AddressText, BlockText, CacheText, DurationText, EXPECTED, FileText, PathText,
    PluginAddressText, SizeText, UrlText,
};

/// Settings of RAT. Every key is optional; a file without any is the community installation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "rat.yaml")]
pub(crate) struct Root {
    /// The public HTTP server of ratd and its internal one. Since v0.1.
    pub(crate) server: Server,
    /// Who may call, and who may do everything. Since v0.1.
    pub(crate) auth: Auth,
    /// The platform database; only ratd opens it. Since v0.1.
    pub(crate) database: Database,
    /// Where tables and landing files lie. Since v0.1.
    pub(crate) storage: Storage,
    /// Which Iceberg catalog holds the tables. Since v0.1.
    pub(crate) catalog: Catalog,
    /// The warm pool that executes pipelines: where ratd reaches it, and its limits. Since v0.1.
    pub(crate) runner: Runner,
    /// The query service: where ratd reaches it, and its limits. Since v0.1.
    pub(crate) ratq: Ratq,
    /// How ratd dispatches runs. Since v0.1.
    pub(crate) scheduler: Scheduler,
    /// How ratd looks after plugins. Since v0.1.
    pub(crate) plugin_health: PluginHealth,
    /// What the daemons log. Since v0.1.
    pub(crate) log: Log,
    /// Plugins by slot. A slot that is not named uses its built-in. Since v0.1.
    pub(crate) plugins: Plugins,
}

/// The public HTTP server of ratd and its internal one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// Address of the public listener (`/api/v1`, `/iceberg`): `host:port` or `unix:/path`.
    /// Beyond loopback, configure authentication first: without it everybody who can connect is
    /// an administrator.
    /// Default: `127.0.0.1:8080`. Since v0.1.
    pub(crate) listen: AddressText,
    /// Address of the internal listener, for runs and plugins: `unix:/path`, or `host:port` on
    /// loopback. It never listens beyond this machine.
    /// Default: `unix:/run/rat/internal.sock`. Since v0.1.
    pub(crate) internal_socket: AddressText,
    /// Origins (`scheme://host[:port]`) whose web pages may call the API from a browser. `*` is
    /// refused, because the API accepts credentials. Without authentication their hosts are also
    /// the only names, besides `localhost` and that of `listen`, that requests may be sent to.
    /// Default: `["http://localhost:3000"]`. Since v0.1.
    #[schemars(length(max = 100))]
    pub(crate) cors_origins: Vec<UrlText>,
    /// Requests per client address, or `off`. Behind a proxy set `trusted_proxies` as well, or
    /// all clients share one budget.
    /// Default: `{requests_per_second: 50, burst: 100}`. Since v0.1.
    pub(crate) rate_limit: RateLimit,
    /// Largest body of a request other than an upload; such a body is held in memory. At most
    /// 1 GiB.
    /// Default: `1MiB`. Since v0.1.
    pub(crate) body_limit: SizeText,
    /// Largest file that may be uploaded into a landing zone; it is streamed to storage.
    /// Default: `1GiB`. Since v0.1.
    pub(crate) upload_limit: SizeText,
    /// Time that a request other than an upload may take.
    /// Default: `2m`. Since v0.1.
    pub(crate) request_timeout: DurationText,
    /// Time within which a client has to send a request's headers.
    /// Default: `10s`. Since v0.1.
    pub(crate) header_timeout: DurationText,
    /// Time that running requests get when a daemon is stopped; afterwards they are cut off.
    /// Default: `15s`. Since v0.1.
    pub(crate) shutdown_timeout: DurationText,
    /// Addresses or blocks (CIDR) of proxies whose `X-Forwarded-For` is believed. Name only what
    /// you run yourself: whoever is in here chooses the client address that is logged and
    /// limited. Only of connections a proxy remains one client, with at most a quarter of
    /// ratd's 1024: have it keep and reuse them.
    /// Default: `[]`. Since v0.1.
    #[schemars(length(max = 100))]
    pub(crate) trusted_proxies: Vec<BlockText>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            internal_socket: "unix:/run/rat/internal.sock".into(),
            cors_origins: vec!["http://localhost:3000".into()],
            rate_limit: RateLimit::Limit(Limit::default()),
            body_limit: "1MiB".into(),
            upload_limit: "1GiB".into(),
            request_timeout: "2m".into(),
            header_timeout: "10s".into(),
            shutdown_timeout: "15s".into(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// A rate limit, or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RateLimit {
    Off(Off),
    Limit(Limit),
}

/// The word `off`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Off {
    Off,
}

/// Requests per client address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limit {
    /// Requests that a client may make per second in the long run.
    /// Default: `50`. Since v0.1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) requests_per_second: u32,
    /// Requests that a client may make at once.
    /// Default: `100`. Since v0.1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) burst: u32,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            requests_per_second: 50,
            burst: 100,
        }
    }
}

/// The platform database; only ratd opens it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Database {
    /// `sqlite:/path` or `postgres://user@host:port/name`. A password is refused here: put the
    /// whole URL into a file and name it in `url_file`. TLS is a matter of the URL too, see
    /// PostgreSQL below.
    /// Default: `sqlite:/var/lib/rat/rat.db`. Since v0.1.
    #[schemars(extend("default" = crate::wire::DATABASE_URL))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<UrlText>,
    /// File that holds the URL, instead of `url`: an absolute path, or a bare name that is looked
    /// up in `$CREDENTIALS_DIRECTORY`.
    /// Default: `null`. Since v0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url_file: Option<FileText>,
    /// Most connections that ratd opens to PostgreSQL; SQLite has one writer whatever this says.
    /// Default: `10`. Since v0.1.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) max_connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            max_connections: 10,
        }
    }
}

/// Where the database lies if nothing says otherwise.
pub(crate) const DATABASE_URL: &str = "sqlite:/var/lib/rat/rat.db";

/// Where tables and landing files lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Storage {
    /// Folder of the lake as `file:///absolute/path`. Tables remember where their files are: do
    /// not change it once there are tables.
    /// Default: `file:///var/lib/rat/lake`. Since v0.1.
    pub(crate) url: UrlText,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            url: "file:///var/lib/rat/lake".into(),
        }
    }
}

/// The warm pool that executes pipelines: where ratd reaches it, and its limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Runner {
    /// Address on which rat-runner listens and on which ratd reaches it: `unix:/path` or
    /// `host:port`. Who can connect can have SQL executed; requests carry tokens in the clear.
    /// Default: `unix:/run/rat/runner.sock`. Since v0.1.
    pub(crate) address: AddressText,
    /// Runs that execute at the same time.
    /// Default: `4`. Since v0.1.
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) slots: u32,
    /// Runs that may wait for a slot. Further ones wait in ratd.
    /// Default: `1000`. Since v0.1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) queue: u32,
    /// Memory that the queries of all running pipelines share; beyond it they spill to
    /// `temp_dir`, or fail. Bounds the working memory of operators and the size of a single batch;
    /// batches on their way, Parquet and IPC encoding and the allocator come on top, so plan for
    /// several times this much in the process. At least 16 MiB.
    /// Default: `2GiB`. Since v0.1.
    pub(crate) memory_limit: SizeText,
    /// Time that a run may take; afterwards it fails and nothing is published.
    /// Default: `1h`. Since v0.1.
    pub(crate) run_timeout: DurationText,
    /// Time that one quality test may take.
    /// Default: `1m`. Since v0.1.
    pub(crate) quality_test_timeout: DurationText,
    /// Time that runs have to end when the runner is asked to end, for example by an upgrade.
    /// What still executes then fails with `RUNNER_STOPPED`.
    /// Default: `5m`. Since v0.1.
    pub(crate) drain_timeout: DurationText,
    /// Time for which the runner remembers a finished run, for a ratd that was away meanwhile.
    /// Default: `1h`. Since v0.1.
    pub(crate) keep_results: DurationText,
    /// Lines of log that the runner keeps per run: the newest; older ones are dropped.
    /// Default: `10000`. Since v0.1.
    #[schemars(range(min = 100, max = 1_000_000))]
    pub(crate) log_lines: u32,
    /// Folder for spilled data, absolute; `null` is the system's temporary folder.
    /// Default: `null`. Since v0.1.
    pub(crate) temp_dir: Option<PathText>,
}

impl Default for Runner {
    fn default() -> Self {
        Self {
            address: "unix:/run/rat/runner.sock".into(),
            slots: 4,
            queue: 1000,
            memory_limit: "2GiB".into(),
            run_timeout: "1h".into(),
            quality_test_timeout: "1m".into(),
            drain_timeout: "5m".into(),
            keep_results: "1h".into(),
            log_lines: 10_000,
            temp_dir: None,
        }
    }
}

/// The query service: where ratd reaches it, and its limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ratq {
    /// Address on which ratq listens and on which ratd reaches it: `unix:/path` or `host:port`.
    /// Requests carry tokens in the clear.
    /// Default: `unix:/run/rat/ratq.sock`. Since v0.1.
    pub(crate) address: AddressText,
    /// Time that a query may take.
    /// Default: `1m`. Since v0.1.
    pub(crate) timeout: DurationText,
    /// Rows that a query returns at most; the answer says when there were more.
    /// Default: `100000`. Since v0.1.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub(crate) max_rows: u64,
    /// Memory that all queries share; a query that needs more fails. Bounds the working memory of
    /// operators and the size of a single batch; batches on their way, Parquet and IPC encoding
    /// and the allocator come on top, so plan for several times this much in the process. At least
    /// 16 MiB.
    /// Default: `1GiB`. Since v0.1.
    pub(crate) memory_limit: SizeText,
    /// Queries that execute at the same time; further ones wait.
    /// Default: `8`. Since v0.1.
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) concurrent_queries: u32,
}

impl Default for Ratq {
    fn default() -> Self {
        Self {
            address: "unix:/run/rat/ratq.sock".into(),
            timeout: "1m".into(),
            max_rows: 100_000,
            memory_limit: "1GiB".into(),
            concurrent_queries: 8,
        }
    }
}

/// How ratd dispatches runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Scheduler {
    /// How often ratd asks executors for running runs. They also report by themselves, so this
    /// bounds the delay after a lost report.
    /// Default: `5s`. Since v0.1.
    pub(crate) poll_interval: DurationText,
    /// Polls in a row to which an executor answers that it does not know a run, until the run
    /// fails as lost.
    /// Default: `3`. Since v0.1.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) lost_after: u32,
    /// Runs that are with executors at the same time, queued there or executing.
    /// Default: `64`. Since v0.1.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_running: u32,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            poll_interval: "5s".into(),
            lost_after: 3,
            max_running: 64,
        }
    }
}

/// How ratd looks after plugins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PluginHealth {
    /// Time between two health checks of a plugin that is well.
    /// Default: `30s`. Since v0.1.
    pub(crate) interval: DurationText,
    /// Time within which a plugin has to answer a health check; one that does not is down.
    /// Default: `5s`. Since v0.1.
    pub(crate) timeout: DurationText,
    /// Longest time between two health checks of a plugin that is down, which is how long it may
    /// take until it is noticed that the plugin is back.
    /// Default: `1s`. Since v0.1.
    pub(crate) probe_interval: DurationText,
}

impl Default for PluginHealth {
    fn default() -> Self {
        Self {
            interval: "30s".into(),
            timeout: "5s".into(),
            probe_interval: "1s".into(),
        }
    }
}

/// What the daemons log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// Least important level that is logged: `error`, `warn`, `info`, `debug` or `trace`.
    /// Default: `info`. Since v0.1.
    pub(crate) level: LogLevel,
    /// `text` for people, `json` for machines, `auto`: JSON under systemd, else text.
    /// Default: `auto`. Since v0.1.
    pub(crate) format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum LogFormat {
    #[default]
    Auto,
    Json,
    Text,
}
