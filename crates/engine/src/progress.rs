//! Telling how far a long query has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use rat_types::LogLevel;
use tokio::time::{Instant, interval_at};

use crate::observe::RunObserver;

/// Short enough to see that it goes on, long enough for a log that people read.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts the rows that pass through a query's streams.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// The same streams, counted.
    pub(crate) fn count(
        &self,
        streams: Vec<SendableRecordBatchStream>,
    ) -> Vec<SendableRecordBatchStream> {
        streams
            .into_iter()
            .map(|stream| self.count_one(stream))
            .collect()
    }

    fn count_one(&self, stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let (schema, rows) = (stream.schema(), Arc::clone(&self.0));
        let counted = stream.inspect(move |batch| {
            if let Ok(batch) = batch {
                rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, counted))
    }

    /// Drives `work` and says from time to time how many rows have passed.
    pub(crate) async fn report<T>(
        &self,
        observer: &dyn RunObserver,
        work: impl Future<Output = T>,
    ) -> T {
        let mut ticks = interval_at(Instant::now() + INTERVAL, INTERVAL);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = ticks.tick() => {
                    let rows = self.0.load(Ordering::Relaxed);
                    observer.log(LogLevel::Info, format!("{rows} rows so far"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};

    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl RunObserver for Lines {
        fn phase(&self, _name: &'static str) {}

        fn log(&self, _level: LogLevel, message: String) {
            self.0.lock().unwrap().push(message);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_query_is_heard_of_and_a_short_one_is_not() {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..5));
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let rows = futures::stream::iter([Ok(batch.clone()), Ok(batch.clone())]);
        let stream = RecordBatchStreamAdapter::new(batch.schema(), rows);
        let (progress, lines) = (Progress::default(), Lines::default());
        let mut streams = progress.count(vec![Box::pin(stream)]);
        let work = async {
            for stream in &mut streams {
                while stream.next().await.is_some() {}
            }
        };
        progress.report(&lines, work).await;
        assert_eq!(*lines.0.lock().unwrap(), Vec::<String>::new());
        progress
            .report(&lines, tokio::time::sleep(2 * INTERVAL + INTERVAL / 2))
            .await;
        assert_eq!(
            *lines.0.lock().unwrap(),
            ["10 rows so far", "10 rows so far"]
        );
    }
}
