//! ratd's Iceberg REST catalog, seen from a client.
//!
//! The wire types are those of `iceberg-catalog-rest`; its client is not used. It cannot commit
//! what a run commits, it asks for the catalog's configuration before the first call (one round
//! trip per run), and it does not tell 403 from 500.

mod answer;

use std::time::Duration;

use iceberg::io::FileIO;
use iceberg::spec::{Schema, TableMetadata};
use iceberg::table::Table;
use iceberg::{NamespaceIdent, Runtime, TableRequirement, TableUpdate};
use iceberg_catalog_rest::{
    CommitTableRequest, CommitTableResponse, CreateTableRequest, ListNamespaceResponse,
    ListTablesResponse, LoadTableResult,
};
use rat_types::{Layer, NamespaceName, Secret, TableIdent};
use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;

use crate::Error;
use answer::{Subject, read};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Pauses between attempts at a call that can be repeated, long enough for ratd to restart.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_millis(1000),
    Duration::from_millis(2000),
    Duration::from_millis(4000),
];

/// Separates the levels of a namespace in a path: the unit separator, percent-encoded.
const LEVEL: &str = "%1F";

/// A client of ratd's catalog, with one token. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CatalogClient {
    http: reqwest::Client,
    base: String,
    token: Option<Secret>,
    file_io: FileIO,
}

impl CatalogClient {
    /// A client on ratd's internal listener: `unix:/path` or `http://host:port`. No connection is
    /// made before the first call.
    ///
    /// # Errors
    /// An address of another form.
    pub fn connect(control_plane: &str, token: Secret) -> Result<Self, Error> {
        match control_plane.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => {
                let http = builder().unix_socket(path).build();
                Self::build(http, "http://ratd/iceberg".to_owned(), Some(token))
            }
            None if is_http(control_plane) => {
                let base = format!("{}/iceberg", control_plane.trim_end_matches('/'));
                Self::new(&base, Some(token))
            }
            _ => Err(Error::Address {
                address: control_plane.to_owned(),
            }),
        }
    }

    /// A client on any listener, by the URL of its catalog: `http://host:port/iceberg`.
    ///
    /// # Errors
    /// Something that is no HTTP URL.
    pub fn new(base: &str, token: Option<Secret>) -> Result<Self, Error> {
        if !is_http(base) {
            return Err(Error::Address {
                address: base.to_owned(),
            });
        }
        Self::build(
            builder().build(),
            base.trim_end_matches('/').to_owned(),
            token,
        )
    }

    fn build(
        http: reqwest::Result<reqwest::Client>,
        base: String,
        token: Option<Secret>,
    ) -> Result<Self, Error> {
        let http = http.map_err(|source| Error::Client { source })?;
        Ok(Self {
            http,
            base,
            token,
            file_io: rat_iceberg::storage::file_io(),
        })
    }

    /// Replaces the access to the tables' files, which is to all local files otherwise.
    pub fn with_file_io(mut self, file_io: FileIO) -> Self {
        self.file_io = file_io;
        self
    }

    /// Loads a table; `None` if there is none of this name.
    ///
    /// # Errors
    /// The catalog refuses, fails or does not answer.
    pub async fn load_table(&self, ident: &TableIdent) -> Result<Option<Table>, Error> {
        let subject = Subject::table(format!("load table {ident}"), ident);
        let path = table_path(ident);
        match self.get::<LoadTableResult>(&path, &subject).await {
            Ok(loaded) => self
                .open(ident, loaded.metadata_location, loaded.metadata)
                .map(Some),
            Err(Error::TableNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an empty table. For a run's token it stays invisible to others until the run is
    /// published.
    ///
    /// # Errors
    /// [`Error::TableExists`], or the catalog refuses, fails or does not answer.
    pub async fn create_table(&self, ident: &TableIdent, schema: Schema) -> Result<Table, Error> {
        let subject = Subject::creation(format!("create table {ident}"), ident);
        let body = CreateTableRequest {
            name: ident.name.to_string(),
            location: None,
            schema,
            partition_spec: None,
            write_order: None,
            stage_create: None,
            properties: std::collections::HashMap::new(),
        };
        let path = tables_path(&ident.namespace, ident.layer);
        // Had the answer to the first attempt been lost, the second would find the table there.
        let request = || self.request(Method::POST, &path).json(&body);
        let created: LoadTableResult = self.repeated(request, &subject).await?;
        self.open(ident, created.metadata_location, created.metadata)
    }

    /// Commits updates to a table, once. See [`BranchWriter`](crate::BranchWriter) for commits
    /// that are repeated when somebody else was faster.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a requirement does not hold; [`Error::CommitStateUnknown`] when
    /// it may or may not have been applied; or the catalog refuses.
    pub async fn commit(
        &self,
        ident: &TableIdent,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<Table, Error> {
        let subject = Subject::commit(format!("commit to table {ident}"), ident);
        let identifier = Some(iceberg_ident(ident));
        let body = CommitTableRequest {
            identifier,
            requirements,
            updates,
        };
        let request = self.request(Method::POST, &table_path(ident)).json(&body);
        let committed: CommitTableResponse = read(request, &subject).await?;
        self.open(ident, Some(committed.metadata_location), committed.metadata)
    }

    /// The tables of one layer that the caller may see. A missing namespace has none.
    ///
    /// # Errors
    /// The catalog refuses, fails or does not answer.
    pub async fn list_tables(
        &self,
        namespace: &NamespaceName,
        layer: Layer,
    ) -> Result<Vec<TableIdent>, Error> {
        let subject = Subject::other(format!("list tables of {namespace}.{layer}"));
        let path = tables_path(namespace, layer);
        let mut tables = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page: ListTablesResponse = match self.get_page(&path, &token, &subject).await {
                Err(Error::Upstream { status: 404, .. }) => return Ok(tables),
                result => result?,
            };
            // A name that RAT does not allow cannot be queried either.
            let names = page
                .identifiers
                .iter()
                .filter_map(|table| table.name.parse().ok());
            tables.extend(names.map(|name| TableIdent {
                namespace: namespace.clone(),
                layer,
                name,
            }));
            token = page.next_page_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(tables);
            }
        }
    }

    /// The top-level namespaces that the caller may see.
    ///
    /// # Errors
    /// The catalog refuses, fails or does not answer.
    pub async fn list_namespaces(&self) -> Result<Vec<NamespaceName>, Error> {
        let subject = Subject::other("list namespaces".to_owned());
        let mut namespaces = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page: ListNamespaceResponse = self.get_page("namespaces", &token, &subject).await?;
            let names = page
                .namespaces
                .iter()
                .filter_map(|name| name.first()?.parse().ok());
            namespaces.extend(names);
            token = page.next_page_token.filter(|token| !token.is_empty());
            if token.is_none() {
                namespaces.sort();
                namespaces.dedup();
                return Ok(namespaces);
            }
        }
    }

    /// A table from its metadata.
    fn open(
        &self,
        ident: &TableIdent,
        location: Option<String>,
        metadata: TableMetadata,
    ) -> Result<Table, Error> {
        open_table(ident, location, metadata, self.file_io.clone())
    }

    async fn get_page<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &Option<String>,
        subject: &Subject,
    ) -> Result<T, Error> {
        match token {
            None => self.get(path, subject).await,
            Some(token) => {
                let token = percent_encoded(token);
                self.get(&format!("{path}?pageToken={token}"), subject)
                    .await
            }
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, subject: &Subject) -> Result<T, Error> {
        self.repeated(|| self.request(Method::GET, path), subject)
            .await
    }

    /// A call that does no harm when it is made twice.
    async fn repeated<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> RequestBuilder,
        subject: &Subject,
    ) -> Result<T, Error> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match read(request(), subject).await {
                Err(error) if error.is_transient() => error,
                result => return result,
            };
            match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}/v1/{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }
}

