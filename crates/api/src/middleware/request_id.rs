//! Gives every request an id that stands in its log lines, its answer and its audit event.
//!
//! A caller's own `X-Request-ID` is taken where it is sane, so that a trace can start outside;
//! anything else (too long, strange characters) is replaced, because the id goes into logs.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use uuid::Uuid;

/// The header, in both directions.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST: usize = 128;

/// The id of a request, in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

tokio::task_local! {
    static CURRENT: HeaderValue;
}

/// The id of the request that is worked on, for what is asked of others on its behalf; `None`
/// outside of a request.
pub fn current_request_id() -> Option<HeaderValue> {
    CURRENT.try_with(HeaderValue::clone).ok()
}

/// The layer.
pub(crate) async fn assign(mut request: Request, next: Next) -> Response {
    let id = RequestId(match request.headers().get(HEADER) {
        Some(given) if is_sane(given) => given.clone(),
        _ => made(),
    });
    request.headers_mut().insert(HEADER, id.0.clone());
    request.extensions_mut().insert(id.clone());
    let mut response = CURRENT.scope(id.0.clone(), next.run(request)).await;
    response.headers_mut().insert(HEADER, id.0);
    response
}

fn made() -> HeaderValue {
    HeaderValue::from_str(&Uuid::new_v4().to_string()).expect("a UUID is ASCII")
}

fn is_sane(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:".contains(b);
    (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_only_where_it_can_stand_in_a_log_line() {
        for good in ["a", "0191-ab.c_d:e", &"x".repeat(128)] {
            assert!(is_sane(&HeaderValue::from_str(good).unwrap()), "{good}");
        }
        for bad in ["", "a b", "a\"b", "a\tb", "é", &"x".repeat(129)] {
            assert!(
                !is_sane(&HeaderValue::from_bytes(bad.as_bytes()).unwrap()),
                "{bad:?}"
            );
        }
    }
}
