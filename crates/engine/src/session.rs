//! DataFusion, set up so that a statement can reach exactly the tables that it was given.
//!
//! Every statement gets a session of its own; memory and spill space are shared by all of them,
//! so that the limit is the process's and not each statement's. Nothing is configured that would
//! open a file by its name: no information schema, no file tables, no factories for tables or
//! functions.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{
    FairSpillPool, GreedyMemoryPool, MemoryPool, TrackConsumersPool,
};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, execute_stream, execute_stream_partitioned};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{ObjectName, ObjectNamePart};
use rat_types::{NamespaceName, TableIdent};

use crate::spill::SpillFolder;
use crate::statement::{self, Purpose};
use crate::{Error, constants, literals, types};

/// Consumers that an out-of-memory message names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");
/// How much larger rows are than they are compressed.
const COMPRESSED: usize = 4;
/// Bytes of a table, compressed, that is no reason to expect large rows.
const SMALL: usize = 4 << 20;
/// Schema of the tables that stand for calls of file functions; no layer has this name.
const CALLS: &str = "landing";

/// What all sessions share.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    runtime: Arc<RuntimeEnv>,
    target_partitions: usize,
    spill: Arc<SpillFolder>,
    /// What functions make.
    results: Arc<dyn MemoryPool>,
}

impl Sessions {
    pub(crate) fn new(
        memory_limit: usize,
        spill_dir: &Path,
        target_partitions: usize,
    ) -> Result<Self, Error> {
        let spill = SpillFolder::create(spill_dir).map_err(|error| {
            let folder = spill_dir.display();
            Error::internal(format!(
                "the folder for spilled data, {folder}, cannot be used: {error}"
            ))
        })?;
        let pool = TrackConsumersPool::new(FairSpillPool::new(memory_limit), NAMED_CONSUMERS);
        // Operators may hold as much of it as they may hold of anything.
        let results = memory_limit.saturating_mul(2);
        let mode = DiskManagerMode::Directories(vec![spill.path().to_owned()]);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(mode))
            .build_arc()?;
        Ok(Self {
            runtime,
            target_partitions: target_partitions.max(1),
            spill: Arc::new(spill),
            results: Arc::new(GreedyMemoryPool::new(results)),
        })
    }

    /// A session without any table, in which two-part names belong to `namespace`.
    pub(crate) fn open(&self, namespace: &NamespaceName) -> Session {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.target_partitions)
            .with_information_schema(false)
            .with_default_catalog_and_schema(namespace.as_str(), CALLS)
            .with_create_default_catalog_and_schema(false);
        let options = config.options_mut();
        options.sql_parser.collect_spans = true;
        options.sql_parser.parse_float_as_decimal = true;
        // It leaves out the group whose value is NULL.
        options.optimizer.enable_topk_aggregation = false;
        // Without a zone of the session, TIMESTAMPTZ would be a timestamp without one.
        options.execution.time_zone = Some("+00:00".to_owned());
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_default_features()
            .with_analyzer_rules(literals::analyzer_rules())
            .with_optimizer_rules(constants::optimizer_rules())
            .build();
        let context = crate::functions::bound(
            SessionContext::new_with_state(state),
            Arc::clone(&self.results),
        );
        Session {
            context,
            namespace: namespace.clone(),
            widths: HashMap::new(),
            row_bytes: 0,
            _spill: Arc::clone(&self.spill),
        }
    }
}

/// One statement's session.
pub(crate) struct Session {
    context: SessionContext,
    namespace: NamespaceName,
    /// Columns of each table, by catalog, schema and name.
    widths: HashMap<[String; 3], usize>,
    /// Bytes of one row of each of the tables together, as far as they are known.
    row_bytes: usize,
    _spill: Arc<SpillFolder>,
}

impl Session {
    pub(crate) fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Makes tables of the lake known.
    pub(crate) fn add_tables(
        &mut self,
        tables: BTreeMap<TableIdent, Arc<dyn TableProvider>>,
    ) -> Result<(), Error> {
        for (ident, table) in tables {
            // What is known is how large they are compressed. A small table is mostly metadata.
            if let Some((rows, bytes)) = extent(table.as_ref())
                && bytes > SMALL
            {
                self.add_rows(rows, bytes.saturating_mul(COMPRESSED));
            }
            self.add(
                ident.namespace.as_str(),
                ident.layer.as_str(),
                ident.name.as_str(),
                table,
            )?;
        }
        Ok(())
    }

    /// Makes the table of a call known.
    pub(crate) fn add_call(
        &mut self,
        name: &str,
        table: Arc<dyn TableProvider>,
    ) -> Result<(), Error> {
        if let Some((rows, bytes)) = extent(table.as_ref()) {
            self.add_rows(rows, bytes);
        }
        let namespace = self.namespace.clone();
        self.add(namespace.as_str(), CALLS, name, table)
    }

