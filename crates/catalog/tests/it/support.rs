//! A lake of its own for every test, and the requests that clients make.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Schema, Snapshot, TableMetadata,
};
use rat_catalog::{Caller, Catalog, ExternalCatalog, QueryScope, Readable, RunScope, rest};
use rat_iceberg::snapshot::SnapshotProducer;
use rat_sql::DatabaseUrl;
use rat_store::Store;
use rat_types::{Identity, RunId, TableIdent};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use url::Url;

pub(crate) struct Lake {
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) router: Router,
    folder: Arc<TempDir>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        self.json
    }

    /// Asserts the specification's error body; answers the message.
    #[track_caller]
    pub(crate) fn fails(self, status: u16, exception: &str) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let error = &self.json["error"];
        assert_eq!(error["code"], status, "{}", self.text);
        assert_eq!(error["type"], exception, "{}", self.text);
        error["message"].as_str().expect("a message").to_owned()
    }

    /// The metadata of an answered table.
    #[track_caller]
    pub(crate) fn metadata(self) -> TableMetadata {
        serde_json::from_value(self.ok()["metadata"].clone()).expect("valid metadata")
    }
}

/// On SQLite, and on PostgreSQL where there is one.
pub(crate) async fn lakes() -> Vec<Lake> {
    let mut lakes = vec![Lake::new().await];
    if let Some(url) = rat_sql::test_util::postgres().await {
        lakes.push(Lake::on(tempfile::tempdir().unwrap(), &url).await);
    }
    lakes
}

