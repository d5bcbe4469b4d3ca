//! Health probes. They answer without a credential, so they tell which service is down and not
//! why; the reason is in the log.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::plugin;
use crate::health::Check;
use crate::slot::SlotState;
use crate::state::AppState;

/// Services by name, in the order in which they were asked.
struct Services<'a>(&'a [Check]);

impl Serialize for Services<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for check in self.0 {
            map.serialize_entry(check.name, status_of(check))?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    services: Services<'a>,
    plugins: BTreeMap<&'a str, &'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    slots: BTreeMap<&'static str, Place>,
}

/// What is in a slot that a plugin is configured for.
#[derive(Serialize)]
struct Place {
    plugin: String,
    on_down: Option<&'static str>,
    holder: &'static str,
}

impl Place {
    /// Nothing for a slot that is the built-in's anyway.
    fn of(state: SlotState) -> Option<(&'static str, Self)> {
        let place = Self {
            plugin: state.plugin?,
            on_down: state.on_down.map(plugin::on_down),
            holder: state.holder.as_str(),
        };
        Some((state.slot.as_str(), place))
    }
}

#[derive(Serialize)]
struct Live<'a> {
    status: &'static str,
    version: &'a str,
    git_commit: &'a str,
    build_time: &'a str,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    checks: BTreeMap<&'static str, ReadyCheck>,
}

#[derive(Serialize)]
struct ReadyCheck {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

fn status_of(check: &Check) -> &'static str {
    match check.problem {
        None => "healthy",
        Some(_) => "down",
    }
}

pub(crate) async fn health(State(state): State<AppState>) -> impl IntoResponse {
    let snapshot = state.memory.health.check(&state).await;
    let status = if snapshot.all_up() { "ok" } else { "degraded" };
    let plugins = snapshot.plugins.iter();
    let slots = state.plugins.slots();
    axum::Json(Health {
        status,
        services: Services(&snapshot.services),
        plugins: plugins
            .map(|(name, status)| (name.as_str(), status.as_str()))
            .collect(),
        slots: slots.into_iter().filter_map(Place::of).collect(),
    })
    .into_response()
}

pub(crate) async fn live(State(state): State<AppState>) -> impl IntoResponse {
    let config = &state.config;
    axum::Json(Live {
        status: "ok",
        version: &config.version,
        git_commit: &config.git_commit,
        build_time: &config.build_time,
    })
    .into_response()
}

pub(crate) async fn ready(State(state): State<AppState>) -> impl IntoResponse {
    let snapshot = state.memory.health.check(&state).await;
    let (code, status) = match snapshot.all_up() {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    let describe = |check: &Check| {
        (
            check.name,
            ReadyCheck {
                status: status_of(check),
                error: check.problem,
            },
        )
    };
    let checks = snapshot.services.iter().map(describe).collect();
    (code, axum::Json(Ready { status, checks }))
}
