//! Grants between users: the sharing slot.

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use rat_types::Identity;
use serde::{Deserialize, Serialize};

use super::SlotError;
use crate::access::Resource;

/// What a grant allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantPermission {
    /// To see it and read its data.
    Read,
    /// To read it, change it and run it.
    Write,
    /// To write it, delete it and share it further.
    Admin,
}

/// Who a grant is given to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Grantee {
    /// One user.
    User(String),
    /// Everybody who has the role.
    Role(String),
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Identifier, given by whoever keeps the grants.
    pub id: String,
    /// Who it is given to.
    pub grantee: Grantee,
    /// `namespace`, `pipeline` or `table`.
    pub resource_type: String,
    /// Name of the resource.
    pub resource_id: String,
    /// What it allows.
    pub permission: GrantPermission,
    /// Who gave it.
    pub granted_by: String,
    /// When it was given.
    pub granted_at: Option<DateTime<Utc>>,
}

/// A grant that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGrant {
    /// Who it is given to.
    pub grantee: Grantee,
    /// What it is about, with its owner.
    pub resource: Resource,
    /// What it allows.
    pub permission: GrantPermission,
}

/// Which grants are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantFilter {
    /// Kind and name of a resource.
    pub resource: Option<(String, String)>,
    /// A user or a role.
    pub grantee: Option<String>,
    /// One grant.
    pub id: Option<String>,
}

/// Keeps the grants.
pub trait Sharing: Send + Sync + 'static {
    /// Gives access.
    fn share<'a>(
        &'a self,
        grantor: &'a Identity,
        grant: &'a NewGrant,
    ) -> BoxFuture<'a, Result<Grant, SlotError>>;

    /// Takes a grant back; false where there is none.
    fn revoke<'a>(
        &'a self,
        revoker: &'a Identity,
        id: &'a str,
    ) -> BoxFuture<'a, Result<bool, SlotError>>;

    /// The grants that `caller` may see.
    fn list<'a>(
        &'a self,
        caller: &'a Identity,
        filter: &'a GrantFilter,
    ) -> BoxFuture<'a, Result<Vec<Grant>, SlotError>>;

    /// Tells that `resource`, whose owner it names, is to belong to `to`.
    fn transfer<'a>(
        &'a self,
        caller: &'a Identity,
        resource: &'a Resource,
        to: &'a str,
    ) -> BoxFuture<'a, Result<(), SlotError>>;

    /// Whether sharing works now.
    fn is_active(&self) -> bool;
}

/// The built-in of an installation with one user: there is nobody to share with.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSharing;

impl NoSharing {
    fn refuse<T>() -> BoxFuture<'static, Result<T, SlotError>>
    where
        T: Send + 'static,
    {
        let (slot, what) = ("sharing", "sharing");
        Box::pin(std::future::ready(Err(SlotError::NotAvailable {
            slot,
            what,
        })))
    }
}

impl Sharing for NoSharing {
    fn share<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a NewGrant,
    ) -> BoxFuture<'a, Result<Grant, SlotError>> {
        Self::refuse()
    }

    fn revoke<'a>(&'a self, _: &'a Identity, _: &'a str) -> BoxFuture<'a, Result<bool, SlotError>> {
        Self::refuse()
    }

    fn list<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a GrantFilter,
    ) -> BoxFuture<'a, Result<Vec<Grant>, SlotError>> {
        Self::refuse()
    }

    fn transfer<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a Resource,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), SlotError>> {
        Self::refuse()
    }

    fn is_active(&self) -> bool {
        false
    }
}
