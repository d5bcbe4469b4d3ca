//! Executing runs on threads of their own.

use std::sync::Arc;

use futures::future::BoxFuture;
use rat_engine::{Engine, RunObserver};
use rat_types::{RunOutcome, RunRequest};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// Executes one run at a time per call.
pub trait Execute: Send + Sync + 'static {
    /// Executes `request`; `None` when that broke off without an outcome.
    fn execute(
        &self,
        request: Arc<RunRequest>,
        observer: Arc<dyn RunObserver>,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Option<RunOutcome>>;
}

/// Stack of each of its threads. Parsed SQL is a tree that is walked and freed recursively, and a
/// chain of thousands of operators does not fit the usual 2 MiB. Only what is used takes memory.
const STACK: usize = 64 << 20;

/// The engine with a runtime for itself: planning and computing rows takes whole cores, and what
/// serves connections must not wait for one.
#[derive(Debug)]
pub struct EngineThreads {
    engine: Engine,
    handle: Handle,
    runtime: Option<Runtime>,
}

impl EngineThreads {
    /// One thread per processor.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn new(engine: Engine) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .thread_name("rat-engine")
            .thread_stack_size(STACK)
            .enable_all()
            .build()
            .map_err(Error::Threads)?;
        Ok(Self {
            engine,
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }
}

impl Execute for EngineThreads {
    fn execute(
        &self,
        request: Arc<RunRequest>,
        observer: Arc<dyn RunObserver>,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Option<RunOutcome>> {
        let engine = self.engine.clone();
        let task = self
            .handle
            .spawn(async move { engine.run(&request, observer.as_ref(), cancel).await });
        Box::pin(async move { task.await.ok() })
    }
}

impl Drop for EngineThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It must not be waited for here, which may be on a thread that serves.
            runtime.shutdown_background();
        }
    }
}
