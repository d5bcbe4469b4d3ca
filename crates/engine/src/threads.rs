//! Threads for one piece of work.
//!
//! Operators of a query may compute for minutes without letting go of their thread: a nested-loop
//! join whose filter drops every row is one. On threads that are shared they would keep everybody
//! else waiting, timers, cancellation and connections included. So each run and each query has
//! threads of its own, the rows of each statement are computed on others again, and the operating
//! system shares the processors out among all of them.
//!
//! Nobody waits for threads whose work was given up. What bounds their number is the [`Hold`],
//! which is let go when the last of them has really ended.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// Stack of each thread. Parsed SQL is a tree that is walked and freed recursively, and a chain of
/// thousands of operators, which machines like to write, does not fit the usual 2 MiB. Only what is
/// used takes memory.
const STACK: usize = 64 << 20;
/// Threads for file access of one piece of work.
const BLOCKING: usize = 16;

/// What is kept as long as any thread of a piece of work lives: its slot or place.
pub type Hold = Arc<dyn Any + Send + Sync>;

/// A runtime of its own. Dropping it ends its tasks as soon as they let go of their threads, and
/// does not wait for that.
pub struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    /// `count` threads, and those for file access on demand. `hold` is let go when all of them
    /// have ended.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn start(name: &str, count: usize, hold: Hold) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(count.max(1))
            .max_blocking_threads(BLOCKING)
            .thread_name(name)
            .thread_stack_size(STACK)
            // The closure lives as long as the last thread, and with it the hold.
            .on_thread_stop(move || drop(Arc::clone(&hold)))
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Runs `task` there.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.handle.spawn(task)
    }

    /// What `work` spawns, it spawns there.
    pub(crate) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.handle.enter();
        work()
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").finish_non_exhaustive()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It must not be waited for here, which may be on a thread that serves.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_hold_is_let_go_when_the_last_thread_has_really_ended() {
        let (hold, released) = (Arc::new(()), std::sync::mpsc::channel::<()>());
        let watch = Arc::downgrade(&hold);
        let threads = Threads::start("test", 2, hold).unwrap();
        let (go, wait) = released;
        let (starting, started) = tokio::sync::oneshot::channel();
        threads.spawn(async move {
            starting.send(()).unwrap();
            // A task that does not let go of its thread.
            let _ = wait.recv();
        });
        started.await.unwrap();
        drop(threads);
        assert!(watch.upgrade().is_some(), "the thread is still busy");
        drop(go);
        let gone = async {
            while watch.upgrade().is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone)
            .await
            .expect("the hold is let go");
    }
}
