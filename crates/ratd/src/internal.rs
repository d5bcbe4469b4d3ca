//! The internal listener: the catalog for runs and queries, and the callback of runs.
//!
//! Who calls is what the bearer token says: a run's token gives that run's scope, a query's token
//! its caller's eyes. There is no other credential here, no user and no public route; that the
//! listener is a socket for RAT's own group or on loopback is the first fence, the token the
//! second.
//!
//! A request has as long as one of the public listener until its answer begins. Nothing here is
//! uploaded, so that this includes its body; a body that is answered may take as long as it likes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use rat_api::{Audit, Enforcement};
use rat_catalog::{Caller, Catalog, Denial, QueryScope, Readable, RunScope};
use rat_scheduler::{Handle, QueryTokens, RunTokens};
use rat_service::ErrorChain;
use rat_store::RunRecord;
use rat_types::{Kind, RunId, RunOutcome};
use serde_json::{Value, json};
use tower_http::catch_panic::CatchPanicLayer;

/// Longest outcome: a result with three sample rows for each of many quality tests.
const MAX_OUTCOME_BYTES: usize = 4 << 20;
/// Whether it ever was one is nobody's business.
const INVALID_TOKEN: &str = "the token is not valid (its run or query may have ended)";

/// What the routes work with.
#[derive(Debug, Clone)]
pub(crate) struct Internal {
    pub(crate) catalog: Catalog,
    pub(crate) scheduler: Handle,
    pub(crate) run_tokens: RunTokens,
    pub(crate) query_tokens: QueryTokens,
    /// Says which tables a query may read on behalf of its caller.
    pub(crate) access: Enforcement,
    pub(crate) audit: Audit,
    /// Until an answer begins.
    pub(crate) request_timeout: Duration,
}

/// Everything that the internal listener serves.
pub(crate) fn router(internal: Internal) -> Router {
    let access = Arc::new(internal.access.clone());
    let iceberg = rat_catalog::rest::guarded_router(internal.catalog.clone(), access)
        .layer(from_fn_with_state(internal.clone(), name_caller));
    let limit = internal.request_timeout;
    Router::new()
        .route("/internal/v1/runs/{id}/outcome", post(outcome))
        .layer(DefaultBodyLimit::max(MAX_OUTCOME_BYTES))
        .with_state(internal)
        .nest_service("/iceberg", iceberg)
        .layer(from_fn_with_state(limit, limit_time))
        .layer(CatchPanicLayer::new())
}

/// The layer that gives up on a request.
async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let is_iceberg = request.uri().path().starts_with("/iceberg/");
    let answer = tokio::time::timeout(limit, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let message = format!("no answer within {} s", limit.as_secs_f32());
        match is_iceberg {
            true => catalog_error(
                StatusCode::GATEWAY_TIMEOUT,
                "GatewayTimeoutException",
                &message,
            ),
            false => Fault::new(Kind::DeadlineExceeded, message).into_response(),
        }
    })
}

fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Puts the caller into the request. The catalog answers a request without one with 401, in the
/// words of its protocol.
async fn name_caller(
    State(internal): State<Internal>,
    mut request: Request,
    next: Next,
) -> Response {
    let token = bearer(&request).map(str::to_owned);
    // The catalog sees a scope and never a token.
    request.headers_mut().remove(AUTHORIZATION);
    let mut request_id = String::new();
    if let Some(token) = token {
        match internal.caller(&token).await {
            Ok(Some((caller, of))) => {
                request.extensions_mut().insert(caller);
                request_id = of;
            }
            Ok(None) => return invalid_token(),
            Err(error) => return unavailable(&error),
        }
    }
    let asked = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    // ratq looks into namespaces by itself; the tables are what a query is about.
    let denial = response.extensions().get::<Denial>();
    if let Some(denial) = denial.filter(|denial| denial.action.starts_with("table.")) {
        internal.audit.denied(denial, "", &request_id, &asked);
    }
    response
}

impl Internal {
    /// Who calls, and the id of the request that their query answers.
    async fn caller(&self, token: &str) -> Result<Option<(Caller, String)>, rat_store::Error> {
        if let Some(asker) = self.query_tokens.lookup(token) {
            let scope = QueryScope {
                identity: asker.identity,
                readable: Readable::All,
            };
            return Ok(Some((Caller::Query(scope), asker.request_id)));
        }
        let run = self.run_tokens.lookup(token).await?;
        Ok(run.map(
            |RunRecord {
                 id,
                 pipeline,
                 readable,
                 ..
             }| {
                let scope = RunScope {
                    run_id: id,
                    ident: pipeline,
                    readable,
                };
                (Caller::Run(scope), String::new())
            },
        ))
    }
}

