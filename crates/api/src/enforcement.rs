//! The enforcer with what it has to be told: who owns what is asked about.
//!
//! Every decision goes through here, whoever needs it: handlers ([`crate::access`]), the catalog,
//! where the tables of queries and of Iceberg clients are, and the scheduler, which asks for what
//! a run reads. While there is no access control nothing is looked up.

mod asked;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use rat_catalog::{Denial, Refusal};
use rat_store::Store;
use rat_types::{Identity, NamespaceName, TableIdent, ZoneIdent};

use crate::access::{AccessError, Action, Enforcer, Resource, ResourceKind};
use crate::audit::Audit;
use crate::fault::{Chain, Fault};

/// Resources that the enforcer is asked about in one call.
const BATCH: usize = 1000;
/// What callers are told when an owner cannot be looked up.
const NO_DATABASE: &str = "the platform database does not answer";

/// Why something may not be done, or is not known to be allowed.
#[derive(Debug)]
pub(crate) enum CheckError {
    /// The caller may not.
    Denied(Box<Denial>),
    /// Nobody is there to say.
    Unavailable(String),
    /// Whose it is cannot be looked up.
    Store(rat_store::Error),
}

impl From<rat_store::Error> for CheckError {
    fn from(error: rat_store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<CheckError> for Fault {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Denied(denial) => Self::denied(*denial),
            CheckError::Unavailable(message) => AccessError::Unavailable(message).into(),
            CheckError::Store(error) => error.into(),
        }
    }
}

impl From<CheckError> for Refusal {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Denied(denial) => Self::Denied(denial),
            CheckError::Unavailable(message) => Self::Unavailable(message),
            CheckError::Store(error) => {
                tracing::warn!(error = %Chain(&error), "failed to look an owner up");
                Self::Unavailable(NO_DATABASE.to_owned())
            }
        }
    }
}

/// The enforcer and the database that knows the owners. Cheap to clone.
#[derive(Clone)]
pub struct Enforcement {
    store: Store,
    enforcer: Arc<dyn Enforcer>,
    audit: Audit,
}

impl std::fmt::Debug for Enforcement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enforcement")
            .field("active", &self.enforcer.is_active())
            .finish_non_exhaustive()
    }
}

impl Enforcement {
    /// With the owners that `store` knows. What a run may not read goes to `audit`.
    pub fn new(store: Store, enforcer: Arc<dyn Enforcer>, audit: Audit) -> Self {
        Self {
            store,
            enforcer,
            audit,
        }
    }

    /// Whether there is access control at all.
    pub(crate) fn is_active(&self) -> bool {
        self.enforcer.is_active()
    }

    /// Whether there is somebody to decide.
    pub(crate) fn ready(&self) -> Result<(), AccessError> {
        self.enforcer.ready()
    }

    /// `Ok` where `identity` may do `action` to `resource`, whose owner is looked up.
    pub(crate) async fn check(
        &self,
        identity: &Identity,
        resource: &Resource,
        action: Action,
    ) -> Result<(), CheckError> {
        if !self.is_active() {
            // Which asks nobody; a test's enforcer sees it all the same.
            return self.decide(identity, resource, action).await;
        }
        self.ready()
            .map_err(|error| denied(resource, action, error))?;
        let owner = self.owner_of(resource).await?;
        let owned = resource.clone().owned_by(owner);
        self.decide(identity, &owned, action).await
    }

    /// As [`Self::check`], of a resource that names its owner itself.
    pub(crate) async fn check_owned(
        &self,
        identity: &Identity,
        resource: &Resource,
        action: Action,
    ) -> Result<(), CheckError> {
        if self.is_active() {
            self.ready()
                .map_err(|error| denied(resource, action, error))?;
        }
        self.decide(identity, resource, action).await
    }

    async fn decide(
        &self,
        identity: &Identity,
        resource: &Resource,
        action: Action,
    ) -> Result<(), CheckError> {
        let decision = self.enforcer.check(identity, resource, action).await;
        decision.map_err(|error| denied(resource, action, error))
    }

