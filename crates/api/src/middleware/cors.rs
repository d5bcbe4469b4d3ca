//! Which web pages may call the API.
//!
//! Besides the headers of CORS this refuses what CORS lets through: a browser sends uploads and
//! requests without a body to any server without asking first, and on an installation without
//! authentication that would let every web page act as its visitor. A request that changes
//! something and names an origin that is neither ours nor allowed is answered with 403.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, IF_MATCH, ORIGIN, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method};
use rat_types::Kind;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::request_id;
use crate::fault::Fault;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// How long a browser may remember the answer to its preflight.
const MAX_AGE: Duration = Duration::from_secs(300);

/// The origins that may call, as a browser sends them.
#[derive(Debug, Clone)]
pub(crate) struct Origins(Arc<[HeaderValue]>);

impl Origins {
    /// From the setting.
    pub(crate) fn new<'a>(origins: impl IntoIterator<Item = &'a str>) -> Self {
        let mut list = Vec::new();
        for origin in origins {
            match HeaderValue::from_str(origin) {
                Ok(value) => list.push(value),
                Err(_) => tracing::warn!(origin, "ignored an origin that no browser can send"),
            }
        }
        Self(list.into())
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        self.0.contains(origin)
    }
}

/// The headers of CORS, and the answers to preflights.
pub(crate) fn layer(origins: &Origins) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.0.iter().cloned()))
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::DELETE,
        ])
        .allow_headers([
            ACCEPT,
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            LAST_EVENT_ID,
            API_KEY,
            request_id::HEADER,
        ])
        .expose_headers([
            request_id::HEADER,
            RETRY_AFTER,
            HeaderName::from_static("ratelimit-limit"),
            HeaderName::from_static("ratelimit-remaining"),
        ])
        .max_age(MAX_AGE)
}

/// The layer that refuses changes on behalf of foreign web pages.
pub(crate) async fn refuse_foreign(
    State(origins): State<Origins>,
    request: Request,
    next: Next,
) -> Response {
    let changes = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if changes && is_foreign(&request, &origins) {
        let message = "this web page's origin may not call RAT; server.cors_origins would allow it";
        return Fault::new(Kind::PermissionDenied, message)
            .because("ORIGIN_REFUSED")
            .into_response();
    }
    next.run(request).await
}

fn is_foreign(request: &Request, origins: &Origins) -> bool {
    let headers = request.headers();
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    // Written by the browser itself; a page cannot.
    let same_site = headers
        .get(FETCH_SITE)
        .is_some_and(|site| site == "same-origin");
    let own = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    let authority = origin
        .to_str()
        .ok()
        .and_then(|text| text.split_once("://"))
        .map(|o| o.1);
    !same_site && !origins.allows(origin) && (own.is_none() || authority != own)
}
