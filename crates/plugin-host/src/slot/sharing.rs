//! The sharing slot: who gave access to whom.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use rat_api::{
    Grant, GrantFilter, GrantPermission, Grantee, Holder, NewGrant, NoSharing, Resource, Sharing,
    SlotError,
};
use rat_config::Slot;
use rat_proto::sharing::v1::{
    AccessGrant, GranteeType, ListAccessRequest, ListAccessResponse, Permission,
    RevokeAccessRequest, RevokeAccessResponse, ShareResourceRequest, ShareResourceResponse,
    TransferOwnershipRequest, TransferOwnershipResponse,
};
use rat_types::Identity;

use super::{Cell, slot_error};
use crate::call::CallError;
use crate::method::{LIST_ACCESS, REVOKE, SHARE, TRANSFER};
use crate::plugin::Plugin;
use crate::text::printable;

/// Grants that a plugin may answer with.
const MOST: usize = 10_000;

#[derive(Debug)]
pub(crate) struct SharingSlot {
    cell: Arc<Cell>,
}

impl SharingSlot {
    pub(crate) fn new(cell: Arc<Cell>) -> Self {
        Self { cell }
    }

    /// The plugin; `None` where the built-in answers.
    async fn plugin(&self) -> Result<Option<Arc<Plugin>>, SlotError> {
        let standing = self.cell.settled().await;
        match (standing.holder, &standing.plugin) {
            (Holder::Plugin, Some(plugin)) => Ok(Some(Arc::clone(plugin))),
            (Holder::Denied | Holder::Held, _) => Err(SlotError::Unavailable {
                slot: Slot::Sharing.as_str(),
                message: standing.message.clone(),
            }),
            (Holder::Builtin | Holder::Fallback, _) | (Holder::Plugin, None) => Ok(None),
        }
    }

    async fn give(&self, grantor: &Identity, grant: &NewGrant) -> Result<Grant, SlotError> {
        let Some(plugin) = self.plugin().await? else {
            return NoSharing.share(grantor, grant).await;
        };
        let (grantee_id, grantee_type) = grantee(&grant.grantee);
        let request = ShareResourceRequest {
            grantor_id: grantor.user_id.clone(),
            grantee_id,
            resource_type: grant.resource.kind.as_str().to_owned(),
            resource_id: grant.resource.id.clone(),
            permission: permission(grant.permission).into(),
            grantee_type: grantee_type.into(),
            grantor_roles: grantor.roles.clone(),
            owner: grant.resource.owner.clone(),
        };
        let answer = plugin.call::<ShareResourceResponse>(SHARE, &request).await;
        let answer = answer.map_err(|error| failed(&error))?;
        let given = answer.grant.ok_or("it answers without the grant");
        given.and_then(read).map_err(|rule| nonsense(&plugin, rule))
    }

    async fn take(&self, revoker: &Identity, id: &str) -> Result<bool, SlotError> {
        let Some(plugin) = self.plugin().await? else {
            return NoSharing.revoke(revoker, id).await;
        };
        let request = RevokeAccessRequest {
            grant_id: id.to_owned(),
            revoked_by: revoker.user_id.clone(),
            revoker_roles: revoker.roles.clone(),
        };
        let answer = plugin.call::<RevokeAccessResponse>(REVOKE, &request).await;
        answer
            .map(|answer| answer.revoked)
            .map_err(|error| failed(&error))
    }

    async fn show(&self, caller: &Identity, filter: &GrantFilter) -> Result<Vec<Grant>, SlotError> {
        let Some(plugin) = self.plugin().await? else {
            return NoSharing.list(caller, filter).await;
        };
        let (resource_type, resource_id) = filter.resource.clone().unwrap_or_default();
        let request = ListAccessRequest {
            resource_type,
            resource_id,
            grantee_id: filter.grantee.clone().unwrap_or_default(),
            user_id: caller.user_id.clone(),
            roles: caller.roles.clone(),
            grant_id: filter.id.clone().unwrap_or_default(),
        };
        let answer = plugin.call::<ListAccessResponse>(LIST_ACCESS, &request);
        let grants = answer.await.map_err(|error| failed(&error))?.grants;
        if grants.len() > MOST {
            return Err(nonsense(&plugin, "it answers with more than 10,000 grants"));
        }
        let grants: Result<_, _> = grants.into_iter().map(read).collect();
        grants.map_err(|rule| nonsense(&plugin, rule))
    }

