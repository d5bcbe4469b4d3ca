//! A table of the lake as a DataFusion table.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::TableType;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::expr::Predicate;
use iceberg::scan::FileScanTask;
use iceberg::spec::{
    DataFileFormat, FormatVersion, ManifestContentType, SchemaRef, Snapshot, SnapshotRef,
};
use iceberg::table::Table;
use rat_iceberg::snapshot::{Totals, live_files, manifests, totals};
use rat_types::TableIdent;

use crate::predicate::Translator;
use crate::scan::{LakeScan, Plan};
use crate::schema::without_ids;
use crate::{CatalogClient, Error};

/// Which state of a table is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// What is published, now.
    Main,
    /// The head of a branch, now.
    Branch(String),
    /// One snapshot.
    Snapshot(i64),
}

/// A table pinned to one snapshot: however often it is scanned, and whatever is published
/// meanwhile, the rows are the same.
///
/// A published table has its current columns, also those that were added after its last
/// snapshot; a branch has the columns that its snapshot names. A table without a snapshot is
/// empty. The Arrow schema carries no Iceberg field ids, so that the columns mix with any others.
#[derive(Debug, Clone)]
pub struct LakeTable {
    ident: TableIdent,
    table: Table,
    snapshot: Option<SnapshotRef>,
    schema: SchemaRef,
    arrow: ArrowSchemaRef,
    totals: Totals,
}

impl LakeTable {
    /// Loads a table from the catalog and pins it; `None` if there is no table of this name.
    ///
    /// # Errors
    /// See [`CatalogClient::load_table`] and [`LakeTable::new`].
    pub async fn open(
        client: &CatalogClient,
        ident: &TableIdent,
        at: &At,
    ) -> Result<Option<Self>, Error> {
        match client.load_table(ident).await? {
            Some(table) => Self::new(ident.clone(), table, at).await.map(Some),
            None => Ok(None),
        }
    }

    /// Pins a table that was loaded before.
    ///
    /// # Errors
    /// [`Error::NotInTable`] for an unknown branch or snapshot; [`Error::Unsupported`] for a
    /// table with deletion vectors; or metadata that cannot be read.
    pub async fn new(ident: TableIdent, table: Table, at: &At) -> Result<Self, Error> {
        let metadata = table.metadata();
        let missing = |what: String| Error::NotInTable {
            table: ident.clone(),
            what,
        };
        let unreadable = |source| Error::read(&ident, source);
        let snapshot = match at {
            At::Main => metadata.current_snapshot().cloned(),
            At::Branch(name) => {
                let head = metadata.snapshot_for_ref(name).cloned();
                Some(head.ok_or_else(|| missing(format!("branch {name}")))?)
            }
            At::Snapshot(id) => {
                let snapshot = metadata.snapshot_by_id(*id).cloned();
                Some(snapshot.ok_or_else(|| missing(format!("snapshot {id}")))?)
            }
        };
        let schema = match (&snapshot, at) {
            (Some(snapshot), At::Branch(_) | At::Snapshot(_)) => {
                snapshot.schema(metadata).map_err(unreadable)?
            }
            _ => metadata.current_schema().clone(),
        };
        let arrow = without_ids(&schema_to_arrow_schema(&schema).map_err(unreadable)?);
        let totals = match &snapshot {
            Some(snapshot) => {
                refuse_deletion_vectors(&ident, &table, snapshot).await?;
                totals(table.file_io(), metadata, snapshot).await?
            }
            None => Totals::default(),
        };
        Ok(Self {
            arrow: Arc::new(arrow),
            ident,
            snapshot,
            schema,
            totals,
            table,
        })
    }

    /// The table's name.
    pub fn ident(&self) -> &TableIdent {
        &self.ident
    }

    /// The loaded table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The pinned snapshot; `None` for a table that has no rows yet.
    pub fn snapshot_id(&self) -> Option<i64> {
        self.snapshot
            .as_ref()
            .map(|snapshot| snapshot.snapshot_id())
    }

