//! A panic of a handler is a 500 with the envelope, and costs one request.

use std::any::Any;

use axum::response::{IntoResponse as _, Response};
use rat_types::Kind;

use crate::fault::Fault;

/// The answer to a panic.
pub(crate) fn respond(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&'static str>().copied())
        .unwrap_or("a panic without a message");
    tracing::error!(panic = message, "a handler panicked");
    Fault::new(
        Kind::Internal,
        "internal error; the server's log has the detail",
    )
    .into_response()
}
