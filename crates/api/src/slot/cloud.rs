//! Temporary credentials of a cloud: the cloud slot.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use rat_types::{Identity, NamespaceName, Secret};

use super::SlotError;

/// What credentials are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsRequest {
    /// `aws`, `gcp` or `azure`.
    pub provider: String,
    /// An ARN, a project ID, a storage URI.
    pub resource: String,
    /// The namespace that they are for.
    pub namespace: NamespaceName,
    /// Who owns that namespace; empty where nobody does.
    pub owner: String,
}

/// Temporary credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Values by the names that the provider's tools use.
    pub values: BTreeMap<String, Secret>,
    /// When they become void; `None` where they do not.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Hands out credentials.
pub trait CloudCredentials: Send + Sync + 'static {
    /// Credentials for `caller`.
    fn get<'a>(
        &'a self,
        caller: &'a Identity,
        request: &'a CredentialsRequest,
    ) -> BoxFuture<'a, Result<Credentials, SlotError>>;

    /// Whether there is somebody to hand them out now.
    fn is_active(&self) -> bool;
}

/// The built-in: the lake is a local folder, for which nobody needs credentials.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCredentials;

impl CloudCredentials for NoCredentials {
    fn get<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a CredentialsRequest,
    ) -> BoxFuture<'a, Result<Credentials, SlotError>> {
        let (slot, what) = ("cloud", "a cloud credential");
        Box::pin(std::future::ready(Err(SlotError::NotAvailable {
            slot,
            what,
        })))
    }

    fn is_active(&self) -> bool {
        false
    }
}
