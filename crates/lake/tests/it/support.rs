//! A catalog on SQLite in a temporary folder, served on a Unix socket, that can be told to fail.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use futures::stream;
use rat_catalog::{Caller, Catalog, QueryScope, Readable, RunScope};
use rat_lake::{At, CatalogClient, LakeTable};
use rat_sql::DatabaseUrl;
use rat_store::Store;
use rat_types::{Identity, RunId, Secret, TableIdent};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::AbortHandle;

/// What happens to a commit instead of a plain answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is applied, and the answer is lost on the way.
    LosesAnswer,
    /// It never arrives, which looks the same to the client.
    LosesRequest,
    /// The server has no time.
    Busy,
}

#[derive(Clone, Default)]
struct Shared {
    callers: Arc<Mutex<HashMap<String, Caller>>>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

pub(crate) struct Server {
    pub(crate) folder: TempDir,
    pub(crate) catalog: Catalog,
    shared: Shared,
    serving: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = DatabaseUrl::sqlite(folder.path().join("rat.db"));
        let store = Store::open(&database).await.unwrap();
        let root = url::Url::from_directory_path(folder.path().join("lake")).unwrap();
        let catalog = Catalog::new(store, &root).unwrap();
        let namespace = "default".parse().unwrap();
        catalog
            .ensure_namespace(&namespace, "anonymous")
            .await
            .unwrap();

        let shared = Shared::default();
        let callers = [
            ("user", Caller::User(Identity::anonymous())),
            (
                "query",
                Caller::Query(QueryScope {
                    identity: Identity::anonymous(),
                    readable: Readable::All,
                }),
            ),
        ];
        let callers = callers.map(|(token, caller)| (token.to_owned(), caller));
        shared.callers.lock().unwrap().extend(callers);
        let router = Router::new()
            .nest("/iceberg", rat_catalog::rest::router(catalog.clone()))
            .layer(from_fn_with_state(shared.clone(), authenticate));
        let listener = UnixListener::bind(folder.path().join("ratd.sock")).unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            folder,
            catalog,
            shared,
            serving: serving.abort_handle(),
        }
    }

    pub(crate) fn user(&self) -> CatalogClient {
        self.client("user")
    }

    pub(crate) fn client(&self, token: &str) -> CatalogClient {
        let socket = format!("unix:{}/ratd.sock", self.folder.path().display());
        CatalogClient::connect(&socket, Secret::new(token)).unwrap()
    }

    /// A new run of the pipeline that writes `ident`, and its client.
    pub(crate) fn run(&self, ident: &TableIdent) -> (RunId, CatalogClient) {
        let run_id = RunId::new_at(Utc::now());
        let scope = RunScope {
            run_id,
            ident: ident.clone(),
            readable: Vec::new(),
        };
        let token = format!("rat_run_{run_id}");
        self.shared
            .callers
            .lock()
            .unwrap()
            .insert(token.clone(), Caller::Run(scope));
        (run_id, self.client(&token))
    }

    /// Lets the next commits fail.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.faults.lock().unwrap().extend(faults);
    }

    /// Whether every fault has happened.
    pub(crate) fn has_failed(&self) -> bool {
        self.shared.faults.lock().unwrap().is_empty()
    }

    /// All files of the run's data folder.
    pub(crate) fn run_files(&self, ident: &TableIdent, run: RunId) -> usize {
        let lake = self.folder.path().join("lake");
        let folder = lake.join(ident.folder()).join("data").join(run.branch());
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    /// The numbers in the table's column `n`, sorted; `None` if there is no such table.
    pub(crate) async fn numbers(&self, ident: &TableIdent, at: &At) -> Option<Vec<i64>> {
        let table = LakeTable::open(&self.client("query"), ident, at)
            .await
            .unwrap()?;
        Some(read(table).await)
    }
}

pub(crate) async fn read(table: LakeTable) -> Vec<i64> {
    let context = SessionContext::new();
    context.register_table("t", Arc::new(table)).unwrap();
    let rows = context
        .sql("SELECT n FROM t WHERE n IS NOT NULL ORDER BY n")
        .await
        .unwrap();
    let batches = rows.collect().await.unwrap();
    let values = |batch: &RecordBatch| {
        let column = batch.column(0).clone();
        let column = arrow::array::AsArray::as_primitive::<Int64Type>(&column).clone();
        column.values().to_vec()
    };
    batches.iter().flat_map(values).collect()
}

async fn authenticate(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let token = request.headers().get(header::AUTHORIZATION);
    let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let caller = token.and_then(|token| shared.callers.lock().unwrap().get(token).cloned());
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    let path = request.uri().path();
    let is_commit = request.method() == Method::POST && !path.ends_with("/tables");
    let fault = match is_commit {
        true => shared.faults.lock().unwrap().pop_front(),
        false => None,
    };
    match fault {
        None => next.run(request).await,
        Some(Fault::LosesAnswer) => {
            let answer = next.run(request).await;
            assert!(answer.status().is_success(), "{answer:?}");
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Some(Fault::LosesRequest) => StatusCode::BAD_GATEWAY.into_response(),
        Some(Fault::Busy) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Rows with the given numbers in column `n`.
pub(crate) fn rows(numbers: impl IntoIterator<Item = i64>) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    RecordBatch::try_from_iter_with_nullable([("n", column, true)]).unwrap()
}

pub(crate) fn stream_of(batch: RecordBatch) -> Vec<SendableRecordBatchStream> {
    let schema = batch.schema();
    vec![Box::pin(RecordBatchStreamAdapter::new(
        schema,
        stream::iter([Ok(batch)]),
    ))]
}

pub(crate) fn table(name: &str) -> TableIdent {
    format!("default.gold.{name}").parse().unwrap()
}
