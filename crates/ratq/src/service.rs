//! `QueryService`: checks the request, waits for a place, executes, streams the result.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use rat_engine::{Hold, Query, QueryConfig, QueryStream, ReadOnlySession, Threads};
use rat_proto::query::v1::query_service_server::QueryService;
use rat_proto::query::v1::{ExecuteQueryRequest, ExecuteQueryResponse};
use rat_service::ErrorChain;
use rat_types::{Kind, Secret};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::{Admission, Encoder, Error};

/// Characters of SQL that a request may have.
const LONGEST_SQL: usize = 100_000;
/// Messages that wait for a slow caller; together with their size this bounds its memory.
const BUFFERED: usize = 2;

/// Threads of a query besides those that compute its rows: they plan, and encode what is sent.
const ORGANIZERS: usize = 1;

/// Limits.
#[derive(Debug, Clone)]
pub struct Config {
    /// Time that a query may take, from its place to its last row.
    pub timeout: Duration,
    /// Rows of a result.
    pub max_rows: u64,
    /// Bytes of working memory of all queries together.
    pub memory_limit: usize,
    /// Queries at a time.
    pub concurrent_queries: usize,
    /// Partitions in which a query is executed.
    pub partitions: usize,
    /// Folder for spilled data.
    pub spill_dir: PathBuf,
}

impl From<&rat_config::Ratq> for Config {
    fn from(settings: &rat_config::Ratq) -> Self {
        let concurrent = usize::try_from(settings.concurrent_queries.get());
        Self {
            timeout: settings.timeout,
            max_rows: settings.max_rows,
            memory_limit: usize::try_from(settings.memory_limit.as_u64()).unwrap_or(usize::MAX),
            concurrent_queries: concurrent.unwrap_or(usize::MAX),
            partitions: std::thread::available_parallelism().map_or(1, usize::from),
            spill_dir: std::env::temp_dir(),
        }
    }
}

/// The service. Clones share session and limits.
#[derive(Debug, Clone)]
pub struct Service {
    session: ReadOnlySession,
    admission: Admission,
    /// One health check at a time, until its last thread has ended.
    probing: Arc<Semaphore>,
    timeout: Duration,
}

impl Service {
    /// A service with these limits.
    ///
    /// # Errors
    /// The folder for spilled data cannot be used.
    pub fn new(config: Config) -> Result<Self, Error> {
        let session = ReadOnlySession::new(QueryConfig {
            memory_limit: config.memory_limit,
            spill_dir: config.spill_dir,
            target_partitions: config.partitions,
            max_rows: config.max_rows,
            timeout: config.timeout,
        })?;
        Ok(Self {
            session,
            admission: Admission::new(config.concurrent_queries, config.timeout),
            probing: Arc::new(Semaphore::new(1)),
            timeout: config.timeout,
        })
    }

    /// Executes the simplest query as any other, but without a place.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        if self.admission.is_stuck() {
            return Err(Error::Stuck);
        }
        let turn = Arc::clone(&self.probing).acquire_owned().await;
        let hold: Hold = Arc::new(turn.map_err(|_| Error::Broken)?);
        let session = self.session.holding(Arc::clone(&hold));
        let threads = Threads::start("rat-probe", ORGANIZERS, hold).map_err(Error::Threads)?;
        let query = check(ExecuteQueryRequest {
            sql: "SELECT 1".to_owned(),
            namespace: "default".to_owned(),
            limit: 1,
            // Never asked: the statement reads no table.
            control_plane: "http://127.0.0.1:1".to_owned(),
            token: "none".to_owned(),
        })?;
        let rows = threads.spawn(async move {
            let mut stream = session.execute(query).await?;
            while let Some(batch) = stream.next().await {
                batch?;
            }
            Ok(())
        });
        AbortOnDropHandle::new(rows)
            .await
            .unwrap_or(Err(Error::Broken))
    }

    async fn start(&self, request: ExecuteQueryRequest) -> Result<Answer, Error> {
        let query = check(request)?;
        // Kept by the query's threads, which may end later than the query.
        let place: Hold = Arc::new(self.admission.enter().await?);
        let deadline = Instant::now() + self.timeout;
        let session = self.session.holding(Arc::clone(&place));
        let threads = Threads::start("rat-query", ORGANIZERS, place).map_err(Error::Threads)?;
        let span = tracing::Span::current();
        let plan = async move { session.execute(query).await }.instrument(span.clone());
        let timeout = Error::Timeout {
            limit: self.timeout,
        };
        let stream = match tokio::time::timeout_at(deadline, threads.spawn(plan)).await {
            Ok(Ok(planned)) => planned?,
            Ok(Err(_)) => return Err(Error::Broken),
            Err(_) => return Err(timeout),
        };
        let (sender, messages) = mpsc::channel(BUFFERED);
        let (outcome, ended) = oneshot::channel();
        // On a thread that serves: those of the query may be too busy to look at the time.
        let watch = tokio::spawn(async move {
            let pump = threads.spawn(pump(stream, sender).instrument(span));
            let sent = match tokio::time::timeout_at(deadline, pump).await {
                Ok(sent) => sent.unwrap_or(Err(Error::Broken)),
                Err(_) => Err(timeout),
            };
            drop(threads);
            // Nobody listens any more where the caller went away.
            let _ = outcome.send(sent);
        });
        Ok(Answer {
            messages,
            ended: Some(ended),
            _watch: AbortOnDropHandle::new(watch),
        })
    }
}

