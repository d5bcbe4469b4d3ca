//! The one answer for everything that goes wrong.
//!
//! A [`Fault`] renders as RAT's envelope `{"error":{"code","type","message"}}` and leaves itself
//! in the response's extensions, so that the outermost layer can render it again as the Iceberg
//! specification's body where the request was for `/iceberg` ([`crate::middleware::envelope`]).
//! Detail of our own faults goes to the log; the client gets a message that is safe to show.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use rat_catalog::Denial;
use rat_types::{InvalidName, Kind};
use serde::Serialize;

/// An answer that is an error.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    status: StatusCode,
    class: &'static str,
    code: &'static str,
    reason: Option<Cow<'static, str>>,
    message: String,
    retry_after: Option<Duration>,
    denial: Option<Box<Denial>>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    code: &'static str,
    #[serde(rename = "type")]
    class: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct IcebergEnvelope<'a> {
    error: IcebergInner<'a>,
}

#[derive(Serialize)]
struct IcebergInner<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    class: &'static str,
    code: u16,
}

/// The status, type and code of a kind of error: the only place that maps them.
fn http_of(kind: Kind) -> (StatusCode, &'static str, &'static str) {
    match kind {
        Kind::InvalidArgument => (StatusCode::BAD_REQUEST, "VALIDATION", "INVALID_ARGUMENT"),
        Kind::Unauthenticated => (
            StatusCode::UNAUTHORIZED,
            "AUTHENTICATION",
            "UNAUTHENTICATED",
        ),
        Kind::PermissionDenied => (StatusCode::FORBIDDEN, "AUTHORIZATION", "FORBIDDEN"),
        Kind::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND", "NOT_FOUND"),
        Kind::AlreadyExists => (StatusCode::CONFLICT, "CONFLICT", "ALREADY_EXISTS"),
        Kind::Conflict => (StatusCode::CONFLICT, "CONFLICT", "CONFLICT"),
        Kind::PayloadTooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "VALIDATION",
            "INVALID_ARGUMENT",
        ),
        Kind::ResourceExhausted => (
            StatusCode::TOO_MANY_REQUESTS,
            "RATE_LIMIT",
            "RESOURCE_EXHAUSTED",
        ),
        Kind::Cancelled => (client_closed_request(), "CANCELED", "CANCELED"),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "INTERNAL"),
        Kind::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "INTERNAL", "NOT_IMPLEMENTED"),
        Kind::Upstream => (StatusCode::BAD_GATEWAY, "INTERNAL", "UPSTREAM_ERROR"),
        Kind::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            "UNAVAILABLE",
        ),
        Kind::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "INTERNAL", "DEADLINE_EXCEEDED"),
    }
}

/// The status that no standard knows and every access log does.
pub(crate) fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).expect("499 is within the range of status codes")
}

/// After how long to try again what there was no room for, where nobody knows better.
const SOON: Duration = Duration::from_secs(1);