impl Lake {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("rat.db").display());
        let database = database.parse().unwrap();
        Self::on(folder, &database).await
    }

    async fn on(folder: TempDir, database: &DatabaseUrl) -> Self {
        let store = Store::open(database).await.unwrap();
        let root = Url::from_directory_path(folder.path().join("lake")).unwrap();
        let catalog = Catalog::new(store.clone(), &root).unwrap();
        let folder = Arc::new(folder);
        Self {
            router: rest::router(catalog.clone()),
            catalog,
            store,
            folder,
        }
    }

    /// The same files, behind a catalog with a database of its own that stands in front of another
    /// one.
    pub(crate) async fn in_front_of(&self, external: ExternalCatalog) -> Self {
        let folder = self.folder.clone();
        let number: u32 = rand::random();
        let database = format!("sqlite:{}/front-{number}.db", folder.path().display());
        let store = Store::open(&database.parse().unwrap()).await.unwrap();
        let root = Url::from_directory_path(folder.path().join("lake")).unwrap();
        let catalog = Catalog::in_front_of(store.clone(), &root, external).unwrap();
        Self {
            router: rest::router(catalog.clone()),
            catalog,
            store,
            folder,
        }
    }

    /// The same database and files behind a catalog that remembers nothing: another process.
    pub(crate) fn restarted(&self) -> Catalog {
        let root = Url::from_directory_path(self.folder.path().join("lake")).unwrap();
        Catalog::new(self.store.clone(), &root).unwrap()
    }

    pub(crate) fn io(&self) -> FileIO {
        self.catalog.file_io().clone()
    }

    pub(crate) async fn send(&self, caller: Option<Caller>, request: Request<Body>) -> Answer {
        let mut request = request;
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer {
            status,
            headers,
            text,
            json,
        }
    }

    pub(crate) async fn call(
        &self,
        caller: &Caller,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(body)
            .unwrap();
        self.send(Some(caller.clone()), request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(&user(), Method::GET, path, None).await
    }

    pub(crate) async fn head(&self, path: &str) -> Answer {
        self.call(&user(), Method::HEAD, path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(&user(), Method::DELETE, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(&user(), Method::POST, path, Some(body)).await
    }

    /// Creates a table with one column `id`.
    pub(crate) async fn create(&self, caller: &Caller, table: &str) -> Answer {
        let ident = ident(table);
        let path = format!(
            "/v1/namespaces/{}%1F{}/tables",
            ident.namespace, ident.layer
        );
        let body = json!({"name": ident.name, "schema": schema_json()});
        self.call(caller, Method::POST, &path, Some(body)).await
    }

    pub(crate) async fn load(&self, caller: &Caller, table: &str) -> Answer {
        self.call(caller, Method::GET, &path(table), None).await
    }

    pub(crate) async fn metadata(&self, table: &str) -> TableMetadata {
        self.load(&user(), table).await.metadata()
    }

    pub(crate) async fn commit(
        &self,
        caller: &Caller,
        table: &str,
        requirements: Value,
        updates: Value,
    ) -> Answer {
        let body = json!({"requirements": requirements, "updates": updates});
        self.call(caller, Method::POST, &path(table), Some(body))
            .await
    }

    /// Appends a file to `main`, as a user's client does.
    pub(crate) async fn append(&self, table: &str, name: &str, rows: u64) -> Snapshot {
        let metadata = self.metadata(table).await;
        let file = self
            .data_file(table, &format!("data/{name}.parquet"), rows)
            .await;
        let mut producer = SnapshotProducer::append(self.io(), vec![file]);
        let base = metadata.current_snapshot_id();
        let snapshot = producer.produce(&metadata, base).await.unwrap();
        let updates = json!([
            add_snapshot(&snapshot),
            set_ref("main", snapshot.snapshot_id())
        ]);
        let require = json!([
            {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": base}]);
        self.commit(&user(), table, require, updates).await.ok();
        snapshot
    }

    /// Writes a data file (whose content does not matter here) into the table's folder.
    pub(crate) async fn data_file(&self, table: &str, path: &str, rows: u64) -> DataFile {
        let location = format!(
            "{}/{path}",
            self.catalog.warehouse().table_location(&ident(table))
        );
        let output = self.io().new_output(&location).unwrap();
        output.write("rows".into()).await.unwrap();
        data_file(&location, rows)
    }

    /// Makes `run` write `files` to its branch, as the lake's client does.
    pub(crate) async fn run_writes(&self, run: RunId, table: &str, write: Write<'_>) -> Answer {
        let caller = self::run(run, table, &[]);
        let metadata = self.load(&caller, table).await.metadata();
        let base = metadata.current_snapshot_id();
        let snapshot = self.run_snapshot(run, table, &metadata, base, write).await;
        let mut updates = vec![];
        if let Write::Schema(_, schema) | Write::Widen(_, schema) = write {
            updates.push(json!({"action": "add-schema", "schema": schema}));
        }
        updates.push(add_snapshot(&snapshot));
        updates.push(set_ref(&run.branch(), snapshot.snapshot_id()));
        let require = json!([{"type": "assert-table-uuid", "uuid": metadata.uuid()}]);
        self.commit(&caller, table, require, Value::Array(updates))
            .await
    }

    pub(crate) async fn run_snapshot(
        &self,
        run: RunId,
        table: &str,
        metadata: &TableMetadata,
        base: Option<i64>,
        write: Write<'_>,
    ) -> Snapshot {
        let (Write::Append(rows)
        | Write::Overwrite(rows)
        | Write::Schema(rows, _)
        | Write::Widen(rows, _)) = write;
        let name = rand::random_range(0..u64::MAX);
        let file = format!("data/{}/{name}.parquet", run.branch());
        let files = vec![self.data_file(table, &file, rows).await];
        let mut producer = match write {
            Write::Append(_) | Write::Widen(..) => SnapshotProducer::append(self.io(), files),
            Write::Overwrite(_) | Write::Schema(..) => {
                SnapshotProducer::overwrite(self.io(), files)
            }
        }
        .with_run_id(run);
        if let Write::Schema(_, schema) | Write::Widen(_, schema) = write {
            producer = producer.with_schema(Arc::new(schema.clone()));
        }
        producer.produce(metadata, base).await.unwrap()
    }

    /// Every file of the table's folder, relative to it.
    pub(crate) fn files(&self, table: &str) -> Vec<String> {
        let root = self.folder.path().join("lake").join(ident(table).folder());
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path.strip_prefix(&root).unwrap().display().to_string());
                }
            }
        }
        found.sort();
        found
    }

    pub(crate) fn folder_exists(&self, table: &str) -> bool {
        self.folder
            .path()
            .join("lake")
            .join(ident(table).folder())
            .exists()
    }
}

/// What a run writes, and how many rows.
#[derive(Clone, Copy)]
pub(crate) enum Write<'a> {
    Append(u64),
    Overwrite(u64),
    /// An overwrite with a schema of its own, which has the id that the table will give it.
    Schema(u64, &'a Schema),
    /// An append with a schema of its own.
    Widen(u64, &'a Schema),
}

pub(crate) fn user() -> Caller {
    Caller::User(Identity::anonymous())
}

pub(crate) fn query() -> Caller {
    Caller::Query(QueryScope {
        identity: Identity::anonymous(),
        readable: Readable::All,
    })
}

pub(crate) fn run(run_id: RunId, table: &str, readable: &[&str]) -> Caller {
    let readable = readable.iter().map(|table| ident(table)).collect();
    Caller::Run(RunScope {
        run_id,
        ident: ident(table),
        readable,
    })
}

pub(crate) fn run_id(number: u32) -> RunId {
    format!("0190a000-0000-7000-8000-{number:012}")
        .parse()
        .unwrap()
}

pub(crate) fn ident(table: &str) -> TableIdent {
    table.parse().unwrap()
}

pub(crate) fn path(table: &str) -> String {
    let ident = ident(table);
    format!(
        "/v1/namespaces/{}%1F{}/tables/{}",
        ident.namespace, ident.layer, ident.name
    )
}

pub(crate) fn schema_json() -> Value {
    json!({"type": "struct", "schema-id": 0, "fields": [
        {"id": 1, "name": "id", "required": false, "type": "long"}]})
}

/// A schema with the columns `id` and `extra`, under the id `schema_id`.
pub(crate) fn wider_schema(schema_id: i32) -> Schema {
    let fields = json!({"type": "struct", "schema-id": schema_id, "fields": [
        {"id": 1, "name": "id", "required": false, "type": "long"},
        {"id": 2, "name": "extra", "required": false, "type": "string"}]});
    serde_json::from_value(fields).unwrap()
}

pub(crate) fn data_file(location: &str, rows: u64) -> DataFile {
    DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(location.to_owned())
        .file_format(DataFileFormat::Parquet)
        .record_count(rows)
        .file_size_in_bytes(rows * 10)
        .build()
        .unwrap()
}

pub(crate) fn add_snapshot(snapshot: &Snapshot) -> Value {
    let mut summary = serde_json::Map::new();
    for (key, value) in &snapshot.summary().additional_properties {
        summary.insert(key.clone(), json!(value));
    }
    summary.insert(
        "operation".to_owned(),
        json!(snapshot.summary().operation.as_str()),
    );
    json!({"action": "add-snapshot", "snapshot": {
        "snapshot-id": snapshot.snapshot_id(),
        "parent-snapshot-id": snapshot.parent_snapshot_id(),
        "sequence-number": snapshot.sequence_number(),
        "timestamp-ms": snapshot.timestamp_ms(),
        "manifest-list": snapshot.manifest_list(),
        "summary": summary,
        "schema-id": snapshot.schema_id(),
    }})
}

pub(crate) fn set_ref(name: &str, snapshot: i64) -> Value {
    json!({"action": "set-snapshot-ref", "ref-name": name, "type": "branch",
           "snapshot-id": snapshot, "max-ref-age-ms": null, "max-snapshot-age-ms": null,
           "min-snapshots-to-keep": null})
}
