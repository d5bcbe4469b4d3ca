//! Runs that take whole processors and do not let go of them, with the real engine and a real
//! catalog.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use rat_catalog::{Caller, Catalog, RunScope};
use rat_engine::{Engine, EngineConfig};
use rat_runner::{EngineThreads, PoolConfig};
use rat_sql::DatabaseUrl;
use rat_store::Store;
use rat_types::{RunId, RunOutcome, RunState, Secret};
use tokio::sync::mpsc;

use crate::support::{Fixture, limits, start_with};

/// A join that drops every one of its rows: its operator never returns.
const BUSY: &str = "SELECT count(*) AS c \
    FROM generate_series(1, 1000000) AS a, generate_series(1, 10000000) AS b \
    WHERE a.value + b.value = -1";
/// Far less than what such a join takes, far more than a machine with other work needs.
const SOON: Duration = Duration::from_secs(10);

type Callers = Arc<Mutex<HashMap<String, Caller>>>;

struct Busy {
    fixture: Fixture,
    callers: Callers,
}

impl Busy {
    async fn start(run_timeout: Duration, slots: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = DatabaseUrl::sqlite(folder.path().join("rat.db"));
        let store = Store::open(&database).await.unwrap();
        let root = url::Url::from_directory_path(folder.path().join("lake")).unwrap();
        let catalog = Catalog::new(store, &root).unwrap();
        let shop = "shop".parse().unwrap();
        catalog.ensure_namespace(&shop, "anonymous").await.unwrap();
        let callers = Callers::default();
        let routes = Router::new()
            .nest("/iceberg", rat_catalog::rest::router(catalog))
            .layer(from_fn_with_state(Arc::clone(&callers), identify));
        let engine = Engine::new(EngineConfig {
            memory_limit: 256 << 20,
            spill_dir: folder.path().join("spill"),
            target_partitions: std::thread::available_parallelism().map_or(1, usize::from),
            quality_test_timeout: Duration::from_millis(500),
            run_timeout,
        });
        let execute = Arc::new(EngineThreads::new(engine.unwrap()));
        let config = PoolConfig { slots, ..limits() };
        let (_, started) = mpsc::unbounded_channel();
        let fixture = start_with(config, execute, folder, routes, started).await;
        Self { fixture, callers }
    }

    async fn submit(&self, name: &str, sql: &str, test: Option<&str>) -> RunId {
        let mut request = self.fixture.request(name);
        let mut add = |path: &str, text: &str| {
            request.sources.insert(path.to_owned(), text.to_owned());
        };
        add("pipeline.sql", sql);
        if let Some(test) = test {
            add("tests/quality/busy.sql", test);
        }
        let token = format!("rat_run_{}", request.run_id);
        let scope = RunScope {
            run_id: request.run_id,
            ident: request.pipeline.clone(),
            readable: Vec::new(),
        };
        let caller = Caller::Run(scope);
        self.callers.lock().unwrap().insert(token.clone(), caller);
        request.token = Secret::new(token);
        self.fixture.submit(&request).await.unwrap();
        request.run_id
    }

    /// Waits until the run computes rows.
    async fn wait_for_rows(&self, run: RunId) {
        let begin = Instant::now();
        while self.fixture.status(run).await.unwrap().phase != "write" {
            assert!(begin.elapsed() < 2 * SOON, "the run does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    async fn ends_soon(&self, run: RunId, what: &str) -> RunOutcome {
        let begin = Instant::now();
        let outcome = self.fixture.outcome(run).await;
        assert!(begin.elapsed() < SOON, "{what}: {:?}", begin.elapsed());
        outcome
    }
}

async fn identify(State(callers): State<Callers>, mut request: Request, next: Next) -> Response {
    let value = request.headers().get(header::AUTHORIZATION);
    let token = value.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let caller = token.and_then(|token| callers.lock().unwrap().get(token).cloned());
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_runs_hold_up_neither_others_nor_their_own_cancellation() {
    let runner = Busy::start(Duration::from_secs(600), 4).await;
    let first = runner.submit("first", BUSY, None).await;
    let second = runner.submit("second", BUSY, None).await;
    runner.wait_for_rows(first).await;
    runner.wait_for_rows(second).await;
    let quick = runner.submit("quick", "SELECT 1 AS one", None).await;
    let outcome = runner.ends_soon(quick, "a quick run").await;
    assert_eq!(outcome.state, RunState::Succeeded, "{outcome:?}");
    for run in [first, second] {
        runner.fixture.cancel(run).await.unwrap();
        let outcome = runner.ends_soon(run, "a run that is cancelled").await;
        assert_eq!(outcome.state, RunState::Cancelled, "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_run_ends_at_its_time_limit_and_gives_its_slot_back() {
    let runner = Busy::start(Duration::from_secs(3), 1).await;
    let busy = runner.submit("busy", BUSY, None).await;
    let outcome = runner.ends_soon(busy, "a run that takes too long").await;
    let failure = outcome.failure.unwrap();
    assert_eq!(failure.code, "TIMEOUT", "{}", failure.message);
    let next = runner.submit("next", "SELECT 1 AS one", None).await;
    let outcome = runner.ends_soon(next, "the next run").await;
    assert_eq!(outcome.state, RunState::Succeeded, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_quality_test_ends_at_its_time_limit() {
    let runner = Busy::start(Duration::from_secs(600), 1).await;
    let sql = "SELECT 1 AS one";
    let run = runner.submit("tested", sql, Some(BUSY)).await;
    let outcome = runner.ends_soon(run, "a run with a busy test").await;
    let message = &outcome.quality[0].message;
    assert!(message.contains("took longer than"), "{message}");
}
