//! Read-only queries over the lake, as ratq serves them.
//!
//! Whether a statement only reads is decided on its logical plan, not on its text.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::Stream;
use futures::stream::BoxStream;
use rat_types::{NamespaceName, Secret};

use crate::Error;

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
#[derive(Debug, Clone)]
pub struct ReadOnlySession {
    config: QueryConfig,
}

impl ReadOnlySession {
    /// A session with `config`.
    ///
    /// # Errors
    /// The folder for spilled data cannot be used.
    pub fn new(config: QueryConfig) -> Result<Self, Error> {
        Ok(Self { config })
    }

    /// Plans and starts `query`. Dropping the stream stops it.
    ///
    /// # Errors
    /// The statement is not valid, not read-only or names a table that does not exist; the
    /// catalog does not answer; the time limit passes while planning.
    pub async fn execute(&self, query: Query) -> Result<QueryStream, Error> {
        let _ = (&self.config, query);
        Err(Error::Unavailable(
            "the query engine is not wired up yet".to_owned(),
        ))
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
