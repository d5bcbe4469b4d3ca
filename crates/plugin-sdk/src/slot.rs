//! The five slots: a trait for plugins to implement, and gRPC over it.
//!
//! The traits take and give the messages of `proto/`, without tonic's wrappers. What the contract
//! calls optional has a default here, which is what ratd expects of a plugin without it.

use std::pin::Pin;

use futures::Stream;
use rat_proto::auth::v1::auth_service_server::AuthService;
use rat_proto::auth::v1::{
    AuthenticateRequest, AuthenticateResponse, AuthorizeRequest, AuthorizeResponse,
};
use rat_proto::cloud::v1::cloud_service_server::CloudService;
use rat_proto::enforcement::v1::enforcement_service_server::EnforcementService;
use rat_proto::enforcement::v1::{
    BatchCanAccessRequest, BatchCanAccessResponse, CanAccessRequest, CanAccessResponse,
    GetCredentialsRequest, GetCredentialsResponse,
};
use rat_proto::executor::v1::executor_service_server::ExecutorService;
use rat_proto::executor::v1::{
    CancelRequest, CancelResponse, GetRunStatusRequest, GetRunStatusResponse, ListRunsRequest,
    ListRunsResponse, StreamLogsRequest, StreamLogsResponse, SubmitRequest, SubmitResponse,
};
use rat_proto::sharing::v1::sharing_service_server::SharingService;
use rat_proto::sharing::v1::{
    ListAccessRequest, ListAccessResponse, RevokeAccessRequest, RevokeAccessResponse,
    ShareResourceRequest, ShareResourceResponse, TransferOwnershipRequest,
    TransferOwnershipResponse,
};
use tonic::{Request, Response, Status};

use crate::Plugin;
use crate::live::Live;

/// The answers of a streaming method.
pub type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn not_implemented(method: &str) -> Status {
    Status::unimplemented(format!("this plugin does not implement {method}"))
}

/// The auth slot: who is calling.
pub trait Auth: Plugin {
    /// Validates a bearer token and answers with the identity of its user.
    ///
    /// # Errors
    /// [`Status::unauthenticated`]: the token is not valid; the message is for ratd's log. Any
    /// other status but UNAVAILABLE and DEADLINE_EXCEEDED refuses the caller as well.
    fn authenticate(
        &self,
        request: AuthenticateRequest,
    ) -> impl Future<Output = Result<AuthenticateResponse, Status>> + Send;

    /// Tells whether a user has a permission of the platform itself. Without it, the role `admin`
    /// has every permission and nobody else has any.
    ///
    /// # Errors
    /// Any status refuses.
    fn authorize(
        &self,
        request: AuthorizeRequest,
    ) -> impl Future<Output = Result<AuthorizeResponse, Status>> + Send {
        let _ = request;
        async { Err(not_implemented("Authorize")) }
    }
}

/// The executor slot: where runs are executed. Every method is idempotent on the run's id.
pub trait Executor: Plugin {
    /// Takes a run and returns at once.
    ///
    /// # Errors
    /// [`Status::resource_exhausted`]: no room; ratd submits it again later.
    fn submit(
        &self,
        request: SubmitRequest,
    ) -> impl Future<Output = Result<SubmitResponse, Status>> + Send;

    /// Asks a run to stop.
    ///
    /// # Errors
    /// [`Status::not_found`]: the run is not known.
    fn cancel(
        &self,
        request: CancelRequest,
    ) -> impl Future<Output = Result<CancelResponse, Status>> + Send;

    /// The state of one run.
    ///
    /// # Errors
    /// [`Status::not_found`]: the run is not known.
    fn get_run_status(
        &self,
        request: GetRunStatusRequest,
    ) -> impl Future<Output = Result<GetRunStatusResponse, Status>> + Send;

    /// The log of one run, oldest first, followed until the run has ended. While the plugin
    /// drains, a stream that goes on is ended with UNAVAILABLE; ratd asks again with `after`.
    ///
    /// # Errors
    /// [`Status::not_found`]: the run is not known.
    fn stream_logs(
        &self,
        request: StreamLogsRequest,
    ) -> impl Future<Output = Result<ResponseStream<StreamLogsResponse>, Status>> + Send;

    /// The runs that the executor knows, newest first.
    ///
    /// # Errors
    /// Any status.
    fn list_runs(
        &self,
        request: ListRunsRequest,
    ) -> impl Future<Output = Result<ListRunsResponse, Status>> + Send;
}

/// The sharing slot: who shares what with whom.
pub trait Sharing: Plugin {
    /// Gives a user or a role access to a resource.
    ///
    /// # Errors
    /// [`Status::already_exists`]: the same grant exists.
    fn share_resource(
        &self,
        request: ShareResourceRequest,
    ) -> impl Future<Output = Result<ShareResourceResponse, Status>> + Send;

    /// Takes a grant back; a second time it answers `revoked = false`.
    ///
    /// # Errors
    /// [`Status::permission_denied`]: the user may not.
    fn revoke_access(
        &self,
        request: RevokeAccessRequest,
    ) -> impl Future<Output = Result<RevokeAccessResponse, Status>> + Send;

