//! Threads for queries, apart from those that serve connections.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{AbortHandle, JoinHandle};

/// Stack of each thread. Parsed SQL is a tree that is walked and freed recursively, and a chain of
/// thousands of operators, which machines like to write, does not fit the usual 2 MiB. Only what is
/// used takes memory.
const STACK: usize = 64 << 20;

/// A runtime of its own.
#[derive(Debug)]
pub(crate) struct Pool {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Pool {
    /// One thread per processor.
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("ratq-query")
            .thread_stack_size(STACK)
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Runs `task` there; dropping the answer stops it.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        let task = self.handle.spawn(task);
        Task {
            stop: StopOnDrop(task.abort_handle()),
            task,
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It must not be waited for here, which may be on a thread that serves.
            runtime.shutdown_background();
        }
    }
}

/// Stops a task when dropped; a task that has ended does not mind.
#[derive(Debug)]
pub(crate) struct StopOnDrop(AbortHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A task of the pool.
#[derive(Debug)]
pub(crate) struct Task<T> {
    stop: StopOnDrop,
    task: JoinHandle<T>,
}

impl<T> Task<T> {
    /// Waits for it. `None`: it panicked, or the pool is going down.
    pub(crate) async fn join(self) -> Option<T> {
        let Self { stop, task } = self;
        let answer = task.await.ok();
        drop(stop);
        answer
    }

    /// Lets it run until the answer is dropped.
    pub(crate) fn keep(self) -> StopOnDrop {
        self.stop
    }
}
