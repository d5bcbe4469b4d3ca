//! Routes of the specification that this catalog does not offer: refused by name, so that nobody
//! takes a missing feature for a wrong path.

use axum::Router;
use axum::routing::any;

use crate::{Catalog, Error};

use super::answer::Failure;
use super::extract::By;

const ROUTES: &[(&str, &str)] = &[
    ("/v1/oauth/tokens", "getting a token from the catalog"),
    ("/v1/namespaces/{namespace}/register", "registering a table"),
    (
        "/v1/namespaces/{namespace}/tables/{table}/unregister",
        "unregistering a table",
    ),
    ("/v1/tables/rename", "renaming a table"),
    (
        "/v1/transactions/commit",
        "a transaction over several tables",
    ),
    (
        "/v1/namespaces/{namespace}/tables/{table}/plan",
        "planning a scan",
    ),
    (
        "/v1/namespaces/{namespace}/tables/{table}/plan/{plan}",
        "planning a scan",
    ),
    (
        "/v1/namespaces/{namespace}/tables/{table}/tasks",
        "planning a scan",
    ),
    (
        "/v1/namespaces/{namespace}/tables/{table}/credentials",
        "vending credentials",
    ),
    (
        "/v1/namespaces/{namespace}/tables/{table}/sign",
        "signing requests",
    ),
    ("/v1/namespaces/{namespace}/views", "a view"),
    ("/v1/namespaces/{namespace}/views/{view}", "a view"),
    ("/v1/namespaces/{namespace}/register-view", "a view"),
    ("/v1/views/rename", "a view"),
    ("/v1/namespaces/{namespace}/functions", "a function"),
    (
        "/v1/namespaces/{namespace}/functions/{function}",
        "a function",
    ),
];

pub(super) fn routes() -> Router<Catalog> {
    ROUTES
        .iter()
        .fold(Router::new(), |router, (path, operation)| {
            let refuse = move |_: By| async move { Failure(Error::Unsupported { operation }) };
            router.route(path, any(refuse))
        })
}
