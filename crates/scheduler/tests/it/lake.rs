//! What runs and outsiders do to tables, through the catalog's own protocol.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, MAIN_BRANCH, SnapshotReference,
    SnapshotRetention, TableMetadata,
};
use iceberg::{TableRequirement, TableUpdate};
use rat_catalog::{Caller, Catalog, RunScope};
use rat_iceberg::snapshot::SnapshotProducer;
use rat_types::{Identity, RunRequest, TableIdent};
use serde_json::{Value, json};
use tower::ServiceExt;

/// How a result becomes part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    Append,
    Overwrite,
}

/// A client of the catalog, with somebody's rights.
pub(crate) struct Client {
    catalog: Catalog,
    router: Router,
    caller: Caller,
}

impl Client {
    pub(crate) fn user(catalog: &Catalog) -> Self {
        Self::new(catalog, Caller::User(Identity::anonymous()))
    }

    pub(crate) fn run(catalog: &Catalog, request: &RunRequest) -> Self {
        let scope = RunScope {
            run_id: request.run_id,
            ident: request.pipeline.clone(),
            readable: Vec::new(),
        };
        Self::new(catalog, Caller::Run(scope))
    }

    fn new(catalog: &Catalog, caller: Caller) -> Self {
        let router = rat_catalog::rest::router(catalog.clone());
        Self {
            catalog: catalog.clone(),
            router,
            caller,
        }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(body)
            .unwrap();
        request.extensions_mut().insert(self.caller.clone());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    /// The table as this caller sees it.
    pub(crate) async fn load(&self, table: &TableIdent) -> Option<TableMetadata> {
        let (status, body) = self.call("GET", &path(table), None).await;
        match status {
            StatusCode::OK => Some(serde_json::from_value(body["metadata"].clone()).unwrap()),
            StatusCode::NOT_FOUND => None,
            _ => panic!("loading {table}: {status} {body}"),
        }
    }

    async fn create(&self, table: &TableIdent) -> TableMetadata {
        let schema = json!({"type": "struct", "schema-id": 0, "fields": [
            {"id": 1, "name": "id", "required": false, "type": "long"}]});
        let folder = path(table);
        let (tables, _) = folder.rsplit_once('/').unwrap();
        let body = json!({"name": table.name, "schema": schema});
        let (status, body) = self.call("POST", tables, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_value(body["metadata"].clone()).unwrap()
    }

    /// Commits `rows` rows: a run to its branch, a user to `main`. Answers the snapshot.
    pub(crate) async fn write(&self, table: &TableIdent, how: Write, rows: u64) -> i64 {
        let metadata = match self.load(table).await {
            Some(metadata) => metadata,
            None => self.create(table).await,
        };
        let branch = match &self.caller {
            Caller::Run(scope) => scope.run_id.branch(),
            _ => MAIN_BRANCH.to_owned(),
        };
        let head = |name: &str| metadata.snapshot_for_ref(name).map(|s| s.snapshot_id());
        let base = head(&branch).or(head(MAIN_BRANCH));
        let (io, files) = (self.catalog.file_io().clone(), vec![self.file(table, rows)]);
        let mut producer = match how {
            Write::Append => SnapshotProducer::append(io, files),
            Write::Overwrite => SnapshotProducer::overwrite(io, files),
        };
        if let Caller::Run(scope) = &self.caller {
            producer = producer.with_run_id(scope.run_id);
        }
        let snapshot = producer.produce(&metadata, base).await.unwrap();
        let id = snapshot.snapshot_id();
        let retention = SnapshotRetention::branch(None, None, None);
        let updates = [
            TableUpdate::AddSnapshot { snapshot },
            TableUpdate::SetSnapshotRef {
                ref_name: branch.clone(),
                reference: SnapshotReference::new(id, retention),
            },
        ];
        let requirement = TableRequirement::RefSnapshotIdMatch {
            r#ref: branch.clone(),
            snapshot_id: head(&branch),
        };
        let body = json!({"requirements": [requirement], "updates": updates});
        let (status, body) = self.call("POST", &path(table), Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        id
    }

    fn file(&self, table: &TableIdent, rows: u64) -> DataFile {
        let warehouse = self.catalog.warehouse();
        let folder = match &self.caller {
            Caller::Run(scope) => warehouse.run_data_location(table, scope.run_id),
            _ => format!("{}/data", warehouse.table_location(table)),
        };
        DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path(format!("{folder}/{}.parquet", rand::random::<u64>()))
            .file_format(DataFileFormat::Parquet)
            .record_count(rows)
            .file_size_in_bytes(rows * 10)
            .build()
            .unwrap()
    }
}

fn path(table: &TableIdent) -> String {
    format!(
        "/v1/namespaces/{}%1F{}/tables/{}",
        table.namespace, table.layer, table.name
    )
}
