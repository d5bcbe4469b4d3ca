//! Grants, and cloud credentials: the slots that pass a question on and an answer back.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use rat_api::{
    CloudCredentials, CredentialsRequest, GrantFilter, GrantPermission, Grantee, Holder, NewGrant,
    Resource, SlotError,
};
use rat_config::Slot;
use rat_proto::sharing::v1::sharing_service_server::{SharingService, SharingServiceServer};
use rat_proto::sharing::v1::{
    AccessGrant, ListAccessRequest, ListAccessResponse, RevokeAccessRequest, RevokeAccessResponse,
    ShareResourceRequest, ShareResourceResponse, TransferOwnershipRequest,
    TransferOwnershipResponse,
};
use rat_types::Kind;
use tonic::{Request, Response, Status};

use crate::support::plugin::{FAR, Script, Served, Services, plain};
use crate::support::{Rig, line, one, user};

pub(crate) fn server(services: &Services) -> SharingServiceServer<Services> {
    SharingServiceServer::new(services.clone())
}

#[tonic::async_trait]
impl SharingService for Services {
    async fn share_resource(
        &self,
        request: Request<ShareResourceRequest>,
    ) -> Result<Response<ShareResourceResponse>, Status> {
        self.0.asked().await?;
        let request = request.into_inner();
        let is_broken = self.0.size.load(Ordering::SeqCst) > 0;
        let grant = AccessGrant {
            grant_id: format!("{}-{}", request.grantor_id, request.owner),
            grantee_id: request.grantee_id,
            grantee_type: request.grantee_type,
            resource_type: request.resource_type,
            resource_id: request.resource_id,
            permission: if is_broken { 0 } else { request.permission },
            granted_by: request.grantor_roles.join(","),
            granted_at: None,
        };
        let grant = Some(grant);
        Ok(Response::new(ShareResourceResponse { grant }))
    }

    async fn revoke_access(
        &self,
        request: Request<RevokeAccessRequest>,
    ) -> Result<Response<RevokeAccessResponse>, Status> {
        self.0.asked().await?;
        let revoked = request.get_ref().grant_id == "1";
        Ok(Response::new(RevokeAccessResponse { revoked }))
    }

    async fn list_access(
        &self,
        request: Request<ListAccessRequest>,
    ) -> Result<Response<ListAccessResponse>, Status> {
        self.0.asked().await?;
        let request = request.into_inner();
        let grants = vec![AccessGrant {
            grant_id: "1".to_owned(),
            grantee_id: request.grantee_id,
            resource_type: request.resource_type,
            resource_id: request.resource_id,
            permission: 2,
            ..AccessGrant::default()
        }];
        // Whoever asks for nobody's gets none.
        let grants = grants
            .into_iter()
            .filter(|grant| !grant.grantee_id.is_empty());
        let grants = grants.collect();
        Ok(Response::new(ListAccessResponse { grants }))
    }

    async fn transfer_ownership(
        &self,
        request: Request<TransferOwnershipRequest>,
    ) -> Result<Response<TransferOwnershipResponse>, Status> {
        self.0.asked().await?;
        let transferred = request.get_ref().from_user_id == "ada";
        Ok(Response::new(TransferOwnershipResponse { transferred }))
    }
}

#[tokio::test]
async fn grants_go_there_and_back() {
    let rig = Rig::new().await;
    let socket = rig.socket("sharing.sock");
    let script = Script::new();
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Sharing, &socket, "")).await;
    rig.until(Slot::Sharing, Holder::Plugin).await;
    let sharing = rig.host.sharing();
    assert!(sharing.is_active());
    let ada = user("ada");
    let resource = Resource::pipeline(&"shop.gold.daily".parse().unwrap()).owned_by("ada");
    let grant = NewGrant {
        grantee: Grantee::Role("analyst".to_owned()),
        resource: resource.clone(),
        permission: GrantPermission::Write,
    };
    let given = sharing.share(&ada, &grant).await.unwrap();
    assert_eq!(given.id, "ada-ada");
    assert_eq!(given.grantee, grant.grantee);
    assert_eq!(given.permission, GrantPermission::Write);
    assert_eq!(
        (given.resource_type.as_str(), given.resource_id.as_str()),
        ("pipeline", "shop.gold.daily")
    );
    assert_eq!(given.granted_by, "analyst");
    assert_eq!(sharing.revoke(&ada, "1").await, Ok(true));
    assert_eq!(sharing.revoke(&ada, "2").await, Ok(false));
    let filter = GrantFilter {
        grantee: Some("bob".to_owned()),
        ..GrantFilter::default()
    };
    let list = sharing.list(&ada, &filter).await.unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].grantee, Grantee::User("bob".to_owned()));
    assert_eq!(sharing.transfer(&ada, &resource, "bob").await, Ok(()));
    let foreign = resource.owned_by("eve");
    let failed = sharing.transfer(&ada, &foreign, "bob").await;
    assert!(
        matches!(failed, Err(SlotError::Failed { .. })),
        "{failed:?}"
    );
    script.size.store(1, Ordering::SeqCst);
    let failed = sharing.share(&ada, &grant).await;
    assert!(
        matches!(failed, Err(SlotError::Failed { .. })),
        "{failed:?}"
    );
}

