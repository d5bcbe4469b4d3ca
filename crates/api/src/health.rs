//! Whether the services that ratd needs are there.
//!
//! Each is asked for what it is there for: the database for a row, the storage to keep a file, ratq
//! to execute a query (outside of the queue, so that a busy one is healthy), the runner for a run.
//! All are asked at the same time, each within two seconds, and the answer is kept for a second:
//! probes are open to everybody, so asking often must cost nothing. Of several callers one asks
//! and the others wait for its answer. What hangs is not asked again before it has come back,
//! because each question may hold a thread.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use rat_proto::runner::v1::GetRunStatusRequest;
use rat_proto::runner::v1::runner_service_client::RunnerServiceClient;
use rat_store::PluginStatus;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::state::AppState;

const LIMIT: Duration = Duration::from_secs(2);
const KEPT: Duration = Duration::from_secs(1);
/// Written into the lake's folder, read and removed again. No reader looks at names with a dot.
const PROBE: &str = ".rat-health-probe";
const CONTENT: &[u8] = b"alive\n";
/// A run that cannot exist: version 0 is no version of a UUID.
const NO_RUN: &str = "00000000-0000-0000-0000-000000000000";

/// The last answer.
#[derive(Debug, Default)]
pub(crate) struct Health {
    last: Mutex<Option<(Instant, Arc<Snapshot>)>>,
    /// Held by the thread that asks the storage until that has answered.
    storage: Arc<Mutex<()>>,
}

/// How everything is.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The services, in the order in which people look at them.
    pub(crate) services: Vec<Check>,
    /// The plugins and the status that their last check found.
    pub(crate) plugins: BTreeMap<String, PluginStatus>,
}

impl Snapshot {
    /// Whether every service is up.
    pub(crate) fn all_up(&self) -> bool {
        self.services.iter().all(|check| check.problem.is_none())
    }
}

/// How one service is.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    /// The service.
    pub(crate) name: &'static str,
    /// Why it is down, in words that everybody may read; `None` where it is up.
    pub(crate) problem: Option<&'static str>,
}

/// What went wrong, for the log.
type Detail = String;

impl Health {
    /// How everything is now, or was a moment ago.
    pub(crate) async fn check(&self, state: &AppState) -> Arc<Snapshot> {
        let mut last = self.last.lock().await;
        if let Some((at, snapshot)) = &*last
            && at.elapsed() < KEPT
        {
            return snapshot.clone();
        }
        let (services, plugins) = tokio::join!(ask(state), plugins(state));
        let snapshot = Arc::new(Snapshot { services, plugins });
        *last = Some((Instant::now(), snapshot.clone()));
        snapshot
    }
}

/// Without the database nobody knows the plugins; that it is down is among the services.
async fn plugins(state: &AppState) -> BTreeMap<String, PluginStatus> {
    match timeout(LIMIT, state.store.plugins().list()).await {
        Ok(Ok(plugins)) => plugins
            .into_iter()
            .map(|plugin| (plugin.name, plugin.status))
            .collect(),
        Ok(Err(_)) | Err(_) => BTreeMap::new(),
    }
}

async fn ask(state: &AppState) -> Vec<Check> {
    let database = match state.store.backend() {
        rat_sql::Backend::Sqlite => "sqlite",
        rat_sql::Backend::Postgres => "postgres",
    };
    let checks: [(&'static str, BoxFuture<'_, Result<(), Detail>>); 5] = [
        (database, ask_database(state).boxed()),
        ("storage", ask_storage(state).boxed()),
        ("catalog", ask_catalog(state).boxed()),
        ("runner", ask_runner(state).boxed()),
        ("ratq", ask_ratq(state).boxed()),
    ];
    join_all(checks.map(|(name, check)| within(name, check))).await
}

async fn within(name: &'static str, check: BoxFuture<'_, Result<(), Detail>>) -> Check {
    let problem = match timeout(LIMIT, check).await {
        Ok(Ok(())) => None,
        Ok(Err(detail)) => {
            tracing::warn!(service = name, error = detail, "a service is down");
            Some("it does not answer as it should; the server's log has the detail")
        }
        Err(_) => {
            tracing::warn!(service = name, "a service does not answer in time");
            Some("it does not answer within 2 s")
        }
    };
    Check { name, problem }
}

async fn ask_database(state: &AppState) -> Result<(), Detail> {
    state.store.ping().await.map_err(|error| detail(&error))
}

/// Storage is up when a file can be written, synced, read back and removed.
async fn ask_storage(state: &AppState) -> Result<(), Detail> {
    let turn = Arc::clone(&state.memory.health.storage).lock_owned().await;
    let path = state.catalog.warehouse().path().join(PROBE);
    let asked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        write_and_read(&path)
    });
    asked
        .await
        .map_err(|error| detail(&error))?
        .map_err(|error| detail(&error))
}

fn write_and_read(path: &Path) -> io::Result<()> {
    // A ratd that was killed may have left one.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)?;
    let mut written = || {
        file.write_all(CONTENT)?;
        file.sync_data()?;
        file.rewind()?;
        let mut read = Vec::new();
        file.read_to_end(&mut read)?;
        match read == CONTENT {
            true => Ok(()),
            false => Err(io::Error::other("what was written is not what is read")),
        }
    };
    let written = written();
    let removed = fs::remove_file(path);
    written.and(removed)
}

async fn ask_catalog(state: &AppState) -> Result<(), Detail> {
    state.catalog.check().await.map_err(|error| detail(&error))
}

async fn ask_runner(state: &AppState) -> Result<(), Detail> {
    let request = GetRunStatusRequest {
        run_id: NO_RUN.to_owned(),
    };
    let answer = RunnerServiceClient::new(state.runner.clone())
        .get_run_status(request)
        .await;
    answered(answer.map(drop))
}

/// ratq executes a query of its own for that.
async fn ask_ratq(state: &AppState) -> Result<(), Detail> {
    let answer = HealthClient::new(state.ratq.clone())
        .check(HealthCheckRequest::default())
        .await
        .map_err(|status| status.to_string())?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        status => Err(format!("it says that it is {}", status.as_str_name())),
    }
}

/// A service that refuses is there.
fn answered(answer: Result<(), Status>) -> Result<(), Detail> {
    match answer {
        Ok(()) => Ok(()),
        Err(status) => match status.code() {
            Code::InvalidArgument | Code::NotFound | Code::PermissionDenied => Ok(()),
            _ => Err(status.to_string()),
        },
    }
}

fn detail(error: &(dyn std::error::Error + 'static)) -> Detail {
    crate::fault::Chain(error).to_string()
}