#[tonic::async_trait]
impl QueryService for Service {
    type ExecuteQueryStream = Answer;

    async fn execute_query(
        &self,
        request: Request<ExecuteQueryRequest>,
    ) -> Result<Response<Answer>, Status> {
        let request = request.into_inner();
        let span = tracing::info_span!("query", namespace = %request.namespace.escape_debug());
        match self.start(request).instrument(span.clone()).await {
            Ok(answer) => Ok(Response::new(answer)),
            Err(error) => Err(span.in_scope(|| refuse(error))),
        }
    }
}

/// The query in a request.
fn check(request: ExecuteQueryRequest) -> Result<Query, Error> {
    let ExecuteQueryRequest {
        sql,
        namespace,
        limit,
        control_plane,
        token,
    } = request;
    if sql.trim().is_empty() {
        return Err(Error::NoSql);
    }
    let characters = sql.chars().count();
    if characters > LONGEST_SQL {
        return Err(Error::SqlTooLong {
            characters,
            limit: LONGEST_SQL,
        });
    }
    let namespace = namespace.parse()?;
    for (field, value) in [("control_plane", &control_plane), ("token", &token)] {
        if value.is_empty() {
            return Err(Error::Missing { field });
        }
    }
    let limit = Some(limit).filter(|limit| *limit > 0);
    Ok(Query {
        sql,
        namespace,
        limit,
        control_plane,
        token: Secret::new(token),
    })
}

/// Executes and sends.
async fn pump(
    mut stream: QueryStream,
    sender: mpsc::Sender<ExecuteQueryResponse>,
) -> Result<(), Error> {
    let send = async |arrow_ipc: Vec<u8>, truncated: bool| {
        sender
            .send(ExecuteQueryResponse {
                arrow_ipc,
                truncated,
            })
            .await
            .map_err(|_| Error::Broken)
    };
    let (mut encoder, head) = Encoder::new(&stream.schema())?;
    send(head, false).await?;
    let mut is_empty = true;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        is_empty = false;
        for piece in encoder.batch(&batch)? {
            send(piece, false).await?;
        }
    }
    if is_empty {
        let piece = encoder.no_rows()?;
        send(piece, false).await?;
    }
    send(encoder.finish()?, stream.truncated()).await
}

/// The status for an error, which is logged where the caller cannot mend it.
fn refuse(error: Error) -> Status {
    let chain = ErrorChain(&error);
    match error.kind() {
        Kind::Internal => tracing::error!(error = %chain, "a query failed"),
        Kind::Unavailable | Kind::Upstream => tracing::warn!(error = %chain, "a query failed"),
        _ => tracing::debug!(error = %chain, "a query was refused"),
    }
    error.into()
}

/// The messages of one query. Dropping it, as tonic does when the caller goes away, stops the
/// query.
#[derive(Debug)]
pub struct Answer {
    messages: mpsc::Receiver<ExecuteQueryResponse>,
    ended: Option<oneshot::Receiver<Result<(), Error>>>,
    _watch: AbortOnDropHandle<()>,
}

impl Stream for Answer {
    type Item = Result<ExecuteQueryResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // An error is told at once: who produces messages may not be there to end them.
        if let Some(ended) = self.ended.as_mut()
            && let Poll::Ready(ended) = Pin::new(ended).poll(cx)
        {
            self.ended = None;
            if let Err(error) = ended.unwrap_or(Err(Error::Broken)) {
                self.messages.close();
                while self.messages.try_recv().is_ok() {}
                return Poll::Ready(Some(Err(refuse(error))));
            }
        }
        match self.messages.poll_recv(cx) {
            // All have been sent; whether all is well is still to be heard.
            Poll::Ready(None) if self.ended.is_some() => Poll::Pending,
            polled => polled.map(|message| message.map(Ok)),
        }
    }
}
