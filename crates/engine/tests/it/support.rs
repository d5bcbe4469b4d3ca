//! A catalog with the tokens of a test, and pipelines to run on it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use chrono::Utc;
use futures::TryStreamExt;
use rat_catalog::{Caller, Catalog, PublishOutcome, QueryScope, Readable, RunScope};
use rat_engine::{
    Engine, EngineConfig, Error, Query, QueryConfig, ReadOnlySession, RunObserver, Unobserved,
};
use rat_pipeline::{Pipeline, RenderContext};
use rat_sql::DatabaseUrl;
use rat_store::Store;
use rat_types::{
    Identity, LandingFile, RunId, RunOutcome, RunRequest, Secret, TableIdent, ZoneIdent,
};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

type Callers = Arc<Mutex<HashMap<String, Caller>>>;

/// ratd, as far as the engine sees it.
pub(crate) struct Lake {
    folder: TempDir,
    pub(crate) catalog: Catalog,
    engine: Engine,
    callers: Callers,
    serving: AbortHandle,
}

impl Drop for Lake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A pipeline that a test wants to run.
pub(crate) struct Source<'a> {
    pub(crate) ident: &'a str,
    pub(crate) sql: &'a str,
    pub(crate) files: &'a [(&'a str, &'a str)],
}

/// A run that is about to be executed.
pub(crate) struct Run {
    pub(crate) request: RunRequest,
    pub(crate) cancel: CancellationToken,
}

impl Lake {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = DatabaseUrl::sqlite(folder.path().join("rat.db"));
        let store = Store::open(&database).await.unwrap();
        let root = url::Url::from_directory_path(folder.path().join("lake")).unwrap();
        let catalog = Catalog::new(store, &root).unwrap();
        catalog
            .ensure_namespace(&"shop".parse().unwrap(), "anonymous")
            .await
            .unwrap();