    /// Takes down how large the rows of a table are.
    fn add_rows(&mut self, rows: usize, bytes: usize) {
        self.row_bytes = self.row_bytes.saturating_add(bytes / rows.max(1));
    }

    fn add(
        &mut self,
        catalog: &str,
        schema: &str,
        name: &str,
        table: Arc<dyn TableProvider>,
    ) -> Result<(), Error> {
        let key = [catalog, schema, name].map(str::to_owned);
        self.widths.insert(key, table.schema().fields().len());
        let catalog = self.context.catalog(catalog).unwrap_or_else(|| {
            let new: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
            self.context.register_catalog(catalog, Arc::clone(&new));
            new
        });
        let schema = match catalog.schema(schema) {
            Some(known) => known,
            None => {
                let new: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
                catalog.register_schema(schema, Arc::clone(&new))?;
                new
            }
        };
        schema.register_table(name.to_owned(), table)?;
        Ok(())
    }

    /// Columns of the table that `name` stands for.
    fn width(&self, name: &ObjectName) -> Option<usize> {
        let part = |place: &ObjectNamePart| {
            let ident = place.as_ident()?;
            Some(match ident.quote_style {
                Some(_) => ident.value.clone(),
                None => ident.value.to_ascii_lowercase(),
            })
        };
        let parts: Vec<String> = name.0.iter().map(part).collect::<Option<_>>()?;
        let namespace = || self.namespace.to_string();
        let key = match <[String; 3]>::try_from(parts) {
            Ok(full) => full,
            Err(parts) => match <[String; 2]>::try_from(parts) {
                Ok([schema, table]) => [namespace(), schema, table],
                Err(mut parts) => [namespace(), CALLS.to_owned(), parts.pop()?],
            },
        };
        self.widths.get(&key).copied()
    }

    /// The logical plan, which only reads.
    pub(crate) async fn plan(
        &self,
        statement: Statement,
        purpose: Purpose,
    ) -> Result<LogicalPlan, Error> {
        // Once more, now that the columns of tables are known.
        statement::check_size(&statement, &|name| self.width(name))?;
        let plan = self.context.state().statement_to_plan(statement).await;
        let plan = plan.map_err(|error| match purpose {
            Purpose::Pipeline => Error::from(error).in_rendered(),
            Purpose::Query => Error::from(error),
        })?;
        statement::check_plan(&plan, purpose)?;
        match plan {
            LogicalPlan::DescribeTable(described) => describe(&described.schema),
            plan => Ok(plan),
        }
    }

    /// The plan, ready to be executed.
    pub(crate) async fn prepare(
        &mut self,
        plan: &LogicalPlan,
    ) -> Result<Arc<dyn ExecutionPlan>, Error> {
        let mut state = self.context.state();
        let plan = state.optimize(plan)?;
        let config = state.config_mut();
        // Operators put batches together until they have as many rows as they may have.
        let rows = constants::batch_rows(&plan, self.row_bytes, config.batch_size())?;
        *config = config.clone().with_batch_size(rows);
        let prepared = state
            .query_planner()
            .create_physical_plan(&plan, &state)
            .await?;
        self.context = SessionContext::new_with_state(state);
        Ok(prepared)
    }

    /// Starts a plan. Dropping the stream stops it.
    pub(crate) fn execute(
        &self,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<SendableRecordBatchStream, Error> {
        Ok(execute_stream(plan, self.context.task_ctx())?)
    }

    /// Starts a plan, as one stream per partition.
    pub(crate) fn execute_partitioned(
        &self,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<Vec<SendableRecordBatchStream>, Error> {
        Ok(execute_stream_partitioned(plan, self.context.task_ctx())?)
    }
}

/// Rows of a table and their bytes, as far as both are known.
fn extent(table: &dyn TableProvider) -> Option<(usize, usize)> {
    let known = table.statistics()?;
    let rows = known.num_rows.get_value()?;
    let bytes = known.total_byte_size.get_value()?;
    Some((*rows, *bytes))
}

/// The columns of a table as rows, their types named as everywhere else.
fn describe(schema: &Schema) -> Result<LogicalPlan, Error> {
    let column = |text: fn(&Field) -> String| -> ArrayRef {
        let texts = schema.fields().iter().map(|field| text(field));
        Arc::new(StringArray::from_iter_values(texts))
    };
    let yes_or_no = |field: &Field| if field.is_nullable() { "YES" } else { "NO" }.to_owned();
    let columns = vec![
        column(|field| field.name().clone()),
        column(|field| types::sql_name(field.data_type())),
        column(yes_or_no),
    ];
    let batch = RecordBatch::try_new(Arc::new(LogicalPlan::describe_schema()), columns)
        .map_err(|error| Error::internal(error.to_string()))?;
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
    let source = provider_as_source(Arc::new(table));
    Ok(LogicalPlanBuilder::scan("columns", source, None)?.build()?)
}

#[cfg(test)]
mod tests;
