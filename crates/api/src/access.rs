//! The one place where a handler says what it is about to touch.
//!
//! Every handler that touches a resource takes [`Access`] and names `(resource, action)` once;
//! behind it stands an [`Enforcer`], which is told the resource's owner. A list is made of what
//! the caller may read, decided in one call. That no route forgets the check is proved by a test
//! that walks the route table with an enforcer that records.

mod gate;

pub(crate) use gate::Access;

use futures::future::BoxFuture;
use rat_catalog::Denial;
use rat_types::{Identity, Kind, NamespaceName, TableIdent, ZoneIdent};
use serde::Serialize;

use crate::fault::Fault;

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

    /// `Ok` for who has one of `roles`, which make an administrator: the rule wherever nobody
    /// knows a better one.
    ///
    /// # Errors
    /// [`AccessError::Denied`].
    pub fn of_administrators(
        self,
        identity: &Identity,
        roles: &[impl AsRef<str>],
    ) -> Result<(), AccessError> {
        let roles: Vec<&str> = roles.iter().map(AsRef::as_ref).collect();
        match identity
            .roles
            .iter()
            .any(|role| roles.contains(&role.as_str()))
        {
            true => Ok(()),
            false => Err(AccessError::Denied {
                user: identity.user_id.clone(),
                action: self.as_str(),
                resource: "the platform".to_owned(),
                reason: match roles.as_slice() {
                    [] => "no role allows it".to_owned(),
                    [role] => format!("needs the role {role}"),
                    several => format!("needs one of the roles {}", several.join(", ")),
                },
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
