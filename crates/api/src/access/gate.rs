//! What handlers ask: the caller of a request before the access control of the installation.

use std::collections::{BTreeSet, HashSet};

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use rat_catalog::Denial;
use rat_store::{Only, PipelineKey, RunRecord};
use rat_types::{Identity, Kind, Layer, NamespaceName, RunId, TableIdent, TableName};

use super::{AccessError, Action, Permission, Resource, ResourceKind};
use crate::enforcement::CheckError;
use crate::fault::Fault;
use crate::middleware::audit::Touched;
use crate::middleware::request_id::RequestId;
use crate::state::AppState;

/// Pipelines in one condition: both databases take that many values in a statement.
const MOST_PIPELINES: usize = 30_000;

/// The caller of a request and what it may do.
pub(crate) struct Access {
    identity: Identity,
    request_id: Option<RequestId>,
    state: AppState,
    touched: Touched,
}

impl Access {
    /// Who is calling.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The id of the request, for the services that it is passed on to.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.request_id.as_ref().map(RequestId::as_str)
    }

    /// The user id that things created by this request belong to.
    pub(crate) fn user(&self) -> &str {
        &self.identity.user_id
    }

    /// Says what the request is about, for the audit log. The first word stands.
    pub(crate) fn about(&self, action: impl Into<String>, resource: &str) {
        self.touched.set(action.into(), resource);
    }

    fn touches(&self, resource: &Resource, action: Action) {
        let name = format!("{}.{}", resource.kind.as_str(), action.as_str());
        self.about(name, &resource.id);
    }

    /// `Ok` where the caller may do `action` to `resource`.
    pub(crate) async fn check(&self, resource: &Resource, action: Action) -> Result<(), Fault> {
        self.touches(resource, action);
        let enforcement = &self.state.enforcement;
        Ok(enforcement.check(&self.identity, resource, action).await?)
    }

    /// `Ok` where the caller may create `resource`: may create things in its namespace, or, for a
    /// namespace, may create namespaces.
    pub(crate) async fn create(&self, resource: &Resource) -> Result<(), Fault> {
        self.touches(resource, Action::Create);
        let place = match (resource.kind, &resource.namespace) {
            (ResourceKind::Namespace, _) | (_, None) => Resource::all(resource.kind, None),
            (_, Some(namespace)) => Resource::namespace(namespace),
        };
        self.check(&place, Action::Create).await
    }

    /// `Ok` where the caller may read the namespace or anything in it.
    pub(crate) async fn read_namespace(&self, name: &NamespaceName) -> Result<(), Fault> {
        self.touches(&Resource::namespace(name), Action::Read);
        let enforcement = &self.state.enforcement;
        Ok(enforcement.read_namespace(&self.identity, name).await?)
    }

    /// `Ok` where the caller has a permission of the platform.
    pub(crate) async fn authorize(&self, permission: Permission) -> Result<(), Fault> {
        let name = permission.as_str();
        self.about(name, "");
        let authenticator = &self.state.authenticator;
        match authenticator.authorize(&self.identity, permission).await {
            Ok(()) => Ok(()),
            Err(AccessError::Denied { user, reason, .. }) => Err(Fault::denied(Denial {
                message: format!("{user} does not have the permission {name}"),
                action: name.to_owned(),
                resource: String::new(),
                user,
                reason,
            })),
            Err(other) => Err(other.into()),
        }
    }

    /// Whether the caller may read `resource`, which the request is not about.
    pub(crate) async fn reads(&self, resource: &Resource) -> Result<bool, Fault> {
        let enforcement = &self.state.enforcement;
        let read = enforcement.check(&self.identity, resource, Action::Read);
        match read.await {
            Ok(()) => Ok(true),
            Err(CheckError::Denied(_)) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    /// Those of `items` that the caller may read. `resource_of` names each with its owner.
    pub(crate) async fn visible<T>(
        &self,
        items: Vec<T>,
        resource_of: impl Fn(&T) -> Resource,
    ) -> Result<Vec<T>, Fault> {
        let enforcement = &self.state.enforcement;
        Ok(enforcement
            .visible(&self.identity, items, resource_of)
            .await?)
    }

    /// Those of `names` that the caller may read: the namespace, or anything in it.
    pub(crate) async fn visible_namespaces(
        &self,
        names: Vec<NamespaceName>,
    ) -> Result<BTreeSet<NamespaceName>, Fault> {
        let enforcement = &self.state.enforcement;
        let seen = enforcement
            .visible_namespaces(&self.identity, names)
            .await?;
        Ok(seen.into_iter().collect())
    }

    /// Those of `tables` that the caller may read.
    pub(crate) async fn visible_tables(
        &self,
        tables: Vec<TableIdent>,
    ) -> Result<Vec<TableIdent>, Fault> {
        let enforcement = &self.state.enforcement;
        Ok(enforcement.visible_tables(&self.identity, tables).await?)
    }

    /// The pipelines that the caller may read, as a condition for a list of them or of their runs;
    /// `None` where that is all of them.
    pub(crate) async fn visible_pipelines(
        &self,
        namespace: Option<&NamespaceName>,
        layer: Option<Layer>,
        name: Option<&TableName>,
    ) -> Result<Option<Only>, Fault> {
        if !self.state.enforcement.is_active() {
            return Ok(None);
        }
        let pipelines = self.state.store.pipelines();
        let all = pipelines.keys(namespace, layer, name).await?;
        let resource =
            |key: &PipelineKey| Resource::pipeline(&key.ident).owned_by(key.owner.clone());
        let seen = self.visible(all.clone(), resource).await?;
        let ids = |keys: Vec<PipelineKey>| keys.into_iter().map(|key| key.id).collect::<Vec<_>>();
        // Whichever condition is shorter.
        let only = match seen.len() * 2 <= all.len() {
            true => Only::These(ids(seen)),
            false => {
                let seen: HashSet<String> = ids(seen).into_iter().collect();
                let mut hidden = ids(all);
                hidden.retain(|id| !seen.contains(id));
                Only::AllBut(hidden)
            }
        };
        let (Only::These(ids) | Only::AllBut(ids)) = &only;
        if ids.len() > MOST_PIPELINES {
            let message = "too many pipelines to decide on: ask for one namespace at a time";
            return Err(Fault::invalid(message).because("LIST_TOO_LONG"));
        }
        Ok(Some(only))
    }

    /// `Ok` where what the caller touches can be checked later, in the catalog.
    pub(crate) fn ready(&self) -> Result<(), Fault> {
        Ok(self.state.enforcement.ready()?)
    }

    /// The run called `id`, where the caller may do `action` to its pipeline.
    pub(crate) async fn run(
        &self,
        state: &AppState,
        id: RunId,
        action: Action,
    ) -> Result<RunRecord, Fault> {
        let run = state.store.runs().get(id).await?;
        let run = run.ok_or_else(|| Fault::not_found(format!("run {id} does not exist")))?;
        // Another pipeline may have the name by now; the run stays that of its own pipeline.
        let TableIdent {
            namespace,
            layer,
            name,
        } = &run.pipeline;
        let pipelines = state.store.pipelines();
        let keys = pipelines.keys(Some(namespace), Some(*layer), Some(name));
        let own = keys
            .await?
            .into_iter()
            .find(|key| key.id == run.pipeline_id);
        let owner = own.map_or_else(String::new, |key| key.owner);
        let resource = Resource::pipeline(&run.pipeline).owned_by(owner);
        self.touches(&resource, action);
        let enforcement = &self.state.enforcement;
        enforcement
            .check_owned(&self.identity, &resource, action)
            .await?;
        Ok(run)
    }
}

impl<S> FromRequestParts<S> for Access
where
    AppState: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        // The authentication layer stands before every handler; this is for the day it does not.
        let identity = parts.extensions.get::<Identity>().cloned();
        let missing = || Fault::new(Kind::Unauthenticated, "the caller is not known");
        Ok(Self {
            identity: identity.ok_or_else(missing)?,
            request_id: parts.extensions.get().cloned(),
            state: AppState::from_ref(state),
            touched: parts.extensions.get().cloned().unwrap_or_default(),
        })
    }
}