#[tokio::test]
async fn what_a_plugin_says_against_a_request_reaches_the_caller_and_its_own_faults_do_not() {
    let rig = Rig::new().await;
    let socket = rig.socket("sharing.sock");
    let script = Script::new();
    let _served = Served::unix(&socket, &script);
    rig.load(&one(Slot::Sharing, &socket, "")).await;
    rig.until(Slot::Sharing, Holder::Plugin).await;
    let sharing = rig.host.sharing();
    for (status, kind) in [
        (
            Status::invalid_argument("no \u{7}such user"),
            Kind::InvalidArgument,
        ),
        (Status::not_found("no such grant"), Kind::NotFound),
        (Status::already_exists("twice"), Kind::AlreadyExists),
        (
            Status::permission_denied("not yours"),
            Kind::PermissionDenied,
        ),
        (
            Status::resource_exhausted("enough"),
            Kind::ResourceExhausted,
        ),
    ] {
        script.fail(status.clone());
        let refused = sharing.revoke(&user("ada"), "1").await;
        let message = status.message().replace('\u{7}', " ");
        assert_eq!(refused, Err(SlotError::Refused { kind, message }));
    }
    for status in [
        Status::internal("x"),
        Status::unknown("x"),
        Status::unimplemented("x"),
    ] {
        script.fail(status);
        let failed = sharing.revoke(&user("ada"), "1").await;
        assert!(
            matches!(failed, Err(SlotError::Failed { .. })),
            "{failed:?}"
        );
    }
    script.fail(Status::unavailable("later"));
    let failed = sharing.revoke(&user("ada"), "1").await;
    assert!(
        matches!(failed, Err(SlotError::Unavailable { .. })),
        "{failed:?}"
    );
}

async fn fetch(cloud: &dyn CloudCredentials) -> Result<rat_api::Credentials, SlotError> {
    let request = CredentialsRequest {
        provider: "aws".to_owned(),
        resource: "s3://lake".to_owned(),
        namespace: "shop".parse().unwrap(),
        owner: "ada".to_owned(),
    };
    cloud.get(&user("ada"), &request).await
}

#[tokio::test]
async fn credentials_come_from_the_cloud_plugin_else_from_enforcement() {
    let rig = Rig::new().await;
    let (cloud, enforcement) = (rig.socket("cloud.sock"), rig.socket("enforcement.sock"));
    let (first, second) = (Script::new(), Script::new());
    let servers = (
        Served::unix(&cloud, &first),
        Served::unix(&enforcement, &second),
    );
    let enforcement_line = line(
        Slot::Enforcement,
        &format!("unix:{}", enforcement.display()),
        "",
    );
    let both = one(Slot::Cloud, &cloud, "") + &enforcement_line;
    rig.load(&both).await;
    rig.until(Slot::Cloud, Holder::Plugin).await;
    rig.until(Slot::Enforcement, Holder::Plugin).await;
    let slot = rig.host.cloud();
    assert!(slot.is_active());
    let credentials = fetch(&*slot).await.unwrap();
    let expected = BTreeMap::from([("AWS_ACCESS_KEY_ID", "cloud:ada:s3://lake")]);
    assert_eq!(plain(&credentials.values), expected);
    assert_eq!(credentials.expires_at.unwrap().timestamp(), FAR);
    *first.credentials.lock().unwrap() = Ok(0);
    assert_eq!(fetch(&*slot).await.unwrap().expires_at, None);
    *first.credentials.lock().unwrap() = Ok(i64::MAX);
    assert!(matches!(fetch(&*slot).await, Err(SlotError::Failed { .. })));
    // Not asked in the cloud plugin's place while that is down.
    servers.0.kill();
    rig.until(Slot::Cloud, Holder::Fallback).await;
    assert!(matches!(
        fetch(&*slot).await,
        Err(SlotError::NotAvailable { .. })
    ));
    assert_eq!(second.calls(), 0);

    rig.write(&format!("plugins:\n{enforcement_line}"));
    rat_api::Plugins::reload(&rig.host).await.unwrap();
    assert!(!slot.is_active());
    let credentials = fetch(&*slot).await.unwrap();
    assert_eq!(
        plain(&credentials.values)["AWS_ACCESS_KEY_ID"],
        "enforcement:ada:s3://lake"
    );
    assert!(slot.is_active());
    *second.credentials.lock().unwrap() = Err(Status::unimplemented("not here"));
    assert!(matches!(
        fetch(&*slot).await,
        Err(SlotError::NotAvailable { .. })
    ));
    assert!(!slot.is_active());
}
