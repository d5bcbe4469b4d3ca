//! What the handlers work with.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use rat_catalog::Catalog;
use rat_config::{Address, Cidr, Login, RateLimit, Settings};
use rat_scheduler::{Handle, QueryTokens};
use rat_store::Store;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::access::Enforcer;
use crate::audit::Audit;
use crate::enforcement::Enforcement;
use crate::health::Health;
use crate::log_stream::Streams;
use crate::middleware::authentication::Authenticator;
use crate::references::References;
use crate::slot::{CloudCredentials, Plugins, Sharing};
use crate::upload::PathLocks;

/// Bytes of the longest table commit.
const ICEBERG_BODY: u64 = 16 * 1024 * 1024;
/// What a query needs on top of its own time: planning, and the way back.
const QUERY_GRACE: Duration = Duration::from_secs(15);

/// The settings of the API.
#[derive(Debug, Clone)]
pub struct Config {
    /// Origins whose web pages may call, in the form in which a browser sends them.
    pub cors_origins: Vec<String>,
    /// Host that the public listener is configured with; `None` for a Unix socket.
    pub listen_host: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Requests per client address; `None` is no limit.
    pub rate_limit: Option<RateLimit>,
    /// Bytes of a JSON body.
    pub body_limit: u64,
    /// Bytes of a body under `/iceberg`.
    pub iceberg_body_limit: u64,
    /// Bytes of an uploaded file.
    pub upload_limit: u64,
    /// Time between two pieces of an upload.
    pub upload_idle_timeout: Duration,
    /// Time that a request other than an upload may take.
    pub request_timeout: Duration,
    /// Time that a request that waits for a query may take.
    pub query_timeout: Duration,
    /// Rows that a query answers at most.
    pub query_max_rows: u64,
    /// The internal listener as ratq reaches it: `unix:/path` or `http://host:port`.
    pub control_plane: String,
    /// Where people log in, if that is said.
    pub login: Option<Login>,
    /// Version of ratd.
    pub version: String,
    /// Revision that ratd was built from.
    pub git_commit: String,
    /// When ratd was built, as its builder says it.
    pub build_time: String,
}

impl Config {
    /// What `settings` say. `control_plane` is where ratq reaches ratd.
    pub fn new(settings: &Settings, control_plane: String) -> Self {
        let server = &settings.server;
        let body_limit = server.body_limit.as_u64();
        Self {
            cors_origins: server.cors_origins.clone(),
            listen_host: match &server.listen {
                Address::Tcp { host, .. } => Some(host.clone()),
                Address::Unix(_) => None,
            },
            trusted_proxies: server.trusted_proxies.clone(),
            rate_limit: server.rate_limit,
            body_limit,
            // The schema of a wide table is longer than anything that people write.
            iceberg_body_limit: body_limit.max(ICEBERG_BODY),
            upload_limit: server.upload_limit.as_u64(),
            upload_idle_timeout: Duration::from_secs(60),
            request_timeout: server.request_timeout,
            query_timeout: server
                .request_timeout
                .max(settings.ratq.timeout + QUERY_GRACE),
            query_max_rows: settings.ratq.max_rows,
            control_plane,
            login: settings.auth.login.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_commit: option_env!("RAT_GIT_REV").unwrap_or("unknown").to_owned(),
            build_time: option_env!("RAT_BUILD_TIME")
                .unwrap_or("unknown")
                .to_owned(),
        }
    }
}

/// The parts of ratd that the API stands on.
pub struct Parts {
    /// The settings.
    pub config: Config,
    /// The platform database.
    pub store: Store,
    /// The tables, and where the lake is.
    pub catalog: Catalog,
    /// The scheduler.
    pub scheduler: Handle,
    /// The tokens of queries under way, which the internal listener looks up.
    pub query_tokens: QueryTokens,
    /// The channel to rat-runner, for health checks.
    pub runner: Channel,
    /// The channel to ratq.
    pub ratq: Channel,
    /// Says who is calling; [`crate::ApiKey`] is the built-in one.
    pub authenticator: Arc<dyn Authenticator>,
    /// Says who may do what; [`crate::AllowAll`] is the built-in one.
    pub enforcer: Arc<dyn Enforcer>,
    /// Keeps the grants; [`crate::NoSharing`] is the built-in one.
    pub sharing: Arc<dyn Sharing>,
    /// Hands out cloud credentials; [`crate::NoCredentials`] is the built-in one.
    pub cloud: Arc<dyn CloudCredentials>,
    /// Looks after the plugins; [`crate::NoPlugins`] where there are none.
    pub plugins: Arc<dyn Plugins>,
    /// The audit log.
    pub audit: Audit,
    /// Ends streams when ratd stops.
    pub shutdown: CancellationToken,
}

/// What the handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    parts: Arc<Parts>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) enforcement: Enforcement,
}

/// What the handlers remember between requests; lost with the process.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) health: Health,
    pub(crate) references: References,
    pub(crate) streams: Streams,
    pub(crate) upload_locks: PathLocks,
    /// Held while something gets another owner.
    pub(crate) transfers: tokio::sync::Mutex<()>,
}

impl AppState {
    /// The state for one listener.
    pub fn new(parts: Parts) -> Self {
        let (store, enforcer) = (parts.store.clone(), parts.enforcer.clone());
        Self {
            enforcement: Enforcement::new(store, enforcer, parts.audit.clone()),
            parts: Arc::new(parts),
            memory: Arc::default(),
        }
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}
