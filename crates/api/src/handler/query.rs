//! Ad-hoc queries.

use axum::extract::State;
use axum::response::Response;
use rat_types::NamespaceName;
use serde::Deserialize;

use crate::access::Access;
use crate::extract::Json;
use crate::fault::Fault;
use crate::query::{self, Query};
use crate::state::AppState;

/// Characters of a query.
const LONGEST_SQL: usize = 100_000;
/// Rows where nothing was asked for.
const DEFAULT_ROWS: u64 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    sql: String,
    namespace: Option<NamespaceName>,
    limit: Option<u64>,
}

/// Who may read which table is decided where the tables are loaded: in the catalog, by the
/// query's token.
pub(crate) async fn execute(
    State(state): State<AppState>,
    access: Access,
    Json(body): Json<Body>,
) -> Result<Response, Fault> {
    access.about("query.execute", "");
    access.ready()?;
    if body.sql.trim().is_empty() {
        return Err(Fault::invalid("sql: must not be empty"));
    }
    if body.sql.chars().count() > LONGEST_SQL {
        let message = format!("sql: must have at most {LONGEST_SQL} characters");
        return Err(Fault::invalid(message).because("TEXT_TOO_LONG"));
    }
    let limit = body
        .limit
        .unwrap_or(DEFAULT_ROWS)
        .min(state.config.query_max_rows);
    if limit == 0 {
        return Err(Fault::invalid("limit: must be at least 1"));
    }
    let namespace = body.namespace.unwrap_or_else(default_namespace);
    query::execute(
        &state,
        &access,
        Query {
            sql: body.sql,
            namespace,
            limit,
        },
    )
    .await
}

fn default_namespace() -> NamespaceName {
    "default"
        .parse()
        .expect("\"default\" follows the rules of names")
}
