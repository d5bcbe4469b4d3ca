//! ratq: read-only queries over the lake, as a gRPC service.
//!
//! It holds no credential and no state: every request brings the address of ratd's internal
//! listener and a token that is good for this query and for reading. Access is decided in the
//! catalog, by that token, and nowhere else. What a statement may do is decided by the engine on
//! its logical plan.
//!
//! Queries run on threads of their own, so that a heavy one delays neither the answers of others
//! nor the health check. Everything is bounded: queries at a time, queries that wait, time, rows,
//! memory, and the size of a message.

mod admission;
mod encode;
mod error;
mod health;
mod service;

use rat_config::Settings;
use rat_proto::query::v1::query_service_server::QueryServiceServer;
use rat_service::runtime::{Failure, Process};
use rat_service::{grpc, listen};
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;

pub use admission::{Admission, Busy, Place};
pub use encode::{Encoder, LARGEST_ROW, MESSAGE_SIZE};
pub use error::Error;
pub use health::Health;
pub use service::{Config, Service};

/// Name of the socket in systemd's socket unit.
const SOCKET: &str = "ratq";

/// Serves until the process is asked to end.
///
/// # Errors
/// The address cannot be bound, or the folder for spilled data cannot be used.
pub async fn run(settings: Settings, process: Process) -> Result<(), Failure> {
    let service = Service::new(Config::from(&settings.ratq))?;
    let listener = listen::bind(&settings.ratq.address, Some(SOCKET)).await?;
    tracing::info!(address = %listener.local_address(), "serving queries");
    let shutdown = process.shutdown().clone();
    let health = HealthServer::new(Health::new(service.clone(), shutdown.clone()));
    let routes = Routes::new(QueryServiceServer::new(service)).add_service(health);
    process.ready();
    grpc::serve(listener, routes, settings.server.shutdown_timeout, shutdown).await;
    Ok(())
}