impl Fault {
    /// An error of `kind` with a message for the client.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        let (status, class, code) = http_of(kind);
        Self {
            status,
            class,
            code,
            reason: None,
            message: message.into(),
            retry_after: (kind == Kind::ResourceExhausted).then_some(SOON),
            denial: None,
        }
    }

    /// The caller may not; why is for the audit log.
    pub(crate) fn denied(denial: Denial) -> Self {
        Self {
            denial: Some(Box::new(denial.clone())),
            ..Self::new(Kind::PermissionDenied, denial.message).because("ACCESS_DENIED")
        }
    }

    /// What the caller may not do, where that is the error.
    pub(crate) fn denial(&self) -> Option<&Denial> {
        self.denial.as_deref()
    }

    /// The message, for the audit log.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The caller's input is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidArgument, message)
    }

    /// The named thing does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// A fault of ours: `what` and the error's chain go to the log, the client learns neither.
    pub(crate) fn internal(what: &str, error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %Chain(error), "{what}");
        Self::new(
            Kind::Internal,
            "internal error; the server's log has the detail",
        )
    }

    /// The route exists, the method does not.
    pub(crate) fn method_not_allowed() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "METHOD_NOT_ALLOWED",
            ..Self::invalid("this method is not offered here; the Allow header has those that are")
        }
    }

    /// The body is of a type that the route does not read.
    pub(crate) fn unsupported_media_type(expected: &str) -> Self {
        Self {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "UNSUPPORTED_MEDIA_TYPE",
            ..Self::invalid(format!("the request's Content-Type must be {expected}"))
        }
    }

    /// The body is longer than `limit` bytes.
    pub(crate) fn too_large(limit: u64) -> Self {
        Self::new(
            Kind::PayloadTooLarge,
            format!("the request body is larger than the limit of {limit} bytes"),
        )
    }

    /// An error for a status that some library of the HTTP stack chose.
    pub(crate) fn from_status(status: StatusCode, message: &str) -> Self {
        let kind = match status {
            StatusCode::METHOD_NOT_ALLOWED => return Self::method_not_allowed(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                return Self::unsupported_media_type("one that this route reads");
            }
            StatusCode::UNAUTHORIZED => Kind::Unauthenticated,
            StatusCode::FORBIDDEN => Kind::PermissionDenied,
            StatusCode::NOT_FOUND => Kind::NotFound,
            StatusCode::CONFLICT => Kind::Conflict,
            StatusCode::PAYLOAD_TOO_LARGE => Kind::PayloadTooLarge,
            StatusCode::TOO_MANY_REQUESTS => Kind::ResourceExhausted,
            StatusCode::NOT_IMPLEMENTED => Kind::NotImplemented,
            StatusCode::BAD_GATEWAY => Kind::Upstream,
            StatusCode::SERVICE_UNAVAILABLE => Kind::Unavailable,
            StatusCode::GATEWAY_TIMEOUT => Kind::DeadlineExceeded,
            other if other.is_client_error() => Kind::InvalidArgument,
            _ => Kind::Internal,
        };
        let message = match message.trim() {
            "" => status.canonical_reason().unwrap_or("error").to_lowercase(),
            text => text.to_owned(),
        };
        Self {
            status,
            ..Self::new(kind, message)
        }
    }

    /// An error of one of RAT's libraries.
    ///
    /// A caller's mistake is answered with the whole chain, because the cause is what has to be
    /// mended; a fault of ours is logged and answered without detail.
    pub(crate) fn of(kind: Kind, reason: &'static str, error: &(dyn Error + 'static)) -> Self {
        let fault = match kind {
            Kind::Internal => Self::internal("request failed", error),
            Kind::InvalidArgument => Self::new(kind, Chain(error).to_string()),
            Kind::Upstream | Kind::Unavailable => {
                tracing::warn!(error = %Chain(error), "request failed");
                Self::new(kind, error.to_string())
            }
            _ => Self::new(kind, error.to_string()),
        };
        fault.because(reason)
    }

    /// Adds the stable reason, where it says more than the code.
    pub(crate) fn because(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        let reason = reason.into();
        self.reason = (reason != self.code).then_some(reason);
        self
    }

    /// Tells the client when to come back.
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same error in the form that the Iceberg REST specification prescribes.
    pub(crate) fn into_iceberg_response(self) -> Response {
        let body = IcebergEnvelope {
            error: IcebergInner {
                message: &self.message,
                class: iceberg_class(self.status),
                code: self.status.as_u16(),
            },
        };
        self.finish(Json(body).into_response())
    }

    fn finish(&self, mut response: Response) -> Response {
        *response.status_mut() = self.status;
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

fn iceberg_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "NotAuthorizedException",
        403 => "ForbiddenException",
        404 => "NotFoundException",
        405 => "UnsupportedOperationException",
        409 => "ConflictException",
        413 => "RequestTooLargeException",
        429 => "TooManyRequestsException",
        503 => "ServiceUnavailableException",
        504 => "GatewayTimeoutException",
        code if code < 500 => "BadRequestException",
        _ => "InternalServerError",
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = Envelope {
            error: Inner {
                code: self.code,
                class: self.class,
                message: &self.message,
                reason: self.reason.as_deref(),
            },
        };
        let mut response = self.finish(Json(body).into_response());
        response.extensions_mut().insert(self);
        response
    }
}

impl From<InvalidName> for Fault {
    fn from(error: InvalidName) -> Self {
        Self::invalid(error.to_string()).because("NAME_INVALID")
    }
}

/// An error with its sources, on one line.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = self.0.to_string();
        let mut next = self.0.source();
        while let Some(source) = next {
            let line = source.to_string();
            if !text.ends_with(&line) {
                write!(text, ": {line}")?;
            }
            next = source.source();
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 14] = [
        Kind::InvalidArgument,
        Kind::Unauthenticated,
        Kind::PermissionDenied,
        Kind::NotFound,
        Kind::AlreadyExists,
        Kind::Conflict,
        Kind::PayloadTooLarge,
        Kind::ResourceExhausted,
        Kind::Cancelled,
        Kind::Internal,
        Kind::NotImplemented,
        Kind::Upstream,
        Kind::Unavailable,
        Kind::DeadlineExceeded,
    ];

    #[test]
    fn every_kind_has_the_status_type_and_code_of_the_conventions() {
        let table: Vec<String> = KINDS
            .into_iter()
            .map(|kind| {
                let (status, class, code) = http_of(kind);
                format!("{} {class} {code}", status.as_u16())
            })
            .collect();
        expect_test::expect![[r#"
            400 VALIDATION INVALID_ARGUMENT
            401 AUTHENTICATION UNAUTHENTICATED
            403 AUTHORIZATION FORBIDDEN
            404 NOT_FOUND NOT_FOUND
            409 CONFLICT ALREADY_EXISTS
            409 CONFLICT CONFLICT
            413 VALIDATION INVALID_ARGUMENT
            429 RATE_LIMIT RESOURCE_EXHAUSTED
            499 CANCELED CANCELED
            500 INTERNAL INTERNAL
            501 INTERNAL NOT_IMPLEMENTED
            502 INTERNAL UPSTREAM_ERROR
            503 UNAVAILABLE UNAVAILABLE
            504 INTERNAL DEADLINE_EXCEEDED"#]]
        .assert_eq(&table.join("\n"));
    }

    #[test]
    fn a_status_of_the_http_stack_keeps_its_number() {
        for number in [400, 401, 404, 405, 408, 413, 415, 422, 431, 500, 502, 505] {
            let status = StatusCode::from_u16(number).unwrap();
            assert_eq!(Fault::from_status(status, "").status, status);
        }
    }

    #[test]
    fn an_internal_fault_tells_the_client_nothing() {
        let secret = std::io::Error::other("password=hunter2");
        let fault = Fault::of(Kind::Internal, "STORE", &secret);
        assert!(!fault.message.contains("hunter2"));
    }
}
