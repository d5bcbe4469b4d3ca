//! Where the rows of one statement are computed.
//!
//! Whoever reads them, with a deadline to keep and a catalog to talk to, is on other threads and
//! is never kept from running by an operator. One batch per stream is on its way between the two.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::common::utils::memory::get_record_batch_memory_size;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::Error;
use crate::panic::Panic;
use crate::session::Session;
use crate::stop::Stop;
use crate::threads::{Hold, Threads};
use crate::unnest;

/// Batches that wait for the reader of a stream.
const BUFFERED: usize = 1;

/// Threads of one statement. Dropping them stops it.
struct Workers {
    stop: Stop,
    threads: Threads,
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.set();
    }
}

/// One stream per partition, or one stream in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    Partitioned,
    Merged,
}

/// Starts `plan` on threads of its own, which keep `hold`. Dropping the streams stops it.
pub(crate) fn execute(
    session: &Session,
    plan: Arc<dyn ExecutionPlan>,
    streams: Streams,
    hold: Hold,
) -> Result<Vec<SendableRecordBatchStream>, Error> {
    let state = session.context().state();
    let count = state.config().target_partitions();
    let threads = Threads::start("rat-rows", count, hold)
        .map_err(|error| Error::internal(format!("failed to start threads: {error}")))?;
    let stop = Stop::default();
    let plan = unnest::in_parts(stop.watched_by(plan)?)?;
    let workers = Arc::new(Workers { stop, threads });
    // Some operators spawn as soon as they are started.
    let started = workers.threads.within(|| match streams {
        Streams::Partitioned => session.execute_partitioned(plan),
        Streams::Merged => session.execute(plan).map(|stream| vec![stream]),
    })?;
    let limit = match state.runtime_env().memory_pool.memory_limit() {
        datafusion::execution::memory_pool::MemoryLimit::Finite(limit) => limit,
        _ => usize::MAX,
    };
    Ok(started
        .into_iter()
        .map(|stream| read(&workers, stream, limit))
        .collect())
}

/// What a reader hears. A stream that just falls silent has broken off.
enum Message {
    Batch(RecordBatch),
    Failed(DataFusionError),
    End,
}

struct Reader {
    messages: mpsc::Receiver<Message>,
    task: JoinHandle<()>,
    _workers: Arc<Workers>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reader {
    async fn next(mut self) -> Option<(Result<RecordBatch, DataFusionError>, Option<Self>)> {
        match self.messages.recv().await {
            Some(Message::Batch(batch)) => Some((Ok(batch), Some(self))),
            Some(Message::Failed(error)) => Some((Err(error), None)),
            Some(Message::End) => None,
            None => {
                let text = "the threads of the statement have ended".to_owned();
                Some((Err(DataFusionError::External(text.into())), None))
            }
        }
    }
}

/// The rows of `stream`, computed by `workers`.
fn read(
    workers: &Arc<Workers>,
    stream: SendableRecordBatchStream,
    limit: usize,
) -> SendableRecordBatchStream {
    let schema = stream.schema();
    let (sender, messages) = mpsc::channel(BUFFERED);
    let reader = Reader {
        messages,
        task: workers.threads.spawn(compute(stream, sender, limit)),
        _workers: Arc::clone(workers),
    };
    let rows = futures::stream::unfold(Some(reader), |reader| async move { reader?.next().await });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

async fn compute(
    mut stream: SendableRecordBatchStream,
    sender: mpsc::Sender<Message>,
    limit: usize,
) {
    loop {
        let next = AssertUnwindSafe(stream.next()).catch_unwind().await;
        let message = match next {
            Ok(Some(Ok(batch))) => checked(batch, limit),
            Ok(Some(Err(error))) => Message::Failed(error),
            Ok(None) => Message::End,
            Err(panic) => Message::Failed(DataFusionError::External(Box::new(Panic::of(&*panic)))),
        };
        let is_last = !matches!(message, Message::Batch(_));
        if is_last {
            // Whoever reads the end may rely on everything having been let go.
            drop(stream);
            let _ = sender.send(message).await;
            return;
        }
        if sender.send(message).await.is_err() {
            return;
        }
    }
}

/// Batches on their way are nobody's working memory; at least a single one must not be larger than
/// all of it.
fn checked(batch: RecordBatch, limit: usize) -> Message {
    let bytes = get_record_batch_memory_size(&batch);
    if bytes <= limit {
        return Message::Batch(batch);
    }
    let rows = batch.num_rows();
    Message::Failed(DataFusionError::ResourcesExhausted(format!(
        "{rows} rows of the result take {bytes} bytes at once, and {limit} are allowed"
    )))
}