    async fn give_away(
        &self,
        caller: &Identity,
        resource: &Resource,
        to: &str,
    ) -> Result<(), SlotError> {
        let Some(plugin) = self.plugin().await? else {
            return NoSharing.transfer(caller, resource, to).await;
        };
        let request = TransferOwnershipRequest {
            resource_type: resource.kind.as_str().to_owned(),
            resource_id: resource.id.clone(),
            from_user_id: resource.owner.clone(),
            to_user_id: to.to_owned(),
            requested_by: caller.user_id.clone(),
            requester_roles: caller.roles.clone(),
        };
        let answer = plugin.call::<TransferOwnershipResponse>(TRANSFER, &request);
        match answer.await.map_err(|error| failed(&error))?.transferred {
            true => Ok(()),
            false => Err(nonsense(&plugin, "it says neither yes nor why not")),
        }
    }
}

fn failed(error: &CallError) -> SlotError {
    slot_error(Slot::Sharing, error)
}

/// The plugin answered what its contract does not allow.
fn nonsense(plugin: &Plugin, rule: &str) -> SlotError {
    let message = format!("{}: {rule}", plugin.who);
    tracing::error!(target: "rat::plugins", detail = message, "the answer breaks the contract");
    SlotError::Failed {
        slot: Slot::Sharing.as_str(),
        message,
    }
}

fn grantee(grantee: &Grantee) -> (String, GranteeType) {
    match grantee {
        Grantee::User(user) => (user.clone(), GranteeType::User),
        Grantee::Role(role) => (role.clone(), GranteeType::Role),
    }
}

fn permission(permission: GrantPermission) -> Permission {
    match permission {
        GrantPermission::Read => Permission::Read,
        GrantPermission::Write => Permission::Write,
        GrantPermission::Admin => Permission::Admin,
    }
}

fn read(grant: AccessGrant) -> Result<Grant, &'static str> {
    let permission = match grant.permission() {
        Permission::Read => GrantPermission::Read,
        Permission::Write => GrantPermission::Write,
        Permission::Admin => GrantPermission::Admin,
        Permission::Unspecified => return Err("a grant has no permission"),
    };
    if grant.grant_id.is_empty() || grant.grantee_id.is_empty() {
        return Err("a grant has no id, or is given to nobody");
    }
    let grantee_id = printable(&grant.grantee_id);
    let grantee = match grant.grantee_type() {
        GranteeType::Unspecified | GranteeType::User => Grantee::User(grantee_id),
        GranteeType::Role => Grantee::Role(grantee_id),
    };
    let granted_at = grant.granted_at.and_then(time);
    Ok(Grant {
        id: printable(&grant.grant_id),
        grantee,
        resource_type: printable(&grant.resource_type),
        resource_id: printable(&grant.resource_id),
        permission,
        granted_by: printable(&grant.granted_by),
        granted_at,
    })
}

fn time(at: prost_types::Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

impl Sharing for SharingSlot {
    fn share<'a>(
        &'a self,
        grantor: &'a Identity,
        grant: &'a NewGrant,
    ) -> BoxFuture<'a, Result<Grant, SlotError>> {
        Box::pin(self.give(grantor, grant))
    }

    fn revoke<'a>(
        &'a self,
        revoker: &'a Identity,
        id: &'a str,
    ) -> BoxFuture<'a, Result<bool, SlotError>> {
        Box::pin(self.take(revoker, id))
    }

    fn list<'a>(
        &'a self,
        caller: &'a Identity,
        filter: &'a GrantFilter,
    ) -> BoxFuture<'a, Result<Vec<Grant>, SlotError>> {
        Box::pin(self.show(caller, filter))
    }

    fn transfer<'a>(
        &'a self,
        caller: &'a Identity,
        resource: &'a Resource,
        to: &'a str,
    ) -> BoxFuture<'a, Result<(), SlotError>> {
        Box::pin(self.give_away(caller, resource, to))
    }

    fn is_active(&self) -> bool {
        self.cell.load().holder == Holder::Plugin
    }
}
