//! Whether the services that ratd needs are there.
//!
//! All are asked at the same time, each within two seconds, and the answer is kept for a second:
//! probes are open to everybody, so asking often must cost nothing. Of several callers one asks
//! and the others wait for its answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use rat_iceberg::storage::{AtomicFile, Existing};
use rat_proto::query::v1::ExecuteQueryRequest;
use rat_proto::query::v1::query_service_client::QueryServiceClient;
use rat_proto::runner::v1::GetRunStatusRequest;
use rat_proto::runner::v1::runner_service_client::RunnerServiceClient;
use rat_store::PluginStatus;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};

use crate::state::AppState;

const LIMIT: Duration = Duration::from_secs(2);
const KEPT: Duration = Duration::from_secs(1);
/// Written into the lake's folder and removed again. No reader looks at names with a dot.
const PROBE: &str = ".rat-health-probe";
/// A run that cannot exist: version 0 is no version of a UUID.
const NO_RUN: &str = "00000000-0000-0000-0000-000000000000";

/// The last answer.
#[derive(Debug, Default)]
pub(crate) struct Health {
    last: Mutex<Option<(Instant, Arc<Snapshot>)>>,
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

/// Storage is up when a file can be written, synced and removed.
async fn ask_storage(state: &AppState) -> Result<(), Detail> {
    let path = state.catalog.warehouse().path().join(PROBE);
    let mut file = AtomicFile::new(&path);
    file.write(Bytes::from_static(b"alive\n"))
        .await
        .map_err(|error| detail(&error))?;
    file.commit(Existing::Replace)
        .await
        .map_err(|error| detail(&error))?;
    tokio::fs::remove_file(&path)
        .await
        .map_err(|error| detail(&error))
}

async fn ask_catalog(state: &AppState) -> Result<(), Detail> {
    state
        .catalog
        .list_tables(None, None)
        .await
        .map(drop)
        .map_err(|error| detail(&error))
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

/// An empty query is refused before anything is planned.
async fn ask_ratq(state: &AppState) -> Result<(), Detail> {
    let request = ExecuteQueryRequest::default();
    let answer = QueryServiceClient::new(state.ratq.clone())
        .execute_query(request)
        .await;
    answered(answer.map(drop))
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