    /// Rows, files and bytes of the pinned snapshot.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn translate<'e>(&self, filters: impl IntoIterator<Item = &'e Expr>) -> Option<Predicate> {
        let metadata = self.table.metadata();
        let snapshot_schema = self.snapshot.as_ref()?.schema(metadata).ok()?;
        Translator::new(metadata, &self.schema, &snapshot_schema).conjunction(filters)
    }

    /// The files that may have rows for `predicate`, to be read as columns `field_ids`.
    async fn files(
        &self,
        predicate: Option<Predicate>,
        field_ids: &[i32],
    ) -> iceberg::Result<Vec<FileScanTask>> {
        let Some(snapshot) = &self.snapshot else {
            return Ok(Vec::new());
        };
        // Planned without columns, because the planner looks them up in the snapshot's schema.
        let mut scan = self
            .table
            .scan()
            .snapshot_id(snapshot.snapshot_id())
            .select_empty();
        if let Some(predicate) = predicate {
            scan = scan.with_filter(predicate);
        }
        let mut tasks: Vec<FileScanTask> = scan.build()?.plan_files().await?.try_collect().await?;
        for task in &mut tasks {
            task.schema = self.schema.clone();
            task.project_field_ids = field_ids.to_vec();
        }
        tasks.sort_by(|a, b| a.data_file_path.cmp(&b.data_file_path));
        Ok(tasks)
    }

    fn field_ids(&self, projection: &[usize]) -> Vec<i32> {
        let fields = self.schema.as_struct().fields();
        projection
            .iter()
            .filter_map(|index| fields.get(*index))
            .map(|field| field.id)
            .collect()
    }
}

/// The `iceberg` crate reads a table with deletion vectors as if nothing were deleted.
async fn refuse_deletion_vectors(
    ident: &TableIdent,
    table: &Table,
    snapshot: &Snapshot,
) -> Result<(), Error> {
    let (io, metadata) = (table.file_io(), table.metadata());
    if metadata.format_version() < FormatVersion::V3 {
        return Ok(());
    }
    let manifests = manifests(io, metadata, snapshot).await?;
    if manifests
        .iter()
        .all(|manifest| manifest.content == ManifestContentType::Data)
    {
        return Ok(());
    }
    let files = live_files(io, metadata, snapshot).await?;
    if files
        .iter()
        .any(|file| file.data_file.file_format() == DataFileFormat::Puffin)
    {
        let what = "deletion vectors".to_owned();
        return Err(Error::Unsupported {
            table: ident.clone(),
            what,
        });
    }
    Ok(())
}

#[async_trait]
impl TableProvider for LakeTable {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> ArrowSchemaRef {
        self.arrow.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        let count = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Some(Statistics {
            num_rows: Precision::Inexact(count(self.totals.records)),
            total_byte_size: Precision::Inexact(count(self.totals.size_bytes)),
            column_statistics: vec![ColumnStatistics::new_unknown(); self.arrow.fields().len()],
        })
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.translate([*filter]) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let projection = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.arrow.fields().len()).collect(),
        };
        let schema = Arc::new(self.arrow.project(&projection)?);
        let predicate = self.translate(filters);
        let shown = predicate.as_ref().map(ToString::to_string);
        // The filter above drops more rows, so it may need more than `limit` from here.
        let limit = limit.filter(|_| filters.is_empty());
        let has_predicate = predicate.is_some();
        let files = self
            .files(predicate, &self.field_ids(&projection))
            .await
            .map_err(|source| Error::read(&self.ident, source))?;
        let plan = Plan {
            ident: self.ident.clone(),
            table: self.table.clone(),
            snapshot_id: self.snapshot_id(),
            table_schema: self.schema.clone(),
            schema,
            has_predicate,
            predicate: shown,
            limit,
        };
        let partitions = state.config().target_partitions();
        Ok(Arc::new(LakeScan::new(plan, files, partitions)))
    }
}

#[cfg(test)]
mod tests;
