//! From the status of a gRPC call to an answer of ours.

use http::StatusCode;
use rat_types::Kind;
use tonic::{Code, Status};

use crate::fault::Fault;

/// Metadata in which RAT's services send the stable code of an error.
const REASON: &str = "rat-reason";
const LONGEST_REASON: usize = 64;
/// All places are taken: in a while one is free. Whatever else a service has not enough of, such as
/// memory, the same request will want again.
const BUSY: &str = "TOO_MANY_QUERIES";
const STORAGE_FULL: &str = "STORAGE_FULL";

/// The answer to a request whose call to `service` ended with `status`.
///
/// CANCELLED is what tonic says when a call was never sent, so it means the same as UNAVAILABLE.
pub(crate) fn fault(service: &str, status: &Status) -> Fault {
    let reason = reason(status);
    let is_busy = reason.as_deref() == Some(BUSY);
    if reason.as_deref() == Some(STORAGE_FULL) {
        tracing::error!(service, status = %status, "storage is full");
        return Fault::from_status(StatusCode::INSUFFICIENT_STORAGE, status.message())
            .because(STORAGE_FULL);
    }
    let kind = match status.code() {
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
            Kind::InvalidArgument
        }
        Code::NotFound => Kind::NotFound,
        Code::PermissionDenied => Kind::PermissionDenied,
        Code::DeadlineExceeded => Kind::DeadlineExceeded,
        Code::ResourceExhausted if is_busy => Kind::ResourceExhausted,
        Code::ResourceExhausted => Kind::InvalidArgument,
        Code::Unavailable | Code::Cancelled => Kind::Unavailable,
        Code::Unimplemented => Kind::NotImplemented,
        Code::Ok
        | Code::Unknown
        | Code::AlreadyExists
        | Code::Aborted
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => Kind::Upstream,
    };
    let fault = match kind {
        Kind::Unavailable => {
            tracing::warn!(service, status = %status, "a service does not answer");
            Fault::new(kind, format!("{service} does not answer; try again"))
        }
        Kind::Upstream | Kind::NotImplemented => {
            tracing::warn!(service, status = %status, "a call failed");
            Fault::new(
                kind,
                format!("{service} failed to answer; the server's log has the detail"),
            )
        }
        _ => Fault::new(kind, status.message()),
    };
    match reason {
        Some(reason) => fault.because(reason),
        None => fault,
    }
}

/// The stable code that the service attached, if it looks like one.
fn reason(status: &Status) -> Option<String> {
    let text = status.metadata().get(REASON)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (text.len() <= LONGEST_REASON && text.bytes().all(plain)).then(|| text.to_owned())
}
