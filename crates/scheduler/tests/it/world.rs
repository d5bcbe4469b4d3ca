//! A platform small enough for a test: database, catalog, executor, scheduler.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use rat_catalog::Catalog;
use rat_scheduler::{Config, Executors, Handle, ReadAll, RunAccess, Service};
use rat_sql::DatabaseUrl;
use rat_store::{NewPipeline, NewRun, RunRecord, Store};
use rat_types::{RunId, RunOutcome, RunRequest, RunState, RunStatus, TableIdent};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fake::{Fake, outcome};
use crate::lake::{Client, Write};

/// No test waits longer than this for anything.
const LIMIT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
pub(crate) const POLL: Duration = Duration::from_millis(50);

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) catalog: Catalog,
    pub(crate) fake: Fake,
    pub(crate) max_running: usize,
    pub(crate) access: Arc<dyn RunAccess>,
    taken: mpsc::UnboundedReceiver<RunRequest>,
    scheduler: Option<Scheduler>,
    folder: tempfile::TempDir,
}

struct Scheduler {
    handle: Handle,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl World {
    /// Everything but a running scheduler.
    pub(crate) async fn stopped() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::sqlite(folder.path().join("rat.db")))
            .await
            .unwrap();
        let lake = format!("file://{}/lake", folder.path().display())
            .parse()
            .unwrap();
        let catalog = Catalog::new(store.clone(), &lake).unwrap();
        let (fake, taken) = Fake::new();
        Self {
            store,
            catalog,
            fake,
            max_running: 10,
            access: Arc::new(ReadAll),
            taken,
            scheduler: None,
            folder,
        }
    }

    pub(crate) async fn new() -> Self {
        let mut world = Self::stopped().await;
        world.start();
        world
    }

    pub(crate) fn start(&mut self) {
        let config = Config {
            max_running: self.max_running,
            access: Arc::clone(&self.access),
            poll_interval: POLL,
            first_pause: Duration::from_millis(10),
            last_pause: Duration::from_millis(50),
            sweep_interval: Duration::from_millis(100),
            ..Config::new(
                "unix:/internal.sock".into(),
                self.catalog.warehouse().clone(),
            )
        };
        self.start_with(config);
    }

    pub(crate) fn start_with(&mut self, config: Config) {
        assert!(self.scheduler.is_none());
        let executors = Executors::new(Arc::new(self.fake.clone()));
        let (service, handle) =
            Service::new(config, self.store.clone(), self.catalog.clone(), executors);
        let stop = CancellationToken::new();
        let task = tokio::spawn(service.run(stop.clone()));
        self.scheduler = Some(Scheduler { handle, stop, task });
    }

    /// Stops the scheduler in good order.
    pub(crate) async fn stop(&mut self) {
        let scheduler = self.scheduler.take().expect("it runs");
        scheduler.stop.cancel();
        tokio::time::timeout(LIMIT, scheduler.task)
            .await
            .expect("it stops")
            .unwrap();
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.scheduler.as_ref().expect("it runs").handle
    }

    /// A pipeline with this SQL.
    pub(crate) async fn pipeline(&self, name: &str, sql: &str) -> TableIdent {
        let ident: TableIdent = format!("default.{name}").parse().unwrap();
        let new = NewPipeline {
            ident: ident.clone(),
            kind: "sql".into(),
            description: String::new(),
            owner: "anonymous".into(),
        };
        self.store.pipelines().create(&new).await.unwrap();
        self.source(&ident, "pipeline.sql", sql).await;
        ident
    }

    pub(crate) async fn source(&self, pipeline: &TableIdent, file: &str, text: &str) {
        let TableIdent {
            namespace,
            layer,
            name,
        } = pipeline;
        let path = format!("{namespace}/pipelines/{layer}/{name}/{file}");
        self.store
            .files()
            .put(&path, text.as_bytes(), "anonymous")
            .await
            .unwrap();
    }

    /// A pending run, and the scheduler knows.
    pub(crate) async fn trigger(&self, pipeline: &TableIdent) -> RunId {
        let id = RunId::new_at(Utc::now());
        let new = NewRun {
            id,
            pipeline: pipeline.clone(),
            trigger: "manual".into(),
            created_by: "anonymous".into(),
            created_by_roles: vec!["admin".into()],
        };
        self.store.runs().create(&new).await.unwrap();
        if let Some(scheduler) = &self.scheduler {
            scheduler.handle.notify();
        }
        id
    }

    /// The next run that the executor took.
    pub(crate) async fn taken(&mut self) -> RunRequest {
        let taken = tokio::time::timeout(LIMIT, self.taken.recv()).await;
        taken
            .expect("a run is submitted")
            .expect("the executor lives")
    }

    /// A new run of `pipeline` that the executor has.
    pub(crate) async fn running(&mut self, pipeline: &TableIdent) -> RunRequest {
        let id = self.trigger(pipeline).await;
        let request = self.taken().await;
        assert_eq!(request.run_id, id);
        request
    }

    pub(crate) fn nothing_is_taken(&mut self) {
        assert!(self.taken.try_recv().is_err(), "a run was submitted");
    }

    pub(crate) async fn run(&self, id: RunId) -> RunRecord {
        self.store
            .runs()
            .get(id)
            .await
            .unwrap()
            .expect("the run exists")
    }

    /// Waits until the run is as `wanted`.
    pub(crate) async fn wait_for(
        &self,
        id: RunId,
        wanted: impl Fn(&RunRecord) -> bool,
    ) -> RunRecord {
        let mut last = self.run(id).await;
        let waited = tokio::time::timeout(LIMIT, async {
            while !wanted(&last) {
                tokio::time::sleep(LOOK_AGAIN).await;
                last = self.run(id).await;
            }
        });
        if waited.await.is_err() {
            panic!("the run is not as it should be: {last:#?}");
        }
        last
    }

    pub(crate) async fn ended(&self, id: RunId) -> RunRecord {
        self.wait_for(id, |run| run.status.is_terminal()).await
    }

    /// Waits until something holds that is not about one run.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let waited = tokio::time::timeout(LIMIT, async {
            while !holds().await {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        });
        assert!(waited.await.is_ok(), "never came true: {what}");
    }

    /// The run writes its branch, and ends well. Its outcome is not reported.
    pub(crate) async fn execute(&self, request: &RunRequest, how: Write) -> RunOutcome {
        let snapshot = Client::run(&self.catalog, request)
            .write(&request.pipeline, how, 3)
            .await;
        let mut outcome = outcome(request.run_id, RunState::Succeeded);
        outcome.snapshot_id = Some(snapshot);
        outcome
    }

    /// The executor knows the end, and calls back.
    pub(crate) async fn report(&self, outcome: RunOutcome) {
        self.fake.end(&outcome);
        self.handle()
            .outcome(outcome.run_id, outcome)
            .await
            .unwrap();
    }

    /// A run from beginning to success.
    pub(crate) async fn succeed(&mut self, pipeline: &TableIdent) -> RunRecord {
        let request = self.running(pipeline).await;
        let outcome = self.execute(&request, Write::Overwrite).await;
        self.report(outcome).await;
        let run = self.ended(request.run_id).await;
        assert_eq!(run.status, RunStatus::Success, "{run:#?}");
        run
    }

    /// Somebody else writes the table.
    pub(crate) async fn meddle(&self, table: &TableIdent) -> i64 {
        Client::user(&self.catalog)
            .write(table, Write::Append, 1)
            .await
    }

    /// Rows on `main`; `None` for a table that does not exist.
    pub(crate) async fn rows(&self, table: &TableIdent) -> Option<u64> {
        match self.catalog.table_summary(table).await {
            Ok(summary) => Some(summary.row_count),
            Err(rat_catalog::Error::NoSuchTable { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Something that the store would never say to the database.
    pub(crate) async fn sabotage(&self, sql: &'static str) {
        let url = DatabaseUrl::sqlite(self.folder.path().join("rat.db"));
        let pool = rat_sql::Pool::open(&url).await.unwrap();
        pool.execute(rat_sql::Query::new(sql, Vec::new()))
            .await
            .unwrap();
        pool.close().await;
    }

    /// Neither branches nor staged tables of any run.
    pub(crate) async fn has_no_leftovers(&self) -> bool {
        self.catalog.run_branches().await.unwrap().is_empty()
    }

    pub(crate) async fn log(&self, run: RunId) -> Vec<String> {
        let entries = self.store.run_logs().read(run, 0, 1000).await.unwrap();
        entries.into_iter().map(|entry| entry.message).collect()
    }
}
