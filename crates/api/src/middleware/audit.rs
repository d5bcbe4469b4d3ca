//! An event for every request that changes something: who, what, from where, with which outcome.
//!
//! Written after the handler, so that it tells what happened and not what was asked for; a
//! request that was dropped on the way is audited as `aborted`. The events go to the log with
//! the target `rat::audit`.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{Method, StatusCode};
use rat_types::Identity;

use super::client_address::ClientAddress;

/// The layer.
pub(crate) async fn record(request: Request, next: Next) -> Response {
    if !is_mutation(request.method()) {
        return next.run(request).await;
    }
    let extensions = request.extensions();
    let mut event = Event {
        user: extensions
            .get::<Identity>()
            .map_or_else(String::new, |found| found.user_id.clone()),
        client: extensions
            .get::<ClientAddress>()
            .map_or_else(String::new, ToString::to_string),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        status: None,
    };
    let response = next.run(request).await;
    event.status = Some(response.status());
    response
}

fn is_mutation(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

struct Event {
    user: String,
    client: String,
    method: Method,
    path: String,
    status: Option<StatusCode>,
}

impl Event {
    fn outcome(&self) -> &'static str {
        match self.status {
            None => "aborted",
            Some(status) if status.is_server_error() => "failed",
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => "denied",
            Some(status) if status.is_client_error() => "refused",
            Some(_) => "done",
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        tracing::info!(
            target: "rat::audit",
            user = self.user,
            client = self.client,
            method = %self.method,
            path = self.path,
            status = self.status.map_or(0, |status| status.as_u16()),
            outcome = self.outcome(),
            "audit"
        );
    }
}
