//! The enforcement slot: who may do what. Nothing is remembered: a grant that is taken back is
//! gone with the next request.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rat_api::{AccessError, Action, Enforcer, Holder, Resource};
use rat_proto::enforcement::v1::{
    BatchCanAccessRequest, BatchCanAccessResponse, CanAccessRequest, CanAccessResponse, ResourceRef,
};
use rat_types::Identity;

use super::{Cell, Standing};
use crate::call::CallError;
use crate::method::{BATCH_CAN_ACCESS, CAN_ACCESS};
use crate::plugin::Plugin;
use crate::text::printable;

/// Resources in one call.
const BATCH: usize = 1000;
/// Calls at the same time, to a plugin that decides on one resource at a time.
const AT_ONCE: usize = 16;

#[derive(Debug)]
pub(crate) struct EnforcementSlot {
    cell: Arc<Cell>,
}

/// Who decides now.
enum Judge {
    Nobody,
    Plugin(Arc<Plugin>),
}

impl EnforcementSlot {
    pub(crate) fn new(cell: Arc<Cell>) -> Self {
        Self { cell }
    }

    async fn judge(&self) -> Result<Judge, AccessError> {
        let standing = self.cell.settled().await;
        judge(&standing)
    }

    /// What a call without an answer comes to: the built-in only where the plugin is found down,
    /// and its place is taken.
    fn without_an_answer(&self, plugin: &Plugin, error: &CallError) -> Result<(), AccessError> {
        plugin.complain(error);
        let gone = error.cause.is_about_the_connection();
        match self.cell.load().holder {
            Holder::Fallback if gone => Ok(()),
            _ => Err(AccessError::Unavailable(error.to_string())),
        }
    }

    async fn one(
        &self,
        identity: &Identity,
        resource: &Resource,
        action: Action,
    ) -> Result<(), AccessError> {
        let Judge::Plugin(plugin) = self.judge().await? else {
            return Ok(());
        };
        match can_access(&plugin, identity, resource, action).await {
            Ok(answer) if answer.allowed => Ok(()),
            Ok(answer) => Err(AccessError::Denied {
                user: identity.user_id.clone(),
                action: action.as_str(),
                resource: format!("{} {}", resource.kind.as_str(), resource.id),
                reason: printable(&answer.reason),
            }),
            Err(error) => self.without_an_answer(&plugin, &error),
        }
    }

    async fn many(
        &self,
        identity: &Identity,
        resources: &[Resource],
        action: Action,
    ) -> Result<Vec<bool>, AccessError> {
        let all = || vec![true; resources.len()];
        let Judge::Plugin(plugin) = self.judge().await? else {
            return Ok(all());
        };
        let mut verdicts = Vec::with_capacity(resources.len());
        for some in resources.chunks(BATCH) {
            match batch(&plugin, identity, some, action).await {
                Ok(allowed) => verdicts.extend(allowed),
                Err(error) => return self.without_an_answer(&plugin, &error).map(|()| all()),
            }
        }
        Ok(verdicts)
    }
}

fn judge(standing: &Standing) -> Result<Judge, AccessError> {
    match (standing.holder, &standing.plugin) {
        (Holder::Plugin, Some(plugin)) => Ok(Judge::Plugin(Arc::clone(plugin))),
        (Holder::Denied | Holder::Held, _) => {
            Err(AccessError::Unavailable(standing.message.clone()))
        }
        (Holder::Builtin | Holder::Fallback, _) | (Holder::Plugin, None) => Ok(Judge::Nobody),
    }
}

async fn can_access(
    plugin: &Plugin,
    identity: &Identity,
    resource: &Resource,
    action: Action,
) -> Result<CanAccessResponse, CallError> {
    let reference = reference(resource);
    let request = CanAccessRequest {
        user_id: identity.user_id.clone(),
        resource_type: reference.resource_type,
        resource_id: reference.resource_id,
        action: action.as_str().to_owned(),
        roles: identity.roles.clone(),
        owner: reference.owner,
        namespace: reference.namespace,
    };
    plugin.call(CAN_ACCESS, &request).await
}

/// One verdict for each of `resources`.
async fn batch(
    plugin: &Plugin,
    identity: &Identity,
    resources: &[Resource],
    action: Action,
) -> Result<Vec<bool>, CallError> {
    let request = BatchCanAccessRequest {
        user_id: identity.user_id.clone(),
        roles: identity.roles.clone(),
        action: action.as_str().to_owned(),
        resources: resources.iter().map(reference).collect(),
    };
    let answer = plugin.call::<BatchCanAccessResponse>(BATCH_CAN_ACCESS, &request);
    match answer.await {
        Ok(answer) if answer.allowed.len() == resources.len() => Ok(answer.allowed),
        Ok(answer) => {
            let (verdicts, asked) = (answer.allowed.len(), resources.len());
            let plugin = &plugin.who;
            tracing::error!(
                target: "rat::plugins", %plugin, verdicts, asked,
                "another number of verdicts than of resources: all are refused"
            );
            Ok(vec![false; resources.len()])
        }
        Err(error) if error.cause.is_unimplemented() => {
            let mut each = Vec::with_capacity(resources.len());
            for resource in resources {
                each.push(can_access(plugin, identity, resource, action));
            }
            let answers = stream::iter(each).buffered(AT_ONCE);
            answers.map_ok(|answer| answer.allowed).try_collect().await
        }
        Err(error) => Err(error),
    }
}

fn reference(resource: &Resource) -> ResourceRef {
    let namespace = resource.namespace.as_ref();
    ResourceRef {
        resource_type: resource.kind.as_str().to_owned(),
        resource_id: resource.id.clone(),
        owner: resource.owner.clone(),
        namespace: namespace.map_or_else(String::new, ToString::to_string),
    }
}

impl Enforcer for EnforcementSlot {
    fn check<'a>(
        &'a self,
        identity: &'a Identity,
        resource: &'a Resource,
        action: Action,
    ) -> BoxFuture<'a, Result<(), AccessError>> {
        Box::pin(self.one(identity, resource, action))
    }

    fn filter<'a>(
        &'a self,
        identity: &'a Identity,
        resources: &'a [Resource],
        action: Action,
    ) -> BoxFuture<'a, Result<Vec<bool>, AccessError>> {
        Box::pin(self.many(identity, resources, action))
    }

    fn ready(&self) -> Result<(), AccessError> {
        judge(&self.cell.load()).map(drop)
    }

    fn is_active(&self) -> bool {
        match self.cell.load().holder {
            Holder::Builtin | Holder::Fallback => false,
            Holder::Plugin | Holder::Denied | Holder::Held => true,
        }
    }
}
