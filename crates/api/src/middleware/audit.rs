//! An entry for every request that changes something or was not allowed: who, what, from where,
//! with which outcome.
//!
//! Written after the handler, so that it tells what happened and not what was asked for; a
//! request that was dropped on the way is audited as `aborted`. Where the entries go is
//! [`crate::audit`]'s.

use std::sync::{Arc, OnceLock};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{Method, StatusCode};
use rat_catalog::Denial;
use rat_types::Identity;

use super::client_address::ClientAddress;
use super::request_id::RequestId;
use crate::audit::{AUTHENTICATE, Audit, AuditEvent, DENIED, REFUSED, explain};
use crate::fault::Fault;

/// What a request turns out to be about: set by its handler, read when it is over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Touched(Arc<OnceLock<(String, String)>>);

impl Touched {
    /// The first word stands.
    pub(crate) fn set(&self, action: String, resource: &str) {
        self.0.get_or_init(|| (action, resource.to_owned()));
    }

    fn get(&self) -> (String, String) {
        self.0.get().cloned().unwrap_or_default()
    }
}

/// The layer, behind authentication.
pub(crate) async fn record(
    State(audit): State<Audit>,
    mut request: Request,
    next: Next,
) -> Response {
    let (touched, asked) = (Touched::default(), Asked::of(&request));
    request.extensions_mut().insert(touched.clone());
    if !is_mutation(request.method()) {
        let response = next.run(request).await;
        if let Some(denial) = denial_of(&response) {
            audit.denied(&denial, &asked.ip, &asked.request_id, &asked.request);
        }
        return response;
    }
    let mut entry = Entry {
        audit,
        touched,
        asked,
        status: None,
        reason: String::new(),
    };
    let response = next.run(request).await;
    entry.status = Some(response.status());
    if let Some(denial) = denial_of(&response) {
        entry.touched.set(denial.action, &denial.resource);
        entry.reason = denial.reason;
    } else if let Some(fault) = response.extensions().get::<Fault>() {
        entry.reason = fault.message().to_owned();
    }
    response
}

/// The layer in front of authentication, for those who do not get behind it.
pub(crate) async fn record_refusals(
    State(audit): State<Audit>,
    request: Request,
    next: Next,
) -> Response {
    let asked = Asked::of(&request);
    let response = next.run(request).await;
    if response.status() == StatusCode::UNAUTHORIZED {
        let fault = response.extensions().get::<Fault>();
        let reason = fault.map_or("", Fault::message);
        audit.refused(AuditEvent {
            action: AUTHENTICATE.to_owned(),
            detail: explain(&asked.request, reason),
            ip: asked.ip,
            request_id: asked.request_id,
            status: StatusCode::UNAUTHORIZED.as_u16(),
            outcome: DENIED,
            ..AuditEvent::default()
        });
    }
    response
}

fn is_mutation(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn denial_of(response: &Response) -> Option<Denial> {
    let extensions = response.extensions();
    let fault = extensions.get::<Fault>().and_then(Fault::denial);
    fault.or_else(|| extensions.get::<Denial>()).cloned()
}

/// What is known of a request before it is answered.
struct Asked {
    user: String,
    ip: String,
    request_id: String,
    request: String,
    action: String,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let extensions = request.extensions();
        let (method, path) = (request.method(), request.uri().path());
        let surface = match super::envelope::is_iceberg(path) {
            true => "catalog",
            false => "api",
        };
        Self {
            user: extensions
                .get::<Identity>()
                .map_or_else(String::new, |found| found.user_id.clone()),
            ip: extensions
                .get::<ClientAddress>()
                .map_or_else(String::new, ToString::to_string),
            request_id: extensions
                .get::<RequestId>()
                .map_or_else(String::new, |id| id.as_str().to_owned()),
            request: format!("{method} {path}"),
            action: format!("{surface}.{}", method.as_str().to_lowercase()),
        }
    }
}

struct Entry {
    audit: Audit,
    touched: Touched,
    asked: Asked,
    status: Option<StatusCode>,
    /// Why it was refused.
    reason: String,
}

impl Entry {
    fn outcome(&self) -> &'static str {
        match self.status {
            None => "aborted",
            Some(status) if status.is_server_error() => "failed",
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => DENIED,
            Some(status) if status.is_client_error() => REFUSED,
            Some(_) => "done",
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let outcome = self.outcome();
        let (action, resource) = self.touched.get();
        let asked = &mut self.asked;
        let event = AuditEvent {
            user: std::mem::take(&mut asked.user),
            action: if action.is_empty() {
                std::mem::take(&mut asked.action)
            } else {
                action
            },
            resource,
            detail: explain(&asked.request, &self.reason),
            ip: std::mem::take(&mut asked.ip),
            request_id: std::mem::take(&mut asked.request_id),
            status: self.status.map_or(0, |status| status.as_u16()),
            outcome,
        };
        match outcome {
            DENIED => self.audit.not_allowed(event),
            REFUSED => self.audit.not_done(event),
            _ => self.audit.record(event),
        }
    }
}
