//! The routes within their middleware.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use rat_catalog::Caller;
use rat_types::Identity;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::fault::Fault;
use crate::middleware::{
    access_log, audit, authentication, body_limit, client_address, cors, envelope, host, panic,
    rate_limit, request_id, security_headers, timeout,
};
use crate::route;
use crate::state::AppState;

/// Everything that ratd's public listener serves.
///
/// Requests should carry their connection's [`rat_service::listen::Peer`], which that crate's
/// server adds; without it every caller counts as this machine.
pub fn router(state: AppState) -> Router {
    wrap(bare(&state), &state)
}

/// The routes without their middleware.
fn bare(state: &AppState) -> Router {
    let access = Arc::new(state.enforcement.clone());
    let iceberg = rat_catalog::rest::guarded_router(state.catalog.clone(), access)
        .layer(from_fn_with_state(state.clone(), name_caller));
    route::router()
        .with_state(state.clone())
        .nest_service("/iceberg", iceberg)
        .fallback(not_found)
}

/// The chain around `routes`, outermost first.
pub(crate) fn wrap(routes: Router, state: &AppState) -> Router {
    let config = &state.config;
    let origins = cors::Origins::new(config.cors_origins.iter().map(String::as_str));
    let proxies: client_address::TrustedProxies = config.trusted_proxies.as_slice().into();
    let bodies = body_limit::Limits {
        json: config.body_limit,
        iceberg: config.iceberg_body_limit,
        upload: config.upload_limit,
    };
    let hosts = host::Hosts::new(config, state.authenticator.clone());
    let times = timeout::Limits {
        request: config.request_timeout,
        query: config.query_timeout,
    };
    let layers = ServiceBuilder::new()
        .layer(from_fn(envelope::render))
        .layer(cors::layer(&origins))
        .layer(from_fn(security_headers::add))
        .layer(from_fn(request_id::assign))
        .layer(from_fn_with_state(proxies, client_address::find))
        .layer(from_fn(access_log::record))
        .layer(CatchPanicLayer::custom(panic::respond))
        .layer(from_fn_with_state(hosts, host::check))
        .layer(from_fn_with_state(origins, cors::refuse_foreign))
        .layer(from_fn_with_state(bodies, body_limit::apply))
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(
            rate_limit::Limiter::new(config.rate_limit),
            rate_limit::apply,
        ))
        .layer(from_fn_with_state(
            state.audit.clone(),
            audit::record_refusals,
        ))
        .layer(from_fn_with_state(
            state.authenticator.clone(),
            authentication::apply,
        ))
        .layer(from_fn_with_state(state.audit.clone(), audit::record))
        .layer(from_fn_with_state(times, timeout::apply));
    routes.layer(layers)
}

/// Tells the catalog who is calling. A run's or a query's token means nothing on this listener.
async fn name_caller(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    if let Err(error) = state.enforcer.ready() {
        return Fault::from(error).into_response();
    }
    if let Some(identity) = request.extensions().get::<Identity>().cloned() {
        request.extensions_mut().insert(Caller::User(identity));
    }
    next.run(request).await
}

async fn not_found(request: Request) -> Fault {
    let path: String = request.uri().path().chars().take(200).collect();
    Fault::not_found(format!("there is nothing at {path:?}"))
}
