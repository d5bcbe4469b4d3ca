//! rat-lake, as the engine uses it.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use futures::future::join_all;
use rat_lake::schema::SchemaError;
use rat_lake::{At, BranchWriter, CatalogClient, LakeTable, WrittenBranch};
use rat_types::{Kind, Layer, MergeStrategy, NamespaceName, RunId, RunRequest, Secret, TableIdent};
use tokio::sync::Mutex;

use crate::Error;
use crate::error::chain;
use crate::run::{Committed, RunLake, Written};
use crate::tables::Tables;

/// The tables of ratd's catalog, as one token sees them.
#[derive(Debug, Clone)]
pub(crate) struct LakeTables {
    pub(crate) client: CatalogClient,
}

impl LakeTables {
    pub(crate) fn connect(control_plane: &str, token: &Secret) -> Result<Self, Error> {
        let client = CatalogClient::connect(control_plane, token.clone())?;
        Ok(Self { client })
    }
}

#[async_trait]
impl Tables for LakeTables {
    async fn load(&self, ident: &TableIdent) -> Result<Option<Arc<dyn TableProvider>>, Error> {
        let table = LakeTable::open(&self.client, ident, &At::Main).await?;
        Ok(table.map(|table| Arc::new(table) as Arc<dyn TableProvider>))
    }

    async fn namespaces(&self) -> Result<Vec<NamespaceName>, Error> {
        Ok(self.client.list_namespaces().await?)
    }

    async fn names(&self, namespace: &NamespaceName) -> Vec<TableIdent> {
        let layers = Layer::ALL.map(|layer| self.client.list_tables(namespace, layer));
        join_all(layers)
            .await
            .into_iter()
            .flatten()
            .flatten()
            .collect()
    }
}

/// A run's tables and its own branch.
#[derive(Debug)]
pub(crate) struct LakeRun {
    tables: LakeTables,
    table: TableIdent,
    run_id: RunId,
    /// The own table as it was when the run began, until its rows are written.
    writer: Mutex<Option<BranchWriter>>,
}

impl LakeRun {
    pub(crate) fn connect(request: &RunRequest) -> Result<Self, Error> {
        let tables = LakeTables::connect(&request.control_plane, &request.token)?;
        let (table, run_id) = (request.pipeline.clone(), request.run_id);
        Ok(Self {
            tables,
            table,
            run_id,
            writer: Mutex::new(None),
        })
    }
}

#[async_trait]
impl Tables for LakeRun {
    /// `this` is the state that the run builds on, not a later one.
    async fn load(&self, ident: &TableIdent) -> Result<Option<Arc<dyn TableProvider>>, Error> {
        if *ident != self.table {
            return self.tables.load(ident).await;
        }
        let table = self
            .writer
            .lock()
            .await
            .as_ref()
            .and_then(|writer| writer.table().cloned());
        let Some(table) = table else { return Ok(None) };
        let table = LakeTable::new(ident.clone(), table, &At::Main).await?;
        Ok(Some(Arc::new(table)))
    }

    async fn namespaces(&self) -> Result<Vec<NamespaceName>, Error> {
        self.tables.namespaces().await
    }

    async fn names(&self, namespace: &NamespaceName) -> Vec<TableIdent> {
        self.tables.names(namespace).await
    }
}

#[async_trait]
impl RunLake for LakeRun {
    type Files = WrittenBranch;

    async fn open(&self, strategy: MergeStrategy) -> Result<(), Error> {
        let client = &self.tables.client;
        let writer = BranchWriter::open(client, &self.table, self.run_id, strategy).await?;
        *self.writer.lock().await = Some(writer);
        Ok(())
    }

    async fn write(
        &self,
        rows: Vec<SendableRecordBatchStream>,
    ) -> Result<Written<WrittenBranch>, Error> {
        let Some(writer) = self.writer.lock().await.take() else {
            return Err(Error::internal("the run's table was not opened"));
        };
        let files = writer.write(rows).await?;
        Ok(Written {
            rows: files.rows(),
            bytes: files.bytes(),
            files,
        })
    }

    async fn commit(&self, files: WrittenBranch) -> Result<Committed, Error> {
        let committed = files.commit().await?;
        let at = At::Snapshot(committed.snapshot_id);
        let table = LakeTable::new(self.table.clone(), committed.table, &at).await?;
        Ok(Committed {
            snapshot_id: committed.snapshot_id,
            table: Arc::new(table),
        })
    }
}

/// A failure of the lake that came up through DataFusion.
pub(crate) fn from_external(cause: &(dyn std::error::Error + 'static)) -> Option<Error> {
    cause
        .downcast_ref::<rat_lake::Error>()
        .map(|error| translate(error, chain(error)))
}

impl From<rat_lake::Error> for Error {
    fn from(error: rat_lake::Error) -> Self {
        match error {
            rat_lake::Error::Input { source, .. } => source.into(),
            error => {
                let message = chain(&error);
                translate(&error, message)
            }
        }
    }
}

fn translate(error: &rat_lake::Error, message: String) -> Error {
    match error {
        rat_lake::Error::Schema(error) => return schema(error, message),
        rat_lake::Error::StorageFull { .. } => return Error::StorageFull { message },
        _ => {}
    }
    match error.kind() {
        Kind::Conflict => Error::Conflict { message },
        Kind::Unavailable | Kind::DeadlineExceeded | Kind::Upstream => {
            Error::Unavailable { message }
        }
        Kind::Unauthenticated | Kind::PermissionDenied => Error::PermissionDenied { message },
        Kind::ResourceExhausted => Error::OutOfMemory { message },
        Kind::Cancelled => Error::Cancelled,
        Kind::InvalidArgument
        | Kind::NotFound
        | Kind::AlreadyExists
        | Kind::PayloadTooLarge
        | Kind::Internal => Error::Internal { message },
        Kind::NotImplemented => Error::TableUnsupported {
            reason: error.reason(),
            message,
        },
    }
}

fn schema(error: &SchemaError, message: String) -> Error {
    match error {
        SchemaError::UnsupportedType { .. } => Error::TypeUnsupported { message },
        SchemaError::Incompatible { .. } | SchemaError::MissingRequired { .. } => {
            Error::SchemaIncompatible { message }
        }
        SchemaError::Cast { .. } => Error::Execution { message },
        SchemaError::NoColumns
        | SchemaError::DuplicateColumn { .. }
        | SchemaError::ReservedName { .. }
        | SchemaError::Invalid { .. } => Error::Sql { message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rat_does_not_write_is_no_fault_of_ours() {
        let error = rat_lake::Error::Unsupported {
            table: "shop.gold.orders".parse().unwrap(),
            what: "partitions".to_owned(),
        };
        let error = Error::from(error);
        assert_eq!(error.reason(), "TABLE_UNSUPPORTED");
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.to_string().contains("partitions"), "{error}");
    }
}