/// A table object over metadata that is at hand, without a catalog.
///
/// # Errors
/// The metadata wants something that is not offered, such as encryption.
pub(crate) fn open_table(
    ident: &TableIdent,
    location: Option<String>,
    metadata: TableMetadata,
    file_io: FileIO,
) -> Result<Table, Error> {
    let open = || {
        let mut builder = Table::builder()
            .identifier(iceberg_ident(ident))
            .file_io(file_io)
            .metadata(metadata)
            .runtime(Runtime::try_current()?);
        if let Some(location) = location {
            builder = builder.metadata_location(location);
        }
        builder.build()
    };
    open().map_err(|source| Error::Read {
        table: ident.clone(),
        source: Box::new(source),
    })
}

fn builder() -> reqwest::ClientBuilder {
    // The control plane is never behind a proxy, whatever the environment says.
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        .no_proxy()
}

fn is_http(address: &str) -> bool {
    let rest = address
        .strip_prefix("http://")
        .or_else(|| address.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

fn tables_path(namespace: &NamespaceName, layer: Layer) -> String {
    format!("namespaces/{namespace}{LEVEL}{layer}/tables")
}

fn table_path(ident: &TableIdent) -> String {
    format!(
        "{}/{}",
        tables_path(&ident.namespace, ident.layer),
        ident.name
    )
}

/// Escapes everything but letters, digits, `-`, `_` and `.`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The table's name in Iceberg's terms: a namespace of two levels.
pub(crate) fn iceberg_ident(ident: &TableIdent) -> iceberg::TableIdent {
    let levels = [ident.namespace.to_string(), ident.layer.to_string()];
    let namespace = NamespaceIdent::from_vec(levels.to_vec()).expect("two levels are not empty");
    iceberg::TableIdent::new(namespace, ident.name.to_string())
}

#[cfg(test)]
mod tests;
