//! Work that takes the processor for longer than a moment.

use crate::fault::Fault;

/// Runs `work` off the threads that serve.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Fault::internal("work on a blocking thread failed", &error))
}
