//! How the codes of gRPC are written: in upper case by gRPC, in lower case by Connect.

use tonic::Code;

/// Every code with both of its names.
const NAMES: [(Code, &str, &str); 17] = [
    (Code::Ok, "OK", "ok"),
    (Code::Cancelled, "CANCELLED", "canceled"),
    (Code::Unknown, "UNKNOWN", "unknown"),
    (
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
        "invalid_argument",
    ),
    (
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        "deadline_exceeded",
    ),
    (Code::NotFound, "NOT_FOUND", "not_found"),
    (Code::AlreadyExists, "ALREADY_EXISTS", "already_exists"),
    (
        Code::PermissionDenied,
        "PERMISSION_DENIED",
        "permission_denied",
    ),
    (
        Code::ResourceExhausted,
        "RESOURCE_EXHAUSTED",
        "resource_exhausted",
    ),
    (
        Code::FailedPrecondition,
        "FAILED_PRECONDITION",
        "failed_precondition",
    ),
    (Code::Aborted, "ABORTED", "aborted"),
    (Code::OutOfRange, "OUT_OF_RANGE", "out_of_range"),
    (Code::Unimplemented, "UNIMPLEMENTED", "unimplemented"),
    (Code::Internal, "INTERNAL", "internal"),
    (Code::Unavailable, "UNAVAILABLE", "unavailable"),
    (Code::DataLoss, "DATA_LOSS", "data_loss"),
    (Code::Unauthenticated, "UNAUTHENTICATED", "unauthenticated"),
];

/// The code as gRPC writes it, `DEADLINE_EXCEEDED`.
pub fn grpc_name(code: Code) -> &'static str {
    names(code).1
}

/// The code as Connect writes it, `deadline_exceeded`; `ok` is no code of Connect's, and what
/// metrics say.
pub fn connect_name(code: Code) -> &'static str {
    names(code).2
}

/// The error that Connect calls `name`.
pub fn from_connect_name(name: &str) -> Option<Code> {
    let errors = NAMES.iter().filter(|(code, ..)| *code != Code::Ok);
    errors
        .map(|(code, _, connect)| (*code, *connect))
        .find_map(|(code, connect)| (connect == name).then_some(code))
}

fn names(code: Code) -> (Code, &'static str, &'static str) {
    NAMES[usize::try_from(i32::from(code)).unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_where_its_number_says() {
        for (place, (code, grpc, connect)) in NAMES.into_iter().enumerate() {
            assert_eq!(i32::from(code), i32::try_from(place).unwrap());
            assert_eq!((grpc_name(code), connect_name(code)), (grpc, connect));
            // Connect spells one of them the American way.
            assert_eq!(
                grpc.to_lowercase().replace("cancelled", "canceled"),
                connect
            );
            let back = from_connect_name(connect);
            assert_eq!(back, (code != Code::Ok).then_some(code));
        }
        assert_eq!(from_connect_name("UNKNOWN"), None);
    }
}
