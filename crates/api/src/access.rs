//! The one place where a handler says what it is about to touch.
//!
//! Every handler that touches a resource takes [`Access`] and names `(resource, action)` once;
//! behind it stands an [`Enforcer`], which is told the resource's owner. A list is made of what
//! the caller may read, decided in one call. That no route forgets the check is proved by a test
//! that walks the route table with an enforcer that records.

use std::collections::{BTreeSet, HashSet};

use axum::extract::{FromRef, FromRequestParts};
use futures::future::BoxFuture;
use http::request::Parts;
use rat_catalog::Denial;
use rat_store::{Only, PipelineKey, RunRecord};
use rat_types::{Identity, Kind, Layer, NamespaceName, RunId, TableIdent, TableName, ZoneIdent};
use serde::Serialize;

use crate::enforcement::CheckError;
use crate::fault::Fault;
use crate::middleware::audit::Touched;
use crate::middleware::request_id::RequestId;
use crate::state::AppState;

/// Pipelines in one condition: both databases take that many values in a statement.
const MOST_PIPELINES: usize = 30_000;

/// What sort of thing is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// A namespace.
    Namespace,
    /// A pipeline, its sources, its runs.
    Pipeline,
    /// A landing zone and its files.
    LandingZone,
    /// A table.
    Table,
    /// A plugin.
    Plugin,
}

impl ResourceKind {
    /// The kind as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Pipeline => "pipeline",
            Self::LandingZone => "landing_zone",
            Self::Table => "table",
            Self::Plugin => "plugin",
        }
    }
}

/// What is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// See which there are. Never asked by itself: a list shows what may be read.
    List,
    /// Look at it.
    Read,
    /// Make something in a namespace, which is the resource; or a namespace, of which the id is
    /// `*`.
    Create,
    /// Change it.
    Write,
    /// Remove it.
    Delete,
    /// Execute it, or stop it executing.
    Run,
    /// Give others access to it, take that back, or give it away.
    Share,
}

impl Action {
    /// The action as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Create => "create",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Run => "run",
            Self::Share => "share",
        }
    }
}

/// What a caller may do to the platform itself, as opposed to a resource in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Read the plugins of the configuration again.
    PluginsReload,
    /// Read the audit log.
    AuditRead,
}

impl Permission {
    /// The permission as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PluginsReload => "plugins.reload",
            Self::AuditRead => "audit.read",
        }
    }

    /// `Ok` for administrators: the rule wherever nobody knows a better one.
    ///
    /// # Errors
    /// [`AccessError::Denied`].
    pub fn of_administrators(self, identity: &Identity) -> Result<(), AccessError> {
        match identity.roles.iter().any(|role| role == "admin") {
            true => Ok(()),
            false => Err(AccessError::Denied {
                user: identity.user_id.clone(),
                action: self.as_str(),
                resource: "the platform".to_owned(),
                reason: "needs the role admin".to_owned(),
            }),
        }
    }
}

/// A resource as access control sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// What sort of thing it is.
    pub kind: ResourceKind,
    /// Its name: `shop`, `shop.gold.daily`, `shop.orders`; `*` for all of them.
    pub id: String,
    /// The namespace it lies in, where there is one.
    pub namespace: Option<NamespaceName>,
    /// Who owns it; empty where nobody does, or where it does not exist yet.
    pub owner: String,
}

impl Resource {
    /// All of a kind, or those of one namespace.
    pub fn all(kind: ResourceKind, namespace: Option<&NamespaceName>) -> Self {
        Self {
            kind,
            id: "*".to_owned(),
            namespace: namespace.cloned(),
            owner: String::new(),
        }
    }

    /// A namespace.
    pub fn namespace(name: &NamespaceName) -> Self {
        let kind = ResourceKind::Namespace;
        Self {
            kind,
            id: name.to_string(),
            namespace: Some(name.clone()),
            owner: String::new(),
        }
    }

    /// A pipeline.
    pub fn pipeline(ident: &TableIdent) -> Self {
        Self::of_table(ResourceKind::Pipeline, ident)
    }

