//! The chain that every request of the public listener passes, outermost first:
//! CORS → security headers → request id → real IP → access log → panic catcher → host → foreign origins → body limit →
//! rate limit → authentication → audit → timeout → handler.
//!
//! Each layer is one small module. None of them knows which of the two error forms its refusal
//! will take: [`envelope`] stands around them all and decides that by the path.

pub(crate) mod access_log;
pub(crate) mod audit;
pub(crate) mod authentication;
pub(crate) mod body_limit;
pub(crate) mod client_address;
pub(crate) mod cors;
pub(crate) mod envelope;
pub(crate) mod host;
pub(crate) mod panic;
pub(crate) mod rate_limit;
pub(crate) mod request_id;
pub(crate) mod security_headers;
pub(crate) mod timeout;