    /// Those of `items` that `identity` may read, in their order. `resource_of` names each with
    /// its owner.
    pub(crate) async fn visible<T>(
        &self,
        identity: &Identity,
        items: Vec<T>,
        resource_of: impl Fn(&T) -> Resource,
    ) -> Result<Vec<T>, CheckError> {
        if !self.is_active() {
            return Ok(items);
        }
        let resources: Vec<Resource> = items.iter().map(resource_of).collect();
        let verdicts = self.filter(identity, &resources).await?;
        let judged = items.into_iter().zip(verdicts);
        Ok(judged.filter_map(|(item, ok)| ok.then_some(item)).collect())
    }

    async fn filter(
        &self,
        identity: &Identity,
        resources: &[Resource],
    ) -> Result<Vec<bool>, CheckError> {
        let unavailable = |error| match error {
            AccessError::Unavailable(message) => CheckError::Unavailable(message),
            AccessError::Denied { .. } => CheckError::Unavailable(
                "the answer about a list is a refusal of all of it".to_owned(),
            ),
        };
        self.ready().map_err(unavailable)?;
        let mut verdicts = Vec::with_capacity(resources.len());
        for batch in resources.chunks(BATCH) {
            let answer = self.enforcer.filter(identity, batch, Action::Read).await;
            let answer = answer.map_err(unavailable)?;
            if answer.len() != batch.len() {
                let (got, wanted) = (answer.len(), batch.len());
                let message = format!("{got} verdicts were given about {wanted} resources");
                return Err(CheckError::Unavailable(message));
            }
            verdicts.extend(answer);
        }
        Ok(verdicts)
    }

    /// Those of `tables` that `identity` may read, in their order.
    pub(crate) async fn visible_tables(
        &self,
        identity: &Identity,
        tables: Vec<TableIdent>,
    ) -> Result<Vec<TableIdent>, CheckError> {
        if !self.is_active() {
            return Ok(tables);
        }
        let owners = self.store.table_metadata().owners(None).await?;
        let resource = |table: &TableIdent| {
            let owner = owners.get(table).map_or("", String::as_str);
            Resource::table(table).owned_by(owner)
        };
        self.visible(identity, tables, resource).await
    }

    /// Those of `names` that `identity` may read: the namespace, or anything in it.
    pub(crate) async fn visible_namespaces(
        &self,
        identity: &Identity,
        names: Vec<NamespaceName>,
    ) -> Result<Vec<NamespaceName>, CheckError> {
        if !self.is_active() {
            return Ok(names);
        }
        let mut resources = Vec::new();
        for record in self.store.namespaces().list().await? {
            if names.contains(&record.name) {
                resources.push(Resource::namespace(&record.name).owned_by(record.owner));
            }
        }
        let readable = self
            .visible(identity, resources.clone(), Resource::clone)
            .await?;
        let mut seen: HashSet<NamespaceName> = namespaces_of(readable).collect();
        let open: BTreeSet<NamespaceName> = namespaces_of(resources)
            .filter(|name| !seen.contains(name))
            .collect();
        if !open.is_empty() {
            let one = match open.len() {
                1 => open.first(),
                _ => None,
            };
            let mut contents = self.contents(one).await?;
            contents.retain(|resource| {
                let namespace = resource.namespace.as_ref();
                namespace.is_some_and(|namespace| open.contains(namespace))
            });
            let readable = self.visible(identity, contents, Resource::clone).await?;
            seen.extend(namespaces_of(readable));
        }
        Ok(names
            .into_iter()
            .filter(|name| seen.contains(name))
            .collect())
    }