    /// A table.
    pub fn table(ident: &TableIdent) -> Self {
        Self::of_table(ResourceKind::Table, ident)
    }

    /// A landing zone.
    pub fn zone(ident: &ZoneIdent) -> Self {
        let kind = ResourceKind::LandingZone;
        Self {
            kind,
            id: ident.to_string(),
            namespace: Some(ident.namespace.clone()),
            owner: String::new(),
        }
    }

    /// A plugin.
    pub fn plugin(name: &str) -> Self {
        Self {
            kind: ResourceKind::Plugin,
            id: name.to_owned(),
            namespace: None,
            owner: String::new(),
        }
    }

    /// The same with its owner.
    #[must_use]
    pub fn owned_by(mut self, owner: impl Into<String>) -> Self {
        self.owner = owner.into();
        self
    }

    fn of_table(kind: ResourceKind, ident: &TableIdent) -> Self {
        Self {
            kind,
            id: ident.to_string(),
            namespace: Some(ident.namespace.clone()),
            owner: String::new(),
        }
    }
}

/// Why something may not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The caller may not.
    #[error("{user} may not {action} {resource}")]
    Denied {
        /// Who asked.
        user: String,
        /// What for.
        action: &'static str,
        /// Kind and id of the resource.
        resource: String,
        /// Why, in the words of who decided; for the audit log, callers do not see it.
        reason: String,
    },
    /// Nobody is there to say.
    #[error("access control is not available: {0}")]
    Unavailable(String),
}

impl From<AccessError> for Fault {
    fn from(error: AccessError) -> Self {
        let message = error.to_string();
        match error {
            AccessError::Denied {
                user,
                action,
                resource,
                reason,
            } => Self::denied(Denial {
                user,
                action: action.to_owned(),
                resource,
                reason,
                message,
            }),
            AccessError::Unavailable(_) => {
                Self::of(Kind::Unavailable, "ACCESS_CONTROL_UNAVAILABLE", &error)
            }
        }
    }
}

/// Decides whether somebody may do something. A plugin's stands in the place of [`AllowAll`].
pub trait Enforcer: Send + Sync + 'static {
    /// `Ok` where `identity` may do `action` to `resource`.
    fn check<'a>(
        &'a self,
        identity: &'a Identity,
        resource: &'a Resource,
        action: Action,
    ) -> BoxFuture<'a, Result<(), AccessError>>;

    /// Which of `resources` `identity` may do `action` to: one verdict for each, in their order.
    /// One call for a whole list.
    ///
    /// # Errors
    /// [`AccessError::Unavailable`]: then nothing may be shown.
    fn filter<'a>(
        &'a self,
        identity: &'a Identity,
        resources: &'a [Resource],
        action: Action,
    ) -> BoxFuture<'a, Result<Vec<bool>, AccessError>>;

    /// `Ok` where there is somebody to decide. Asked before requests of which only the catalog
    /// learns what they touch: queries, and everything under `/iceberg`.
    ///
    /// # Errors
    /// [`AccessError::Unavailable`].
    fn ready(&self) -> Result<(), AccessError>;

    /// Whether there is access control at all.
    fn is_active(&self) -> bool;
}

/// The enforcer of an installation without access control.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

impl Enforcer for AllowAll {
    fn check<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a Resource,
        _: Action,
    ) -> BoxFuture<'a, Result<(), AccessError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn filter<'a>(
        &'a self,
        _: &'a Identity,
        resources: &'a [Resource],
        _: Action,
    ) -> BoxFuture<'a, Result<Vec<bool>, AccessError>> {
        Box::pin(std::future::ready(Ok(vec![true; resources.len()])))
    }

    fn ready(&self) -> Result<(), AccessError> {
        Ok(())
    }

    fn is_active(&self) -> bool {
        false
    }
}

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
        self.about(permission.as_str(), "");
        let authenticator = &self.state.authenticator;
        Ok(authenticator.authorize(&self.identity, permission).await?)
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
        self.check(&Resource::pipeline(&run.pipeline), action)
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