    /// The grants on a resource, or those of a grantee.
    ///
    /// # Errors
    /// Any status.
    fn list_access(
        &self,
        request: ListAccessRequest,
    ) -> impl Future<Output = Result<ListAccessResponse, Status>> + Send;

    /// Adapts the grants to a new owner; ratd changes the owner when this succeeds.
    ///
    /// # Errors
    /// Any status keeps the old owner.
    fn transfer_ownership(
        &self,
        request: TransferOwnershipRequest,
    ) -> impl Future<Output = Result<TransferOwnershipResponse, Status>> + Send;
}

/// The enforcement slot: who may do what.
pub trait Enforcement: Plugin {
    /// Tells whether a user may do something to a resource.
    ///
    /// # Errors
    /// Any status refuses the operation.
    fn can_access(
        &self,
        request: CanAccessRequest,
    ) -> impl Future<Output = Result<CanAccessResponse, Status>> + Send;

    /// Decides on many resources at once. Without it, [`Self::can_access`] is asked for each.
    ///
    /// # Errors
    /// Any status refuses all of them.
    fn batch_can_access(
        &self,
        request: BatchCanAccessRequest,
    ) -> impl Future<Output = Result<BatchCanAccessResponse, Status>> + Send {
        async move {
            let mut allowed = Vec::with_capacity(request.resources.len());
            for resource in request.resources {
                let one = CanAccessRequest {
                    user_id: request.user_id.clone(),
                    resource_type: resource.resource_type,
                    resource_id: resource.resource_id,
                    action: request.action.clone(),
                    roles: request.roles.clone(),
                    owner: resource.owner,
                    namespace: resource.namespace,
                };
                allowed.push(self.can_access(one).await?.allowed);
            }
            Ok(BatchCanAccessResponse { allowed })
        }
    }

    /// Credentials for a cloud resource that the user may use. Asked only where the cloud slot has
    /// no plugin.
    ///
    /// # Errors
    /// Any status refuses.
    fn get_credentials(
        &self,
        request: GetCredentialsRequest,
    ) -> impl Future<Output = Result<GetCredentialsResponse, Status>> + Send {
        let _ = request;
        async { Err(not_implemented("GetCredentials")) }
    }
}

/// The cloud slot: temporary credentials of a cloud.
pub trait Cloud: Plugin {
    /// Credentials that are good for the named resource alone.
    ///
    /// # Errors
    /// [`Status::invalid_argument`]: not a provider or resource that the plugin serves.
    /// [`Status::permission_denied`]: the user may not have them.
    fn get_credentials(
        &self,
        request: GetCredentialsRequest,
    ) -> impl Future<Output = Result<GetCredentialsResponse, Status>> + Send;
}

/// Implements tonic's trait by asking the plugin as it is configured at that moment.
macro_rules! served {
    (
        $slot:ident => $service:ident { $($method:ident($request:ty) -> $response:ty;)+ }
        $($stream:item)*
    ) => {
        #[tonic::async_trait]
        impl<P: $slot> $service for Live<P> {
            $($stream)*

            $(
                async fn $method(
                    &self,
                    request: Request<$request>,
                ) -> Result<Response<$response>, Status> {
                    let plugin = self.plugin().await?;
                    let answer = <P as $slot>::$method(&plugin, request.into_inner()).await?;
                    Ok(Response::new(answer))
                }
            )+
        }
    };
}

served! {
    Auth => AuthService {
        authenticate(AuthenticateRequest) -> AuthenticateResponse;
        authorize(AuthorizeRequest) -> AuthorizeResponse;
    }
}
served! {
    Executor => ExecutorService {
        submit(SubmitRequest) -> SubmitResponse;
        cancel(CancelRequest) -> CancelResponse;
        get_run_status(GetRunStatusRequest) -> GetRunStatusResponse;
        stream_logs(StreamLogsRequest) -> ResponseStream<StreamLogsResponse>;
        list_runs(ListRunsRequest) -> ListRunsResponse;
    }
    type StreamLogsStream = ResponseStream<StreamLogsResponse>;
}
served! {
    Sharing => SharingService {
        share_resource(ShareResourceRequest) -> ShareResourceResponse;
        revoke_access(RevokeAccessRequest) -> RevokeAccessResponse;
        list_access(ListAccessRequest) -> ListAccessResponse;
        transfer_ownership(TransferOwnershipRequest) -> TransferOwnershipResponse;
    }
}
served! {
    Enforcement => EnforcementService {
        can_access(CanAccessRequest) -> CanAccessResponse;
        batch_can_access(BatchCanAccessRequest) -> BatchCanAccessResponse;
        get_credentials(GetCredentialsRequest) -> GetCredentialsResponse;
    }
}
served! {
    Cloud => CloudService {
        get_credentials(GetCredentialsRequest) -> GetCredentialsResponse;
    }
}