fn invalid_token() -> Response {
    let status = StatusCode::UNAUTHORIZED;
    challenged(catalog_error(
        status,
        "NotAuthorizedException",
        INVALID_TOKEN,
    ))
}

fn unavailable(error: &rat_store::Error) -> Response {
    tracing::warn!(error = %ErrorChain(error), "failed to look a token up");
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let message = "the platform database does not answer";
    catalog_error(status, "ServiceUnavailableException", message)
}

/// An error with the specification's body.
fn catalog_error(status: StatusCode, sort: &str, message: &str) -> Response {
    let body = json!({"error": {"message": message, "type": sort, "code": status.as_u16()}});
    (status, Json(body)).into_response()
}

/// Tells which sort of credential is wanted.
fn challenged(mut response: Response) -> Response {
    let challenge = axum::http::HeaderValue::from_static("Bearer");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

/// A run reports its end.
async fn outcome(
    State(internal): State<Internal>,
    Path(id): Path<String>,
    request: Request,
) -> Result<StatusCode, Fault> {
    let missing = || Fault::unauthenticated("no token was presented");
    let token = bearer(&request).ok_or_else(missing)?;
    let run = internal
        .run_tokens
        .lookup(token)
        .await
        .map_err(|error| Fault::store(&error))?;
    let run = run.ok_or_else(|| Fault::unauthenticated(INVALID_TOKEN))?;
    if id.parse::<RunId>().ok() != Some(run.id) {
        return Err(Fault::new(
            Kind::PermissionDenied,
            "the token is another run's",
        ));
    }
    let outcome = read_outcome(request).await?;
    match internal.scheduler.outcome(run.id, outcome).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(rat_scheduler::Error::Store(error)) => Err(Fault::store(&error)),
        Err(error) => Err(Fault::new(error.kind(), error.to_string())),
    }
}

async fn read_outcome(request: Request) -> Result<RunOutcome, Fault> {
    let body = axum::body::to_bytes(request.into_body(), MAX_OUTCOME_BYTES).await;
    let body = body.map_err(|_| {
        Fault::new(
            Kind::PayloadTooLarge,
            format!("an outcome has at most {MAX_OUTCOME_BYTES} bytes"),
        )
    })?;
    serde_json::from_slice(&body).map_err(|error| {
        Fault::new(
            Kind::InvalidArgument,
            format!("not a run's outcome: {error}"),
        )
    })
}

/// A refused callback, in RAT's envelope.
#[derive(Debug)]
struct Fault {
    kind: Kind,
    message: String,
}

impl Fault {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    fn unauthenticated(message: &str) -> Self {
        Self::new(Kind::Unauthenticated, message)
    }

    fn store(error: &rat_store::Error) -> Self {
        tracing::warn!(error = %ErrorChain(error), "failed to store the outcome of a run");
        Self::new(Kind::Unavailable, "the platform database does not answer")
    }

    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        match self.kind {
            Kind::Unauthenticated => (
                StatusCode::UNAUTHORIZED,
                "UNAUTHENTICATED",
                "AUTHENTICATION",
            ),
            Kind::PermissionDenied => (StatusCode::FORBIDDEN, "FORBIDDEN", "AUTHORIZATION"),
            Kind::PayloadTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "INVALID_ARGUMENT",
                "VALIDATION",
            ),
            Kind::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND", "NOT_FOUND"),
            Kind::InvalidArgument => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", "VALIDATION"),
            Kind::Conflict | Kind::AlreadyExists => {
                (StatusCode::CONFLICT, "ALREADY_EXISTS", "CONFLICT")
            }
            Kind::DeadlineExceeded => {
                (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED", "INTERNAL")
            }
            Kind::Unavailable | Kind::ResourceExhausted | Kind::Cancelled | Kind::Upstream => (
                StatusCode::SERVICE_UNAVAILABLE,
                "UNAVAILABLE",
                "UNAVAILABLE",
            ),
            Kind::Internal | Kind::NotImplemented => {
                (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "INTERNAL")
            }
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, code, sort) = self.parts();
        let body: Value = json!({"error": {"code": code, "type": sort, "message": self.message}});
        let response = (status, Json(body)).into_response();
        match status {
            StatusCode::UNAUTHORIZED => challenged(response),
            _ => response,
        }
    }
}

#[cfg(test)]
mod tests;
