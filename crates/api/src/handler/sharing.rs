//! Grants, and giving things away.

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use rat_types::{NamespaceName, TableIdent};
use serde::{Deserialize, Serialize};

use crate::access::{Access, Action, Resource, ResourceKind};
use crate::enforcement::zone_ident;
use crate::extract::{Json, Path, Query};
use crate::fault::Fault;
use crate::parameter::Count;
use crate::slot::{Grant, GrantFilter, GrantPermission, Grantee, NewGrant};
use crate::state::AppState;
use crate::time::Time;
use crate::{limit, ownership};

/// Characters of a grant's id.
const LONGEST_ID: usize = 256;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GranteeType {
    #[default]
    User,
    Role,
}

#[derive(Serialize)]
struct Shown {
    grant_id: String,
    grantee_id: String,
    grantee_type: GranteeType,
    resource_type: String,
    resource_id: String,
    permission: GrantPermission,
    granted_by: String,
    granted_at: Option<Time>,
}

#[derive(Serialize)]
struct List {
    grants: Vec<Shown>,
    total: usize,
}

#[derive(Serialize)]
struct Moved {
    resource_type: &'static str,
    resource_id: String,
}

#[derive(Serialize)]
struct Transferred {
    transferred: Vec<Moved>,
    total: usize,
}

/// What a request calls a resource.
#[derive(Debug, Clone, Deserialize)]
struct Named {
    resource_type: String,
    resource_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    grantee_id: String,
    #[serde(default)]
    grantee_type: GranteeType,
    resource_type: String,
    resource_id: String,
    permission: GrantPermission,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transfer {
    resource_type: Option<String>,
    resource_id: Option<String>,
    from: Option<String>,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    resource_type: Option<String>,
    resource_id: Option<String>,
    grantee_id: Option<String>,
    limit: Option<Count>,
    offset: Option<Count>,
}

#[derive(Deserialize)]
pub(crate) struct Id {
    grant_id: String,
}

impl From<Grant> for Shown {
    fn from(grant: Grant) -> Self {
        let (grantee_type, grantee_id) = match grant.grantee {
            Grantee::User(id) => (GranteeType::User, id),
            Grantee::Role(id) => (GranteeType::Role, id),
        };
        Self {
            grant_id: grant.id,
            grantee_id,
            grantee_type,
            resource_type: grant.resource_type,
            resource_id: grant.resource_id,
            permission: grant.permission,
            granted_by: grant.granted_by,
            granted_at: grant.granted_at.map(Time),
        }
    }
}

impl Named {
    /// # Errors
    /// A kind that has no owner, or a name that nothing of the kind can have.
    fn resource(&self) -> Result<Resource, Fault> {
        let id = self.resource_id.as_str();
        Ok(match self.resource_type.as_str() {
            "namespace" => Resource::namespace(&id.parse::<NamespaceName>()?),
            "pipeline" => Resource::pipeline(&id.parse::<TableIdent>()?),
            "table" => Resource::table(&id.parse::<TableIdent>()?),
            "landing_zone" => {
                let rule = "resource_id: a landing zone is called namespace.name";
                Resource::zone(&zone_ident(id).ok_or_else(|| Fault::invalid(rule))?)
            }
            _ => {
                return Err(Fault::invalid(
                    "resource_type: must be namespace, pipeline, table or landing_zone",
                ));
            }
        })
    }

