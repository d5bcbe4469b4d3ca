//! The warm pool: executes runs that ratd submits over gRPC, several at a time.
//!
//! A run is known by the id that ratd gave it, and everything can be asked or told twice. Its
//! outcome is pushed to ratd as soon as it is there, and kept for a while for a ratd that was
//! away. The runner decides nothing: a run writes its own branch with its own token, and ratd
//! publishes or discards it.
//!
//! Queries run on threads of their own, so that a heavy run delays neither an answer nor the
//! health check, and a run that panics takes nothing with it. Everything is bounded: runs at a
//! time, runs that wait, lines of log, results that are kept, attempts at the callback.

mod callback;
mod error;
mod execute;
mod log;
mod once;
mod pool;
mod record;
mod service;

use std::sync::Arc;

use rat_config::Settings;
use rat_engine::{Engine, EngineConfig};
use rat_proto::runner::v1::runner_service_server::RunnerServiceServer;
use rat_service::runtime::{Failure, Process};
use rat_service::{grpc, listen};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use error::Error;
pub use execute::{EngineThreads, Execute};
pub use once::once;
pub use pool::{Pool, PoolConfig};
pub use record::{Record, Status};
pub use service::Service;

/// Name of the socket in systemd's socket unit.
const SOCKET: &str = "rat-runner";

/// Largest request: sources and a long list of landing files.
const LARGEST_REQUEST: usize = 64 << 20;

/// Serves until the process is asked to end.
///
/// # Errors
/// The address cannot be bound, or the engine cannot be set up.
pub async fn serve(settings: Settings, process: Process) -> Result<(), Failure> {
    let grace = settings.server.shutdown_timeout;
    let threads = Arc::new(EngineThreads::new(engine(&settings)?));
    let pool = Pool::new(PoolConfig::from(&settings.runner), threads);
    let listener = listen::bind(&settings.runner.address, Some(SOCKET)).await?;
    tracing::info!(address = %listener.local_address(), "taking runs");
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<RunnerServiceServer<Service>>().await;
    let service = RunnerServiceServer::new(Service::new(pool.clone()))
        .max_decoding_message_size(LARGEST_REQUEST);
    let routes = Routes::new(service).add_service(health_service);
    process.ready();
    let shutdown = process.shutdown().clone();
    let announce = async {
        shutdown.cancelled().await;
        health
            .set_not_serving::<RunnerServiceServer<Service>>()
            .await;
    };
    // ratd asks for the runs that are being waited for.
    let ended = CancellationToken::new();
    let server = grpc::serve(listener, routes, grace, ended.clone());
    let runs = async {
        pool.run(shutdown.clone()).await;
        let drained = pool.drain(settings.runner.drain_timeout);
        process.stopping("waiting for runs to end", drained).await;
        pool.stop(grace).await;
        ended.cancel();
    };
    tokio::join!(runs, server, announce);
    Ok(())
}

fn engine(settings: &Settings) -> Result<Engine, Error> {
    let runner = &settings.runner;
    Ok(Engine::new(EngineConfig {
        memory_limit: usize::try_from(runner.memory_limit.as_u64()).unwrap_or(usize::MAX),
        spill_dir: runner.temp_dir.clone().unwrap_or_else(std::env::temp_dir),
        target_partitions: std::thread::available_parallelism().map_or(1, usize::from),
        quality_test_timeout: runner.quality_test_timeout,
        run_timeout: runner.run_timeout,
    })?)
}
