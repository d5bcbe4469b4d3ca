//! Gives every error the body of the surface it belongs to.
//!
//! Errors of our own carry their [`Fault`]; errors that a library made (a 405 without a body, a
//! plain-text rejection) are recognised by their content type and given one. An error that is
//! JSON already is left alone: the catalog writes the specification's body itself.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName};
use http_body_util::{BodyExt as _, Limited};

use crate::fault::Fault;

/// Headers of a library's error that mean something without its body.
const KEPT: [HeaderName; 3] = [ALLOW, RETRY_AFTER, WWW_AUTHENTICATE];
/// How much of a library's message is kept.
const LONGEST_MESSAGE: usize = 2048;

/// Whether `path` belongs to the Iceberg REST catalog.
pub(crate) fn is_iceberg(path: &str) -> bool {
    path == "/iceberg" || path.starts_with("/iceberg/")
}

/// The layer.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let iceberg = is_iceberg(request.uri().path());
    let mut response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    match response.extensions_mut().remove::<Fault>() {
        Some(fault) if iceberg => replace(response.headers(), fault.into_iceberg_response()),
        Some(_) => response,
        None if is_json(response.headers()) => response,
        None => {
            let (parts, body) = response.into_parts();
            let fault = Fault::from_status(status, &text_of(body).await);
            let fresh = match iceberg {
                true => fault.into_iceberg_response(),
                false => fault.into_response(),
            };
            replace(&parts.headers, fresh)
        }
    }
}

/// `fresh` with the headers that the layers had put on the answer it replaces.
fn replace(old: &HeaderMap, mut fresh: Response) -> Response {
    for (name, value) in old {
        let ours = *name != CONTENT_TYPE && *name != CONTENT_LENGTH;
        if ours && (KEPT.contains(name) || !fresh.headers().contains_key(name)) {
            fresh.headers_mut().append(name.clone(), value.clone());
        }
    }
    fresh
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/json"))
}

async fn text_of(body: Body) -> String {
    let bytes = match Limited::new(body, LONGEST_MESSAGE).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => Bytes::new(),
    };
    String::from_utf8_lossy(&bytes).into_owned()
}
