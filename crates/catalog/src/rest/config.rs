//! `GET /v1/config`: what a client asks first.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Catalog, Error};

use super::answer::Failure;
use super::extract::{By, Parameters};

/// What this catalog offers, as the specification writes it.
const ENDPOINTS: &[&str] = &[
    "GET /v1/{prefix}/namespaces",
    "POST /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "DELETE /v1/{prefix}/namespaces/{namespace}",
    "POST /v1/{prefix}/namespaces/{namespace}/properties",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
];

#[derive(Debug, Deserialize)]
pub(super) struct ConfigParameters {
    warehouse: Option<String>,
}

pub(super) async fn get(
    State(catalog): State<Catalog>,
    _: By,
    Parameters(parameters): Parameters<ConfigParameters>,
) -> Result<Json<Value>, Failure> {
    if let Some(warehouse) = parameters.warehouse {
        let root = catalog.warehouse().location();
        if !["", "rat", root].contains(&warehouse.trim_end_matches('/')) {
            return Err(Failure(Error::NoSuchWarehouse { warehouse }));
        }
    }
    Ok(Json(
        json!({"defaults": {}, "overrides": {}, "endpoints": ENDPOINTS}),
    ))
}
