//! The cloud slot: temporary credentials.
//!
//! An enforcement plugin may hand them out too, which is how the contract began: it is asked where
//! no cloud plugin is configured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::DateTime;
use futures::future::BoxFuture;
use rat_api::{
    CloudCredentials, Credentials, CredentialsRequest, Holder, NoCredentials, SlotError,
};
use rat_config::Slot;
use rat_proto::enforcement::v1::{GetCredentialsRequest, GetCredentialsResponse};
use rat_types::{Identity, Secret};

use super::{Cell, slot_error};
use crate::call::Method;
use crate::method::{CLOUD_CREDENTIALS, ENFORCEMENT_CREDENTIALS};
use crate::plugin::Plugin;

#[derive(Debug)]
pub(crate) struct CloudSlot {
    cloud: Arc<Cell>,
    enforcement: Arc<Cell>,
    /// Whether the enforcement plugin has ever handed out any.
    enforcement_hands_out: AtomicBool,
}

impl CloudSlot {
    pub(crate) fn new(cloud: Arc<Cell>, enforcement: Arc<Cell>) -> Self {
        Self {
            cloud,
            enforcement,
            enforcement_hands_out: AtomicBool::new(false),
        }
    }

    /// Who is asked, and for what; `None` where the built-in answers.
    async fn asked(&self) -> Result<Option<(Arc<Plugin>, Method)>, SlotError> {
        let cloud = self.cloud.settled().await;
        let (standing, method) = match cloud.holder {
            Holder::Builtin => (self.enforcement.settled().await, ENFORCEMENT_CREDENTIALS),
            _ => (cloud, CLOUD_CREDENTIALS),
        };
        match (standing.holder, &standing.plugin) {
            (Holder::Plugin, Some(plugin)) => Ok(Some((Arc::clone(plugin), method))),
            (Holder::Denied | Holder::Held, _) => Err(SlotError::Unavailable {
                slot: Slot::Cloud.as_str(),
                message: standing.message.clone(),
            }),
            (Holder::Builtin | Holder::Fallback, _) | (Holder::Plugin, None) => Ok(None),
        }
    }

    async fn fetch(
        &self,
        caller: &Identity,
        request: &CredentialsRequest,
    ) -> Result<Credentials, SlotError> {
        let Some((plugin, method)) = self.asked().await? else {
            return NoCredentials.get(caller, request).await;
        };
        let message = GetCredentialsRequest {
            provider: request.provider.clone(),
            resource: request.resource.clone(),
            user_id: caller.user_id.clone(),
            roles: caller.roles.clone(),
            namespace: request.namespace.to_string(),
            owner: request.owner.clone(),
        };
        let answer = plugin.call::<GetCredentialsResponse>(method, &message);
        let answer = match answer.await {
            Ok(answer) => answer,
            Err(error) if error.cause.is_unimplemented() && method == ENFORCEMENT_CREDENTIALS => {
                self.enforcement_hands_out.store(false, Ordering::Relaxed);
                return NoCredentials.get(caller, request).await;
            }
            Err(error) => return Err(slot_error(Slot::Cloud, &error)),
        };
        if method == ENFORCEMENT_CREDENTIALS {
            self.enforcement_hands_out.store(true, Ordering::Relaxed);
        }
        credentials(answer).map_err(|rule| SlotError::Failed {
            slot: Slot::Cloud.as_str(),
            message: format!("{}: {rule}", plugin.who),
        })
    }
}

fn credentials(answer: GetCredentialsResponse) -> Result<Credentials, &'static str> {
    if answer.credentials.is_empty() {
        return Err("it answers without a credential");
    }
    let expires_at = match answer.expires_at {
        0 => None,
        seconds => {
            let at = DateTime::from_timestamp(seconds, 0);
            Some(at.ok_or("its credentials expire at no time that there is")?)
        }
    };
    let values = answer.credentials.into_iter();
    let values: BTreeMap<String, Secret> = values
        .map(|(name, value)| (name, Secret::new(value)))
        .collect();
    Ok(Credentials { values, expires_at })
}

impl CloudCredentials for CloudSlot {
    fn get<'a>(
        &'a self,
        caller: &'a Identity,
        request: &'a CredentialsRequest,
    ) -> BoxFuture<'a, Result<Credentials, SlotError>> {
        Box::pin(self.fetch(caller, request))
    }

    fn is_active(&self) -> bool {
        match self.cloud.load().holder {
            Holder::Plugin => true,
            Holder::Builtin => {
                self.enforcement.load().holder == Holder::Plugin
                    && self.enforcement_hands_out.load(Ordering::Relaxed)
            }
            Holder::Denied | Holder::Fallback | Holder::Held => false,
        }
    }
}
