//! Answers: the specification's error body, and table metadata.

use axum::Json;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use rat_types::Kind;
use serde_json::json;

use crate::Error;
use crate::catalog::LoadedTable;

/// An error as the specification wants it answered.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Error);

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let error = self.0;
        let status = status(&error);
        if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(reason = error.reason(), source, %error, "catalog request failed");
        } else {
            tracing::debug!(reason = error.reason(), %error, "catalog request refused");
        }
        let body = json!({"error": {
            "message": message(&error, status),
            "type": type_name(&error),
            "code": status.as_u16(),
        }});
        let mut response = (status, Json(body)).into_response();
        if let Some(denial) = error.denial() {
            response.extensions_mut().insert(denial.clone());
        }
        response
    }
}

/// What the client is told: of the database's own faults no detail, which goes to the log.
fn message(error: &Error, status: StatusCode) -> String {
    match error {
        Error::Store(_) if status.is_server_error() => "the catalog's database failed".to_owned(),
        // Where the lake lies is not for everybody to know.
        Error::Storage { .. } | Error::Snapshot { .. }
            if status == StatusCode::INSUFFICIENT_STORAGE =>
        {
            "the lake's storage is full".to_owned()
        }
        Error::External { source, .. } => format!("{error}: {source}"),
        error => error.to_string(),
    }
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::Contradiction { .. } => return StatusCode::UNPROCESSABLE_ENTITY,
        Error::MethodNotAllowed { .. } => return StatusCode::METHOD_NOT_ALLOWED,
        // Not 503, after which clients try again at once.
        Error::Storage { .. } | Error::Snapshot { .. }
            if error.kind() == Kind::ResourceExhausted =>
        {
            return StatusCode::INSUFFICIENT_STORAGE;
        }
        _ => {}
    }
    match error.kind() {
        Kind::InvalidArgument => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::PermissionDenied => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::AlreadyExists | Kind::Conflict => StatusCode::CONFLICT,
        Kind::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        // To a client 502 and 504 mean that nobody knows whether the commit went through, which
        // CommitStateUnknown says where it is true.
        Kind::ResourceExhausted
        | Kind::Unavailable
        | Kind::DeadlineExceeded
        | Kind::Cancelled
        | Kind::Upstream => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The name of the exception that other implementations throw for this.
fn type_name(error: &Error) -> &'static str {
    match error {
        Error::NoSuchNamespace { .. } => "NoSuchNamespaceException",
        Error::NoSuchTable { .. } => "NoSuchTableException",
        Error::NoSuchWarehouse { .. } => "NoSuchWarehouseException",
        Error::NamespaceExists { .. } | Error::TableExists { .. } => "AlreadyExistsException",
        Error::NamespaceNotEmpty { .. } => "NamespaceNotEmptyException",
        Error::CommitFailed { .. } | Error::TableInUse { .. } => "CommitFailedException",
        Error::CommitStateUnknown { .. } => "CommitStateUnknownException",
        Error::Unauthenticated => "NotAuthorizedException",
        Error::Forbidden { .. } | Error::Denied { .. } => "ForbiddenException",
        Error::Hidden { what, .. } => match *what {
            "table" => "NoSuchTableException",
            _ => "NoSuchNamespaceException",
        },
        Error::AccessUnavailable { .. } => "ServiceUnavailableException",
        Error::Name(_) | Error::Invalid { .. } | Error::Location(_) => "BadRequestException",
        Error::Contradiction { .. } => "UnprocessableEntityException",
        Error::BodyTooLarge { .. } => "PayloadTooLargeException",
        Error::Unsupported { .. } => "UnsupportedOperationException",
        Error::NoSuchRoute { .. } => "NotFoundException",
        Error::MethodNotAllowed { .. } => "MethodNotAllowedException",
        Error::Busy { .. } => "SlowDownException",
        Error::Storage { .. } | Error::Snapshot { .. }
            if error.kind() == Kind::ResourceExhausted =>
        {
            "InsufficientStorageException"
        }
        Error::Storage { .. }
        | Error::Snapshot { .. }
        | Error::Damaged { .. }
        | Error::External { .. }
        | Error::Store(_) => type_of_kind(error.kind()),
    }
}

fn type_of_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidArgument => "BadRequestException",
        Kind::Unauthenticated => "NotAuthorizedException",
        Kind::PermissionDenied => "ForbiddenException",
        Kind::NotFound => "NotFoundException",
        Kind::AlreadyExists => "AlreadyExistsException",
        Kind::Conflict => "CommitFailedException",
        Kind::PayloadTooLarge => "PayloadTooLargeException",
        Kind::NotImplemented => "UnsupportedOperationException",
        Kind::ResourceExhausted
        | Kind::Unavailable
        | Kind::DeadlineExceeded
        | Kind::Cancelled
        | Kind::Upstream => "ServiceUnavailableException",
        Kind::Internal => "InternalServerError",
    }
}

/// Identifies the metadata of a table as it is, by the unique name of the metadata file.
pub(crate) fn etag(location: &str, variant: &str) -> String {
    let name = location.rsplit('/').next().unwrap_or(location);
    format!("\"{name}{variant}\"")
}

/// Metadata of a table, as the answer to loading, creating and committing.
///
/// `metadata` goes out as it was read: tables with a long history have megabytes of it.
pub(crate) fn table(location: Option<&str>, metadata: &Bytes, variant: &str) -> Response {
    let location_json = serde_json::Value::from(location);
    let mut body = Vec::with_capacity(metadata.len() + 200);
    body.extend_from_slice(b"{\"metadata-location\":");
    body.extend_from_slice(location_json.to_string().as_bytes());
    body.extend_from_slice(b",\"metadata\":");
    body.extend_from_slice(metadata);
    body.extend_from_slice(b",\"config\":{}}");
    let json = HeaderValue::from_static("application/json");
    let mut response = ([(header::CONTENT_TYPE, json)], body).into_response();
    if let Some(tag) = location.and_then(|location| etag(location, variant).parse().ok()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// [`table()`] for a table in the catalog.
pub(crate) fn loaded(table: &LoadedTable) -> Response {
    self::table(Some(&table.location), &table.file.json, "")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[tokio::test]
    async fn a_full_disk_has_a_status_of_its_own_and_tells_no_path() {
        let answer = async |kind: io::ErrorKind| {
            let source = rat_iceberg::storage::Error::Io {
                operation: "write",
                path: "/srv/lake/t.json".into(),
                source: kind.into(),
            };
            let failed = Error::storage("write", "file:///srv/lake/t.json");
            let error = failed(iceberg::Error::from(source));
            let reason = error.reason();
            let answer = Failure(error).into_response();
            let status = answer.status().as_u16();
            let body = axum::body::to_bytes(answer.into_body(), 10_000).await;
            (
                status,
                reason,
                String::from_utf8(body.unwrap().to_vec()).unwrap(),
            )
        };
        let (status, reason, body) = answer(io::ErrorKind::StorageFull).await;
        assert_eq!((status, reason), (507, "STORAGE_FULL"));
        assert!(
            body.contains("storage is full") && !body.contains("srv"),
            "{body}"
        );
        let (status, reason, _) = answer(io::ErrorKind::PermissionDenied).await;
        assert_eq!((status, reason), (500, "TABLE_STORAGE"));
    }
}
