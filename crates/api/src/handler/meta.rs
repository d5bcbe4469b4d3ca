//! Who is calling, and what this installation can do.

use axum::extract::State;
use axum::response::IntoResponse;
use rat_config::Slot;
use rat_types::Identity;
use serde::Serialize;

use crate::access::Access;
use crate::slot::Holder;
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
    /// Only where the settings say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<Login>,
}

/// Where people log in, for who is about to.
#[derive(Serialize)]
struct Login {
    issuer: String,
    client_id: String,
    scopes: Vec<String>,
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

/// A flag is true while what it names works: not while its plugin is down.
pub(crate) async fn features(State(state): State<AppState>) -> impl IntoResponse {
    let slots = state.plugins.slots();
    let holds = |slot, holder| {
        let mut slots = slots.iter();
        slots.any(|state| state.slot == slot && state.holder == holder)
    };
    let is_pro = slots.iter().any(|slot| slot.plugin.is_some());
    let enforcer = &state.enforcer;
    axum::Json(Features {
        edition: if is_pro { "pro" } else { "community" },
        auth: state.authenticator.is_required() && !holds(Slot::Auth, Holder::Denied),
        sharing: state.sharing.is_active(),
        enforcement: enforcer.is_active() && enforcer.ready().is_ok(),
        container_executor: holds(Slot::Executor, Holder::Plugin),
        cloud_aws: state.cloud.is_active(),
        pipeline_triggers: false,
        pipeline_versions: false,
        login: state.config.login.as_ref().map(|login| Login {
            issuer: login.issuer.clone(),
            client_id: login.client_id.clone(),
            scopes: login.scopes.clone(),
        }),
    })
}
