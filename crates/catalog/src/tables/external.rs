//! Tables in an external Iceberg REST catalog: Lakekeeper, Polaris, or any other that has branches
//! of tables.
//!
//! A commit goes there as updates with the requirements that everything they touch is as it was;
//! so its conflicts are found there, as those of everybody else who writes to that catalog. When
//! no answer comes, the table is read again to see whether the commit was made.
//!
//! Namespaces of RAT are created there when the first table is; a table lies where RAT wants it, in
//! the lake's folder, which both reach under the same path. Nothing is cached but metadata under the
//! name of its file, and no request is repeated here: clients and the scheduler do that.

mod change;
mod error;
mod http;
mod token;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use iceberg::spec::TableMetadata;
use iceberg::{TableRequirement, TableUpdate};
use rat_store::Store;
use rat_types::{Layer, NamespaceName, RunId, TableIdent};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::{Current, Tables};
use crate::Error;
use crate::cache::MetadataFile;
use crate::catalog::LoadedTable;
use crate::drop::is_same;
use crate::files::Files;
use crate::name::levels;
use crate::rules::Changed;

pub use error::ExternalError;
use http::Http;
pub use token::Credentials;
use wire::{Answer, Plan, Planned, every_page, page_query, plan_body, table_path, tables_path};

/// Requests at the same time while many tables or namespaces are looked at.
const CONCURRENCY: usize = 8;
/// Pauses before the table is read to see whether a commit was made.
const PAUSES: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(1000),
];

/// Where an external catalog is and who ratd is there.
#[derive(Debug, Clone)]
pub struct ExternalCatalog {
    /// Its address, to which `/v1/config` is added.
    pub uri: Url,
    /// What it calls the warehouse that RAT uses, if it has several.
    pub warehouse: Option<String>,
    /// How ratd shows who it is.
    pub credentials: Credentials,
    /// Certificates (PEM) that are believed besides those of the system.
    pub authorities: Option<Vec<u8>>,
}

/// The tables of an external catalog.
#[derive(Debug)]
pub(crate) struct External {
    http: Http,
    store: Store,
    files: Files,
}

impl External {
    /// # Errors
    /// The certificates are none.
    pub(crate) fn new(catalog: ExternalCatalog, store: Store, files: Files) -> Result<Self, Error> {
        let http = Http::new(catalog).map_err(failed("connect"))?;
        Ok(Self { http, store, files })
    }

    /// A table out of an answer.
    async fn read(&self, answer: Answer) -> Result<Current, ExternalError> {
        let malformed = |source| ExternalError::Malformed { source };
        let missing = || {
            let message = "a table without metadata-location";
            malformed(serde::de::Error::custom(message))
        };
        let location = answer.metadata_location.ok_or_else(missing)?;
        if let Some(file) = self.files.cache().get(&location).await {
            return Ok(Current { location, file });
        }
        let json = serde_json::to_vec(&answer.metadata).map_err(malformed)?;
        let metadata: TableMetadata = serde_json::from_slice(&json).map_err(malformed)?;
        let file = Arc::new(MetadataFile::received(metadata, json.into()));
        self.files.cache().keep(&location, file.clone()).await;
        Ok(Current { location, file })
    }

