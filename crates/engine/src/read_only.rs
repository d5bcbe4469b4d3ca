//! Read-only queries over the lake, as ratq serves them.
//!
//! Whether a statement only reads is decided on its logical plan, not on its text.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};
use rat_types::{NamespaceName, Secret, TableIdent};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::lake::LakeTables;
use crate::limits::Limits;
use crate::panic::Panic;
use crate::session::Sessions;
use crate::statement::{self, Purpose, ShowTables};
use crate::tables::{Pinned, Tables, ident_of, pin};
use crate::threads::Hold;
use crate::workers::{self, Streams};

/// Limits of read-only queries.
#[derive(Debug, Clone)]
pub struct QueryConfig {
    /// Bytes of working memory that all queries together may use before they spill or fail.
    pub memory_limit: usize,
    /// Folder for spilled data.
    pub spill_dir: PathBuf,
    /// Partitions that one query is executed in; one per core is right.
    pub target_partitions: usize,
    /// Rows after which a result is cut, whatever the caller asks for.
    pub max_rows: u64,
    /// Time that one query may take, from planning to its last row.
    pub timeout: Duration,
}

/// One query.
#[derive(Debug, Clone)]
pub struct Query {
    /// One SQL statement.
    pub sql: String,
    /// Namespace in which two-part names are looked up.
    pub namespace: NamespaceName,
    /// Rows after which the result is cut; `None` and anything above the configured maximum mean
    /// that maximum.
    pub limit: Option<u64>,
    /// ratd's internal listener: `unix:/path` or `http://host:port`.
    pub control_plane: String,
    /// Bearer token for the catalog, good for this query.
    pub token: Secret,
}

/// Executes read-only queries; cheap to clone, and all clones share the memory limit.
#[derive(Clone)]
pub struct ReadOnlySession {
    sessions: Sessions,
    max_rows: u64,
    timeout: Duration,
    hold: Hold,
}

