//! Who is calling, and what this installation can do.

use axum::extract::State;
use axum::response::IntoResponse;
use rat_types::Identity;
use serde::Serialize;

use crate::access::Access;
use crate::state::AppState;

#[derive(Serialize)]
struct Me {
    user_id: String,
    email: String,
    display_name: String,
    roles: Vec<String>,
}

/// The answer of `/features`; its shape is that of the plugin system's documentation.
#[derive(Serialize)]
struct Features {
    edition: &'static str,
    auth: bool,
    sharing: bool,
    enforcement: bool,
    container_executor: bool,
    cloud_aws: bool,
    pipeline_triggers: bool,
    pipeline_versions: bool,
}

pub(crate) async fn me(access: Access) -> impl IntoResponse {
    let Identity {
        user_id,
        email,
        display_name,
        roles,
    } = access.identity().clone();
    axum::Json(Me {
        user_id,
        email,
        display_name,
        roles,
    })
}

pub(crate) async fn features(State(state): State<AppState>) -> impl IntoResponse {
    axum::Json(Features {
        edition: "community",
        auth: state.authenticator.is_required(),
        sharing: false,
        enforcement: state.enforcer.is_active(),
        container_executor: false,
        cloud_aws: false,
        pipeline_triggers: false,
        pipeline_versions: false,
    })
}
