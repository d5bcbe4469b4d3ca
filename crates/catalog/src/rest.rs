//! The Iceberg REST protocol, version 1.
//!
//! Paths have no prefix; a namespace in a path is its levels joined by the unit separator (`%1F`).
//! Errors have the specification's body, also for what no handler ever sees: a body that is no
//! JSON, a route that does not exist, a method that it has not. Nothing is vended: clients reach
//! the lake's folder themselves.

mod answer;
mod config;
mod extract;
mod namespaces;
mod page;
mod tables;
mod unsupported;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, OriginalUri};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::Method;

use crate::{AccessControl, Catalog, Error, Unrestricted};

use answer::Failure;

/// Longest request body. A commit carries a schema and a few snapshots; data never comes here.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// The routes without access control: every user may do everything.
pub fn router(catalog: Catalog) -> Router {
    guarded_router(catalog, Arc::new(Unrestricted))
}

/// The routes, to be mounted wherever the catalog is served. Each request has to carry a
/// [`crate::Caller`] in its extensions; one without is answered with 401.
pub fn guarded_router(catalog: Catalog, access: Arc<dyn AccessControl>) -> Router {
    let namespace = "/v1/namespaces/{namespace}";
    let tables = "/v1/namespaces/{namespace}/tables";
    let table = "/v1/namespaces/{namespace}/tables/{table}";
    let metrics = "/v1/namespaces/{namespace}/tables/{table}/metrics";
    let properties = "/v1/namespaces/{namespace}/properties";
    Router::new()
        .route("/v1/config", get(config::get))
        .route(
            "/v1/namespaces",
            get(namespaces::list).post(namespaces::create),
        )
        .route(
            namespace,
            get(namespaces::load)
                .head(namespaces::exists)
                .delete(namespaces::drop),
        )
        .route(properties, post(namespaces::update_properties))
        .route(tables, get(tables::list).post(tables::create))
        .route(
            table,
            get(tables::load)
                .head(tables::exists)
                .post(tables::commit)
                .delete(tables::drop),
        )
        .route(metrics, post(tables::metrics))
        .merge(unsupported::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(Extension(access))
        .with_state(catalog)
}

async fn not_found(OriginalUri(uri): OriginalUri) -> Failure {
    Failure(Error::NoSuchRoute {
        path: uri.path().to_owned(),
    })
}

async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> Failure {
    Failure(Error::MethodNotAllowed {
        method: method.to_string(),
        path: uri.path().to_owned(),
    })
}