    /// `Ok` where `identity` may read the namespace, or anything in it.
    pub(crate) async fn read_namespace(
        &self,
        identity: &Identity,
        name: &NamespaceName,
    ) -> Result<(), CheckError> {
        let resource = Resource::namespace(name);
        let denied = match self.check(identity, &resource, Action::Read).await {
            Err(CheckError::Denied(denial)) => denial,
            other => return other,
        };
        let contents = self.contents(Some(name)).await?;
        let readable = self.visible(identity, contents, Resource::clone).await?;
        match readable.is_empty() {
            true => Err(CheckError::Denied(denied)),
            false => Ok(()),
        }
    }

    /// Everything in a namespace, or in all of them, with its owner.
    async fn contents(
        &self,
        namespace: Option<&NamespaceName>,
    ) -> Result<Vec<Resource>, rat_store::Error> {
        let mut contents = Vec::new();
        for key in self.store.pipelines().keys(namespace, None, None).await? {
            if !key.is_deleted {
                contents.push(Resource::pipeline(&key.ident).owned_by(key.owner));
            }
        }
        for zone in self.store.zones().list(namespace).await? {
            contents.push(Resource::zone(&zone.ident).owned_by(zone.owner));
        }
        let mut owners = self.store.table_metadata().owners(namespace).await?;
        for table in self.store.tables().list(namespace, None).await? {
            let owner = owners.remove(&table.ident).unwrap_or_default();
            contents.push(Resource::table(&table.ident).owned_by(owner));
        }
        Ok(contents)
    }

    /// Who owns `resource`; empty where nobody does, or where there is no such thing.
    pub(crate) async fn owner_of(&self, resource: &Resource) -> Result<String, rat_store::Error> {
        let id = resource.id.as_str();
        let store = &self.store;
        let owner = match resource.kind {
            ResourceKind::Namespace => match id.parse::<NamespaceName>() {
                Ok(name) => store
                    .namespaces()
                    .get(&name)
                    .await?
                    .map(|found| found.owner),
                Err(_) => None,
            },
            ResourceKind::Pipeline => match id.parse::<TableIdent>() {
                Ok(ident) => store
                    .pipelines()
                    .get(&ident)
                    .await?
                    .map(|found| found.owner),
                Err(_) => None,
            },
            ResourceKind::Table => match id.parse::<TableIdent>() {
                Ok(ident) => {
                    let said = store.table_metadata().get(&ident).await?;
                    said.map(|found| found.owner)
                }
                Err(_) => None,
            },
            ResourceKind::LandingZone => match zone_ident(id) {
                Some(ident) => store.zones().get(&ident).await?.map(|found| found.owner),
                None => None,
            },
            ResourceKind::Plugin => None,
        };
        Ok(owner.unwrap_or_default())
    }
}

/// A zone's name, as [`Resource`] writes it.
pub(crate) fn zone_ident(id: &str) -> Option<ZoneIdent> {
    let (namespace, name) = id.split_once('.')?;
    Some(ZoneIdent {
        namespace: namespace.parse().ok()?,
        name: name.parse().ok()?,
    })
}

fn namespaces_of(resources: Vec<Resource>) -> impl Iterator<Item = NamespaceName> {
    resources
        .into_iter()
        .filter_map(|resource| resource.namespace)
}

/// A refusal with what it was about.
fn denied(resource: &Resource, action: Action, error: AccessError) -> CheckError {
    match error {
        AccessError::Unavailable(message) => CheckError::Unavailable(message),
        AccessError::Denied { user, reason, .. } => {
            let (kind, id) = (resource.kind.as_str(), &resource.id);
            let what = match (resource.kind, action, id.as_str()) {
                (_, Action::Create, "*") => format!("create a {kind}"),
                (ResourceKind::Namespace, Action::Create, _) => {
                    format!("create anything in namespace {id}")
                }
                _ => format!("{} {} {id}", action.as_str(), kind.replace('_', " ")),
            };
            CheckError::Denied(Box::new(Denial {
                message: format!("{user} may not {what}"),
                action: format!("{kind}.{}", action.as_str()),
                resource: id.clone(),
                user,
                reason,
            }))
        }
    }
}
