//! `grpc.health.v1`: the plugin's health in the words of gRPC.
//!
//! `healthy` and `degraded` are SERVING, `down` is NOT_SERVING.

use std::time::Duration;

use futures::stream;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::live::Live;
use crate::{HealthStatus, Plugin, ResponseStream};

/// How often a watched plugin is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The service, over the running plugin.
pub(crate) struct Standard<P> {
    pub(crate) live: Live<P>,
    /// The services that can be asked for; the empty name stands for the whole.
    pub(crate) services: Vec<&'static str>,
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl<P: Plugin> Health for Standard<P> {
    type WatchStream = ResponseStream<HealthCheckResponse>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        if !self.knows(service) {
            return Err(Status::not_found("the service is not known here"));
        }
        Ok(Response::new(answer(look(&self.live).await)))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let is_known = self.knows(&request.get_ref().service);
        let (live, shutdown) = (self.live.clone(), self.shutdown.clone());
        let changes = stream::unfold(None, move |told| {
            let (live, shutdown) = (live.clone(), shutdown.clone());
            async move {
                let news = next(&live, is_known, told);
                let status = shutdown.run_until_cancelled(news).await?;
                Some((Ok(answer(status)), Some(status)))
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

impl<P> Standard<P> {
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(&service)
    }
}

/// Waits for a status other than the one that was told.
async fn next<P: Plugin>(
    live: &Live<P>,
    is_known: bool,
    told: Option<ServingStatus>,
) -> ServingStatus {
    loop {
        let status = match is_known {
            true => look(live).await,
            false => ServingStatus::ServiceUnknown,
        };
        if told != Some(status) {
            return status;
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn look<P: Plugin>(live: &Live<P>) -> ServingStatus {
    match live.health().await.status {
        HealthStatus::Healthy | HealthStatus::Degraded => ServingStatus::Serving,
        HealthStatus::Down => ServingStatus::NotServing,
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
