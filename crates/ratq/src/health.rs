//! The health check, in the words of the gRPC health protocol.
//!
//! A process that answers may still execute nothing, so what is asked is what a query would find:
//! a statement is planned and executed on threads of its own and its rows are taken, all without a
//! place among the queries, because a service that is busy is healthy. One whose places are all
//! held by queries that should have ended long ago is not.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use rat_proto::query::v1::query_service_server::SERVICE_NAME;
use rat_service::ErrorChain;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::Service;

/// How long the statement may take: ratd waits for two seconds.
const LIMIT: Duration = Duration::from_millis(1500);

/// The health check of a [`Service`].
#[derive(Debug, Clone)]
pub struct Health {
    service: Service,
    shutdown: CancellationToken,
}

impl Health {
    /// That of `service`, which is not well any more once `shutdown` is cancelled.
    pub fn new(service: Service, shutdown: CancellationToken) -> Self {
        Self { service, shutdown }
    }

    async fn status(&self) -> ServingStatus {
        if self.shutdown.is_cancelled() {
            return ServingStatus::NotServing;
        }
        match timeout(LIMIT, self.service.probe()).await {
            Ok(Ok(())) => ServingStatus::Serving,
            Ok(Err(error)) => {
                tracing::warn!(error = %ErrorChain(&error), "no query can be executed");
                ServingStatus::NotServing
            }
            Err(_) => {
                tracing::warn!("the simplest query takes too long");
                ServingStatus::NotServing
            }
        }
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        if !service.is_empty() && service != SERVICE_NAME {
            return Err(Status::not_found("there is no such service"));
        }
        let status = self.status().await.into();
        Ok(Response::new(HealthCheckResponse { status }))
    }

    /// Clients of the protocol ask from time to time where this is not offered.
    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("ask with Check"))
    }
}