        let callers = Callers::default();
        let scope = QueryScope {
            identity: Identity::anonymous(),
            readable: Readable::All,
        };
        callers
            .lock()
            .unwrap()
            .insert("rat_query_all".to_owned(), Caller::Query(scope));
        let router = Router::new()
            .nest("/iceberg", rat_catalog::rest::router(catalog.clone()))
            .layer(from_fn_with_state(Arc::clone(&callers), identify));
        let listener = UnixListener::bind(folder.path().join("ratd.sock")).unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let engine = Engine::new(EngineConfig {
            memory_limit: 256 << 20,
            spill_dir: folder.path().join("spill"),
            target_partitions: 2,
            quality_test_timeout: Duration::from_secs(30),
            run_timeout: Duration::from_secs(60),
        })
        .unwrap();
        Self {
            folder,
            catalog,
            engine,
            callers,
            serving: serving.abort_handle(),
        }
    }

    fn control_plane(&self) -> String {
        format!("unix:{}", self.folder.path().join("ratd.sock").display())
    }

    /// Puts a file into landing zone `raw` of namespace `shop`.
    pub(crate) fn land(&self, path: &str, content: impl AsRef<[u8]>) -> LandingFile {
        let place = self.folder.path().join("lake/shop/landing/raw").join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, content.as_ref()).unwrap();
        LandingFile {
            zone: ZoneIdent {
                namespace: "shop".parse().unwrap(),
                name: "raw".parse().unwrap(),
            },
            path: path.to_owned(),
            location: url::Url::from_file_path(&place).unwrap().to_string(),
            size_bytes: content.as_ref().len() as u64,
        }
    }

    /// A run with a token for what its templates name.
    pub(crate) fn prepare(&self, source: &Source<'_>, landing_files: &[LandingFile]) -> Run {
        let now = Utc::now();
        let run_id = RunId::new_at(now);
        let ident: TableIdent = source.ident.parse().unwrap();
        let mut sources = BTreeMap::from([("pipeline.sql".to_owned(), source.sql.to_owned())]);
        sources.extend(
            source
                .files
                .iter()
                .map(|(p, t)| ((*p).to_owned(), (*t).to_owned())),
        );
        // A pipeline that is wrong is never submitted; the engine has to cope all the same.
        let context = RenderContext {
            run_started_at: now,
        };
        let readable = Pipeline::parse(&ident, &sources)
            .ok()
            .and_then(|pipeline| pipeline.references(&context).ok())
            .unwrap_or_default();
        let token = format!("rat_run_{run_id}");
        let scope = RunScope {
            run_id,
            ident: ident.clone(),
            readable: readable.into_iter().collect(),
        };
        self.callers
            .lock()
            .unwrap()
            .insert(token.clone(), Caller::Run(scope));
        let request = RunRequest {
            run_id,
            pipeline: ident,
            attempt: 1,
            run_started_at: now,
            source_hash: rat_pipeline::source_hash(&sources),
            sources,
            landing_files: landing_files.to_vec(),
            control_plane: self.control_plane(),
            token: Secret::new(token),
        };
        Run {
            request,
            cancel: CancellationToken::new(),
        }
    }

    /// Takes tables out of what a run's token is good for.
    pub(crate) fn forbid(&self, run: &Run) {
        let scope = RunScope {
            run_id: run.request.run_id,
            ident: run.request.pipeline.clone(),
            readable: Vec::new(),
        };
        let token = run.request.token.expose().to_owned();
        self.callers
            .lock()
            .unwrap()
            .insert(token, Caller::Run(scope));
    }

    pub(crate) async fn execute(&self, run: &Run, observer: &dyn RunObserver) -> RunOutcome {
        self.engine
            .run(&run.request, observer, run.cancel.clone())
            .await
    }

    /// Runs a pipeline and publishes or discards it, as ratd would.
    pub(crate) async fn run(
        &self,
        source: &Source<'_>,
        landing_files: &[LandingFile],
    ) -> RunOutcome {
        let run = self.prepare(source, landing_files);
        let outcome = self.execute(&run, &Unobserved).await;
        let (run_id, ident) = (run.request.run_id, &run.request.pipeline);
        if outcome.failure.is_none() {
            let published = self.catalog.publish(run_id, ident).await.unwrap();
            assert!(
                matches!(published, PublishOutcome::Published(_)),
                "{published:?}"
            );
        } else {
            self.catalog.discard(run_id, ident).await.unwrap();
            assert_eq!(self.data_files(&run), Vec::<PathBuf>::new());
        }
        outcome
    }

    /// Files that the run has written and that are still there.
    pub(crate) fn data_files(&self, run: &Run) -> Vec<PathBuf> {
        let table = self
            .folder
            .path()
            .join("lake")
            .join(run.request.pipeline.folder());
        files_below(&table.join("data").join(run.request.run_id.branch()))
    }

    /// Files that queries have left in the folder for spilled data.
    pub(crate) fn spilled_files(&self) -> Vec<PathBuf> {
        let mut files = files_below(&self.folder.path().join("spill"));
        // By which the next process knows that this one lives.
        files.retain(|file| !file.ends_with("lock"));
        files
    }

    pub(crate) async fn try_query(&self, sql: &str) -> Result<Vec<RecordBatch>, Error> {
        let session = ReadOnlySession::new(QueryConfig {
            memory_limit: 64 << 20,
            spill_dir: self.folder.path().join("query-spill"),
            target_partitions: 2,
            max_rows: 1_000,
            timeout: Duration::from_secs(30),
        })?;
        let query = Query {
            sql: sql.to_owned(),
            namespace: "shop".parse().unwrap(),
            limit: None,
            control_plane: self.control_plane(),
            token: Secret::new("rat_query_all"),
        };
        session.execute(query).await?.try_collect().await
    }

    /// The result of a query as text.
    pub(crate) async fn query(&self, sql: &str) -> String {
        let batches = self.try_query(sql).await.unwrap();
        format!("{}\n", pretty_format_batches(&batches).unwrap())
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

async fn identify(State(callers): State<Callers>, mut request: Request, next: Next) -> Response {
    let token = request.headers().get(header::AUTHORIZATION);
    let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let caller = token.and_then(|token| callers.lock().unwrap().get(token).cloned());
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}