impl fmt::Debug for ReadOnlySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnlySession")
            .field("max_rows", &self.max_rows)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl ReadOnlySession {
    /// A session with `config`.
    ///
    /// # Errors
    /// The folder for spilled data cannot be used.
    pub fn new(config: QueryConfig) -> Result<Self, Error> {
        let QueryConfig {
            memory_limit,
            spill_dir,
            target_partitions,
            max_rows,
            timeout,
        } = config;
        let sessions = Sessions::new(memory_limit, &spill_dir, target_partitions)?;
        Ok(Self {
            sessions,
            max_rows,
            timeout,
            hold: Arc::new(()),
        })
    }

    /// The same session, whose queries keep `hold` until their last thread has ended.
    #[must_use]
    pub fn holding(&self, hold: Hold) -> Self {
        Self {
            hold,
            ..self.clone()
        }
    }

    /// Plans and starts `query`. Dropping the future or the stream stops it.
    ///
    /// # Errors
    /// The statement is not valid, not read-only or names a table that does not exist; the
    /// catalog does not answer; the time limit passes while planning.
    pub async fn execute(&self, query: Query) -> Result<QueryStream, Error> {
        let tables = LakeTables::connect(&query.control_plane, &query.token)?;
        let rows = query
            .limit
            .map_or(self.max_rows, |limit| limit.min(self.max_rows));
        self.start(&query.sql, &query.namespace, rows, &tables)
            .await
    }

    async fn start(
        &self,
        sql: &str,
        namespace: &NamespaceName,
        max_rows: u64,
        tables: &dyn Tables,
    ) -> Result<QueryStream, Error> {
        let limits = Limits::new(CancellationToken::new(), "the query", self.timeout);
        let planning = limits.within(self.plan(sql, namespace, max_rows, tables));
        // Constants are computed while a statement is planned.
        let batches = match AssertUnwindSafe(planning).catch_unwind().await {
            Ok(planned) => planned?,
            Err(panic) => return Err(Panic::of(&*panic).into()),
        };
        let truncated = Arc::new(AtomicBool::new(false));
        let schema = batches.schema();
        let cut = Cut {
            batches,
            left: max_rows,
            truncated: Arc::clone(&truncated),
            limits,
        };
        let batches = futures::stream::try_unfold(cut, Cut::next).boxed();
        Ok(QueryStream {
            schema,
            batches,
            truncated,
        })
    }

    async fn plan(
        &self,
        sql: &str,
        namespace: &NamespaceName,
        max_rows: u64,
        tables: &dyn Tables,
    ) -> Result<SendableRecordBatchStream, Error> {
        if let Some(asked) = statement::show_tables(sql) {
            return names(&list(tables, asked).await?);
        }
        let parsed = statement::parse(sql, Purpose::Query)?;
        let mut wanted = BTreeSet::new();
        for reference in &parsed.tables {
            wanted.insert(ident_of(reference, namespace)?);
        }
        let mut pinned = Pinned::new();
        pin(tables, namespace, &wanted, &mut pinned).await?;
        let mut session = self.sessions.open(namespace);
        session.add_tables(pinned)?;
        let mut plan = session.plan(parsed.statement, Purpose::Query).await?;
        let is_rows = !matches!(
            plan,
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
        );
        if is_rows {
            // One row more than wanted tells whether there are more.
            // A plan counts rows as an SQL number.
            let fetch = max_rows.saturating_add(1).min(i64::MAX.unsigned_abs());
            let fetch = usize::try_from(fetch).unwrap_or(usize::MAX);
            plan = LogicalPlanBuilder::from(plan)
                .limit(0, Some(fetch))?
                .build()?;
        }
        let plan = session.prepare(&plan).await?;
        let schema = plan.schema();
        let hold = Arc::clone(&self.hold);
        let streams = workers::execute(&session, plan, Streams::Merged, hold)?;
        let rows = futures::stream::iter(streams).flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// The tables that somebody asks for, sorted by name.
async fn list(tables: &dyn Tables, asked: ShowTables) -> Result<Vec<TableIdent>, Error> {
    let namespaces = match asked {
        ShowTables::All => tables.namespaces().await?,
        ShowTables::Of(namespace) => vec![namespace],
    };
    let mut names = Vec::new();
    for namespace in &namespaces {
        names.extend(tables.names(namespace).await);
    }
    names.sort();
    Ok(names)
}

/// The names of tables as rows.
fn names(tables: &[TableIdent]) -> Result<SendableRecordBatchStream, Error> {
    let column = |part: fn(&TableIdent) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(tables.iter().map(part)))
    };
    let batch = RecordBatch::try_from_iter([
        ("namespace", column(|table| table.namespace.as_str())),
        ("layer", column(|table| table.layer.as_str())),
        ("name", column(|table| table.name.as_str())),
    ])
    .map_err(|error| Error::internal(error.to_string()))?;
    let schema = batch.schema();
    Ok(Box::pin(MemoryStream::try_new(vec![batch], schema, None)?))
}

/// A result on its way out.
struct Cut {
    batches: SendableRecordBatchStream,
    /// Rows that may still be sent.
    left: u64,
    truncated: Arc<AtomicBool>,
    limits: Limits,
}

impl Cut {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>, Error> {
        let next = async { Ok(self.batches.next().await.transpose()?) };
        let Some(batch) = self.limits.within(next).await? else {
            return Ok(None);
        };
        let rows = batch.num_rows() as u64;
        if rows <= self.left {
            self.left -= rows;
            return Ok(Some((batch, self)));
        }
        self.truncated.store(true, Ordering::Release);
        if self.left == 0 {
            return Ok(None);
        }
        let batch = batch.slice(0, usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left = 0;
        Ok(Some((batch, self)))
    }
}

/// Record batches of a query's result, all of [`QueryStream::schema`].
pub struct QueryStream {
    schema: SchemaRef,
    batches: BoxStream<'static, Result<RecordBatch, Error>>,
    truncated: Arc<AtomicBool>,
}

impl QueryStream {
    /// Columns of the result.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Whether rows beyond the limit were cut. Known once the stream has ended.
    pub fn truncated(&self) -> bool {
        self.truncated.load(Ordering::Acquire)
    }
}

impl Stream for QueryStream {
    type Item = Result<RecordBatch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.as_mut().poll_next(cx)
    }
}

#[cfg(test)]
mod tests;
