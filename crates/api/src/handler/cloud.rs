//! Temporary cloud credentials.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use rat_types::NamespaceName;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Action, Resource};
use crate::extract::Query;
use crate::fault::Fault;
use crate::limit;
use crate::slot::CredentialsRequest;
use crate::state::AppState;
use crate::time::Time;

/// Characters of a provider's name.
const LONGEST_PROVIDER: usize = 64;
/// Characters of an ARN, a project ID, a storage URI.
const LONGEST_RESOURCE: usize = 2048;

#[derive(Serialize)]
struct Answer {
    namespace: NamespaceName,
    provider: String,
    resource: String,
    credentials: BTreeMap<String, String>,
    expires_at: Option<Time>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    namespace: NamespaceName,
    provider: String,
    #[serde(default)]
    resource: String,
}

pub(crate) async fn credentials(
    State(state): State<AppState>,
    access: Access,
    Query(asked): Query<Parameters>,
) -> Result<Response, Fault> {
    limit::text("provider", &asked.provider, LONGEST_PROVIDER)?;
    limit::text("resource", &asked.resource, LONGEST_RESOURCE)?;
    if asked.provider.trim().is_empty() {
        return Err(Fault::invalid("provider: must not be empty"));
    }
    let namespace = Resource::namespace(&asked.namespace);
    access.check(&namespace, Action::Read).await?;
    let request = CredentialsRequest {
        owner: state.enforcement.owner_of(&namespace).await?,
        provider: asked.provider,
        resource: asked.resource,
        namespace: asked.namespace,
    };
    let found = state.cloud.get(access.identity(), &request).await?;
    let exposed = found.values.iter();
    let answer = Answer {
        namespace: request.namespace,
        provider: request.provider,
        resource: request.resource,
        credentials: exposed
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect(),
        expires_at: found.expires_at.map(Time),
    };
    let mut response = axum::Json(answer).into_response();
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, never);
    Ok(response)
}
