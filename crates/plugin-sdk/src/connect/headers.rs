//! The protocol's headers, and which of the others travel on.

use std::time::Duration;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;
use tonic::Status;

use super::codec::{Codec, Shape};

const VERSION: &str = "connect-protocol-version";
const TIMEOUT: &str = "connect-timeout-ms";
/// Headers of HTTP, of Connect and of gRPC itself: not the caller's metadata.
const OWN: [HeaderName; 14] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::DATE,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];
const OWN_PREFIXES: [&str; 3] = ["connect-", "grpc-", "proxy-"];

/// The caller's deadline.
pub(super) fn deadline(headers: &HeaderMap) -> Result<Option<Instant>, Status> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(None);
    };
    let digits = value.to_str().unwrap_or_default();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(millis) if is_number && digits.len() <= 10 => {
            Ok(Some(Instant::now() + Duration::from_millis(millis)))
        }
        _ => Err(Status::invalid_argument(
            "the header Connect-Timeout-Ms must be at most ten digits",
        )),
    }
}

/// Refuses what this server does not speak.
pub(super) fn check(headers: &HeaderMap, codec: Codec) -> Result<(), Status> {
    if let Some(version) = headers.get(VERSION)
        && version != "1"
    {
        return Err(Status::invalid_argument(
            "the header Connect-Protocol-Version must be 1",
        ));
    }
    let encoding = match codec.shape {
        Shape::Unary => "content-encoding",
        Shape::Streaming => "connect-content-encoding",
    };
    match headers.get(encoding) {
        Some(name) if name != "identity" => Err(Status::unimplemented(
            "compressed requests are not taken: the only encoding is identity",
        )),
        _ => Ok(()),
    }
}

/// The metadata among `headers`.
pub(super) fn metadata(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    headers.iter().filter(|(name, _)| {
        !OWN.contains(name)
            && !OWN_PREFIXES
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix))
    })
}