    /// [`Self::resource`] of a kind that can be shared.
    fn shareable(&self) -> Result<Resource, Fault> {
        let resource = self.resource()?;
        match ownership::is_shareable(resource.kind) {
            true => Ok(resource),
            false => Err(Fault::invalid(
                "resource_type: only namespaces, pipelines and tables can be shared",
            )),
        }
    }
}

fn pair(kind: Option<String>, id: Option<String>) -> Result<Option<Named>, Fault> {
    match (kind, id) {
        (Some(resource_type), Some(resource_id)) => Ok(Some(Named {
            resource_type,
            resource_id,
        })),
        (None, None) => Ok(None),
        _ => Err(Fault::invalid(
            "resource_type and resource_id: must be given together",
        )),
    }
}

pub(crate) async fn create(
    State(state): State<AppState>,
    access: Access,
    Json(body): Json<Create>,
) -> Result<impl IntoResponse, Fault> {
    limit::user("grantee_id", &body.grantee_id)?;
    let named = Named {
        resource_type: body.resource_type,
        resource_id: body.resource_id,
    };
    let resource = named.shareable()?;
    access.check(&resource, Action::Share).await?;
    ownership::require(&state, &resource).await?;
    let owner = state.enforcement.owner_of(&resource).await?;
    let grant = NewGrant {
        grantee: match body.grantee_type {
            GranteeType::User => Grantee::User(body.grantee_id),
            GranteeType::Role => Grantee::Role(body.grantee_id),
        },
        resource: resource.owned_by(owner),
        permission: body.permission,
    };
    let grant = state.sharing.share(access.identity(), &grant).await?;
    Ok((StatusCode::CREATED, axum::Json(Shown::from(grant))))
}

pub(crate) async fn list(
    State(state): State<AppState>,
    access: Access,
    Query(filter): Query<Filter>,
) -> Result<impl IntoResponse, Fault> {
    if let Some(grantee) = &filter.grantee_id {
        limit::user("grantee_id", grantee)?;
    }
    let named = pair(filter.resource_type, filter.resource_id)?;
    let resource = match named {
        Some(named) => {
            let resource = named.shareable()?;
            access.check(&resource, Action::Share).await?;
            Some((resource.kind.as_str().to_owned(), resource.id))
        }
        // The plugin leaves out what the caller may not see.
        None => None,
    };
    let wanted = GrantFilter {
        resource,
        grantee: filter.grantee_id,
        id: None,
    };
    let grants = state.sharing.list(access.identity(), &wanted).await?;
    let total = grants.len();
    let shown = limit::slice(grants, filter.limit, filter.offset)?;
    Ok(axum::Json(List {
        grants: shown.into_iter().map(Shown::from).collect(),
        total,
    }))
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    access: Access,
    Path(Id { grant_id }): Path<Id>,
) -> Result<impl IntoResponse, Fault> {
    limit::text("grant_id", &grant_id, LONGEST_ID)?;
    let missing = || Fault::not_found(format!("grant {grant_id} does not exist"));
    let wanted = GrantFilter {
        id: Some(grant_id.clone()),
        ..GrantFilter::default()
    };
    let found = state.sharing.list(access.identity(), &wanted).await?;
    let grant = found.into_iter().find(|grant| grant.id == grant_id);
    let grant = grant.ok_or_else(missing)?;
    let named = Named {
        resource_type: grant.resource_type,
        resource_id: grant.resource_id,
    };
    access.check(&named.resource()?, Action::Share).await?;
    match state.sharing.revoke(access.identity(), &grant_id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(missing()),
    }
}

/// Gives one resource away, or everything that somebody owns.
pub(crate) async fn transfer(
    State(state): State<AppState>,
    access: Access,
    Json(body): Json<Transfer>,
) -> Result<impl IntoResponse, Fault> {
    limit::user("to", &body.to)?;
    let giver = body.from.clone();
    let resources = match (pair(body.resource_type, body.resource_id)?, body.from) {
        (Some(named), None) => vec![named.resource()?],
        (None, Some(from)) => {
            limit::user("from", &from)?;
            access.about("ownership.transfer", &from);
            if from != access.user() {
                // Before anything is looked up: a refusal must not tell what somebody owns.
                let everything = Resource::all(ResourceKind::Namespace, None);
                access.check(&everything, Action::Share).await?;
            }
            owned_by(&state, &from).await?
        }
        _ => {
            return Err(Fault::invalid(
                "either resource_type and resource_id, or from, says what is transferred",
            ));
        }
    };
    // All or nothing, as far as the caller's rights go.
    for resource in &resources {
        access.check(resource, Action::Share).await?;
    }
    let mut transferred = Vec::new();
    for resource in resources {
        ownership::require(&state, &resource).await?;
        let giver = giver.as_deref();
        if !ownership::give_away(&state, &access, &resource, giver, &body.to).await? {
            continue;
        }
        transferred.push(Moved {
            resource_type: resource.kind.as_str(),
            resource_id: resource.id,
        });
    }
    let total = transferred.len();
    Ok(axum::Json(Transferred { transferred, total }))
}

async fn owned_by(state: &AppState, user: &str) -> Result<Vec<Resource>, Fault> {
    let owned = state.store.owners().of(user).await?;
    let namespaces = owned.namespaces.iter().map(Resource::namespace);
    let pipelines = owned.pipelines.iter().map(Resource::pipeline);
    let zones = owned.zones.iter().map(Resource::zone);
    let tables = owned.tables.iter().map(Resource::table);
    let all = namespaces.chain(pipelines).chain(zones).chain(tables);
    Ok(all.collect())
}