    async fn get(&self, ident: &TableIdent) -> Result<Option<Current>, ExternalError> {
        let answer = self.http.call(Method::GET, &table_path(ident), None).await;
        match answer {
            Ok(answer) => self.read(answer).await.map(Some),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Current, ExternalError> {
        let answer = self.http.call(Method::POST, path, Some(body)).await?;
        self.read(answer).await
    }

    /// Sends a commit. `None` if the table was not as it was required to be.
    async fn change(
        &self,
        ident: &TableIdent,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<Option<Current>, Error> {
        let body = json!({
            "identifier": {"namespace": levels(ident), "name": ident.name},
            "requirements": requirements,
            "updates": updates,
        });
        let error = match self.post(&table_path(ident), &body).await {
            Ok(current) => return Ok(Some(current)),
            Err(error) => error,
        };
        match error.status() {
            Some(409) => Ok(None),
            Some(404) => Err(Error::no_table(ident)),
            _ if error.is_unsettled() => self.confirm(ident, updates, error).await.map(Some),
            _ => Err(failed("commit")(error)),
        }
    }

    /// After a commit without a clear answer: was it made?
    ///
    /// # Errors
    /// [`Error::CommitStateUnknown`] if not: it may still be under way.
    async fn confirm(
        &self,
        ident: &TableIdent,
        updates: &[TableUpdate],
        error: ExternalError,
    ) -> Result<Current, Error> {
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            if let Ok(Some(current)) = self.get(ident).await
                && change::is_made(updates, &current.file)
            {
                return Ok(current);
            }
        }
        Err(Error::unknown(ident, failed("commit")(error)))
    }

    /// Announces a table, which assigns its UUID and lets the catalog say where it may lie.
    async fn plan(&self, ident: &TableIdent, metadata: &TableMetadata) -> Result<Plan, Error> {
        let body = plan_body(ident, metadata);
        let path = tables_path(&ident.namespace, ident.layer);
        let mut planned = self.http.call(Method::POST, &path, Some(&body)).await;
        if matches!(&planned, Err(error) if error.status() == Some(404)) {
            self.create_namespaces(ident).await?;
            planned = self.http.call(Method::POST, &path, Some(&body)).await;
        }
        let Planned { metadata: plan } = planned.map_err(|error| match error.status() {
            Some(409) => Error::TableExists {
                table: ident.clone(),
            },
            Some(404) => Error::NoSuchNamespace {
                namespace: levels(ident).join("."),
            },
            _ => failed("announce a table")(error),
        })?;
        if !is_same(&plan.location, metadata.location()) {
            return Err(Error::invalid(format!(
                "the external catalog would put table {ident} at {} and not at {}",
                plan.location,
                metadata.location()
            )));
        }
        Ok(plan)
    }

    /// The namespace of a table and the one that it is in.
    async fn create_namespaces(&self, ident: &TableIdent) -> Result<(), Error> {
        let levels = levels(ident);
        for depth in 1..=levels.len() {
            let body = json!({"namespace": levels[..depth], "properties": {}});
            let created = self.http.send(Method::POST, "namespaces", Some(&body));
            match created.await {
                Err(error) if error.status() != Some(409) => {
                    return Err(failed("create a namespace")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn list_layer(
        &self,
        namespace: NamespaceName,
        layer: Layer,
    ) -> Result<Vec<TableIdent>, Error> {
        let path = tables_path(&namespace, layer);
        let listed = every_page(|token| {
            let path = match token {
                Some(token) => format!("{path}?{}", page_query(&token)),
                None => path.clone(),
            };
            async move { self.http.call(Method::GET, &path, None).await }.boxed()
        });
        let names = match listed.await {
            Err(error) if error.status() == Some(404) => return Ok(Vec::new()),
            result => result.map_err(failed("list tables"))?,
        };
        // A name that RAT does not allow cannot be asked for either.
        let names = names.iter().filter_map(|table| table.name.parse().ok());
        let tables = names.map(|name| TableIdent {
            namespace: namespace.clone(),
            layer,
            name,
        });
        Ok(tables.collect())
    }
}

#[async_trait]
impl Tables for External {
    /// In the namespaces that RAT has; others are not RAT's business.
    async fn list(
        &self,
        namespace: Option<&NamespaceName>,
        layer: Option<Layer>,
    ) -> Result<Vec<TableIdent>, Error> {
        let namespaces = match namespace {
            Some(namespace) => vec![namespace.clone()],
            None => {
                let rows = self.store.namespaces().list().await?;
                rows.into_iter().map(|row| row.name).collect()
            }
        };
        let layers = namespaces.into_iter().flat_map(|namespace| {
            let layers = Layer::ALL.into_iter();
            let wanted = layers.filter(|each| layer.is_none_or(|layer| layer == *each));
            wanted
                .map(move |layer| (namespace.clone(), layer))
                .collect::<Vec<_>>()
        });
        let lists: Vec<Vec<TableIdent>> = stream::iter(layers)
            .map(|(namespace, layer)| self.list_layer(namespace, layer))
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        let mut tables = lists.concat();
        tables.sort();
        Ok(tables)
    }

    async fn exists(&self, ident: &TableIdent) -> Result<bool, Error> {
        Ok(self.load(ident).await?.is_some())
    }

    async fn load(&self, ident: &TableIdent) -> Result<Option<Current>, Error> {
        self.get(ident).await.map_err(failed("load a table"))
    }

    async fn create(&self, ident: &TableIdent, metadata: &TableMetadata) -> Result<Current, Error> {
        let plan = self.plan(ident, metadata).await?;
        let updates = change::creation(plan.table_uuid, metadata).map_err(|error| {
            let message = error.to_string();
            let table = ident.clone();
            Error::Damaged { table, message }
        })?;
        let exists = || Error::TableExists {
            table: ident.clone(),
        };
        let created = self.change(ident, &[TableRequirement::NotExist], &updates);
        let created = created.await?.ok_or_else(exists)?;
        match created.file.metadata.uuid() == plan.table_uuid {
            true => Ok(created),
            // Ours is not known to have failed, but this is somebody else's.
            false => Err(exists()),
        }
    }

    /// Two steps: a crash in between leaves a staged table that is published already.
    async fn promote(
        &self,
        run: RunId,
        staged: &LoadedTable,
        metadata: &TableMetadata,
    ) -> Result<(), Error> {
        self.create(&staged.ident, metadata).await?;
        self.store.tables().unstage(run).await?;
        // The catalog has written metadata files of its own.
        for entry in staged.metadata().metadata_log() {
            self.files.delete(&entry.metadata_file).await;
        }
        self.files.delete(&staged.location).await;
        Ok(())
    }

    async fn commit(
        &self,
        table: &LoadedTable,
        changed: &Changed,
    ) -> Result<Option<Current>, Error> {
        let requirements = change::requirements(table.metadata(), &changed.updates);
        self.change(&table.ident, &requirements, &changed.updates)
            .await
    }

    async fn drop(&self, ident: &TableIdent) -> Result<(), Error> {
        let path = format!("{}?purgeRequested=false", table_path(ident));
        match self.http.send(Method::DELETE, &path, None).await {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(404) => Err(Error::no_table(ident)),
            Err(error) => Err(failed("drop a table")(error)),
        }
    }

    /// What others have put there stays, and the catalog says so.
    async fn forget_namespace(&self, name: &NamespaceName) {
        let layers = Layer::ALL.map(|layer| format!("namespaces/{name}%1F{layer}"));
        for path in layers.into_iter().chain([format!("namespaces/{name}")]) {
            match self.http.send(Method::DELETE, &path, None).await {
                Err(error) if error.status() != Some(404) => {
                    tracing::warn!(namespace = %name, %error, "a namespace stays in the external catalog");
                }
                _ => {}
            }
        }
    }

    async fn check(&self) -> Result<(), Error> {
        let configured = self.http.configured_prefix().await;
        configured.map(drop).map_err(failed("be heard"))
    }

    fn is_shared(&self) -> bool {
        true
    }
}

fn failed(operation: &'static str) -> impl FnOnce(ExternalError) -> Error {
    move |source| Error::External {
        operation: operation.to_owned(),
        source,
    }
}
