//! `rat.plugin.v1.PluginService`: what ratd asks of every plugin.

use rat_proto::plugin::v1::plugin_service_server::PluginService;
use rat_proto::plugin::v1::{
    ConfigureRequest, ConfigureResponse, DescribeRequest, DescribeResponse, HealthCheckRequest,
    HealthCheckResponse,
};
use rat_service::listen::Peer;
use serde_json::Value;
use tonic::{Request, Response, Status};

use crate::Plugin;
use crate::live::{Live, Outcome};

const ROOT: u32 = 0;

/// The service, over the running plugin.
pub(crate) struct Control<P> {
    pub(crate) live: Live<P>,
    pub(crate) slots: Vec<&'static str>,
    /// Users beside root and the plugin's own that may configure it.
    pub(crate) configure_from: Vec<u32>,
}

#[tonic::async_trait]
impl<P: Plugin> PluginService for Control<P> {
    async fn health_check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let health = self.live.health().await;
        Ok(Response::new(HealthCheckResponse {
            status: health.status.as_str().to_owned(),
            message: health.message,
        }))
    }

    async fn describe(
        &self,
        _: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        Ok(Response::new(DescribeResponse {
            name: P::NAME.to_owned(),
            version: P::VERSION.to_owned(),
            slots: self.slots.iter().map(|slot| (*slot).to_owned()).collect(),
            config_schema: self.live.schema().tree().to_string(),
        }))
    }

    async fn configure(
        &self,
        request: Request<ConfigureRequest>,
    ) -> Result<Response<ConfigureResponse>, Status> {
        admit(request.extensions().get::<Peer>(), &self.configure_from)?;
        let config = request.into_inner().config;
        // The parser's message would quote what may be a secret.
        let config: Value = serde_json::from_str(&config)
            .map_err(|_| Status::invalid_argument("the configuration is not JSON"))?;
        if !config.is_object() {
            return Err(Status::invalid_argument(
                "the configuration must be a JSON object",
            ));
        }
        match self.live.configure(config).await {
            Ok(Outcome::Applied) => tracing::info!("configured by ratd"),
            Ok(Outcome::Unchanged) => tracing::debug!("ratd sent the same configuration"),
            Ok(Outcome::Waiting(invalid)) | Err(invalid) => {
                let problems = invalid.in_one_line();
                tracing::warn!(problems, "ratd sent a configuration that is not valid");
                return Err(Status::invalid_argument(problems));
            }
        }
        Ok(Response::new(ConfigureResponse {}))
    }
}

/// A configuration decides whom the plugin trusts, so it is taken only from ratd's user, as the
/// kernel names it.
fn admit(peer: Option<&Peer>, others: &[u32]) -> Result<(), Status> {
    let user = match peer {
        Some(Peer::Unix(Some(credentials))) => credentials.user,
        Some(Peer::Unix(None) | Peer::Tcp(_)) | None => {
            return Err(Status::permission_denied(
                "the configuration is taken over a Unix socket only",
            ));
        }
    };
    let own = nix::unistd::geteuid().as_raw();
    if user == ROOT || user == own || others.contains(&user) {
        return Ok(());
    }
    tracing::warn!(user, "refused a configuration");
    Err(Status::permission_denied(format!(
        "user {user} may not configure this plugin (see --configure-from)"
    )))
}

#[cfg(test)]
mod tests {
    use rat_service::listen::Credentials;
    use tonic::Code;

    use super::*;

    fn unix(user: u32) -> Peer {
        Peer::Unix(Some(Credentials {
            user,
            group: 0,
            process: None,
        }))
    }

    #[test]
    fn only_root_the_own_user_and_those_that_were_named_may_configure() {
        let own = nix::unistd::geteuid().as_raw();
        let (named, other) = (own + 1, own + 2);
        for user in [ROOT, own, named] {
            assert!(admit(Some(&unix(user)), &[named]).is_ok(), "{user}");
        }
        let refused = admit(Some(&unix(other)), &[named]).unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }

    #[test]
    fn whoever_the_kernel_does_not_name_may_not_configure() {
        let tcp = Peer::Tcp(([127, 0, 0, 1], 1).into());
        for peer in [None, Some(&tcp), Some(&Peer::Unix(None))] {
            let refused = admit(peer, &[]).unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{peer:?}");
        }
    }
}
