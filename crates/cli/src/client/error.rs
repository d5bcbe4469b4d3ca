//! Why a request to ratd did not succeed.

use reqwest::StatusCode;
use serde::Deserialize;

use super::server::Server;
use crate::output::printable::printable;

/// A failed request, in words for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens there, or the connection broke. Is ratd running?
    #[error("cannot reach ratd at {server}{hint}")]
    Unreachable {
        /// Where it was looked for.
        server: Server,
        /// What to do about it, starting with a separator.
        hint: &'static str,
        /// What the connection said.
        #[source]
        source: reqwest::Error,
    },
    /// ratd took longer than the request's deadline.
    #[error("no answer to {method} {path} within {seconds} s")]
    Deadline {
        /// HTTP method.
        method: &'static str,
        /// Path of the request.
        path: String,
        /// The deadline.
        seconds: u64,
    },
    /// ratd answered with an error.
    #[error("{message} ({code}{}{}){hint}", .request_id.as_ref().map_or("", |_| ", request id "), .request_id.as_deref().unwrap_or(""))]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// RAT's error code, or `HTTP <status>` where the body was not RAT's.
        code: String,
        /// What it said.
        message: String,
        /// For finding the request in ratd's log.
        request_id: Option<String>,
        /// What to do about it, starting with a separator.
        hint: &'static str,
    },
    /// There is no token to send.
    #[error(transparent)]
    Login(#[from] crate::login::Error),
    /// The answer is not what the API promises: client and server may not fit together.
    #[error("ratd answered {method} {path} with something this version of rat does not understand")]
    Malformed {
        /// HTTP method.
        method: &'static str,
        /// Path of the request.
        path: String,
        /// Where it stopped making sense.
        #[source]
        source: serde_json::Error,
    },
    /// The HTTP client cannot be set up.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

impl Error {
    /// The HTTP status, if ratd answered.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Unreachable { .. }
            | Self::Deadline { .. }
            | Self::Login(_)
            | Self::Malformed { .. }
            | Self::Client(_) => None,
        }
    }

    /// Whether repeating the same GET a little later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Login(error) => error.is_away(),
            Self::Deadline { .. } | Self::Malformed { .. } | Self::Client(_) => false,
        }
    }

    /// The error in an answer with `status`, whose body may be RAT's envelope, the Iceberg
    /// catalog's, or anything that a proxy in between says.
    pub(super) fn from_answer(
        status: StatusCode,
        request_id: Option<String>,
        hint: &'static str,
        body: &str,
    ) -> Self {
        #[derive(Deserialize)]
        struct Envelope {
            error: Inner,
        }
        #[derive(Deserialize)]
        struct Inner {
            code: serde_json::Value,
            /// A finer code, where there is one.
            reason: Option<String>,
            message: String,
        }
        if let Ok(Envelope { error }) = serde_json::from_str(body) {
            let code = match (error.reason, error.code) {
                (Some(reason), _) => reason,
                (None, serde_json::Value::String(code)) => code,
                (None, other) => format!("HTTP {other}"),
            };
            return Self::Refused {
                status,
                code,
                message: printable(error.message),
                request_id,
                hint,
            };
        }
        let text: String = body.split_whitespace().collect::<Vec<_>>().join(" ");
        let message = match text.is_empty() {
            true => status
                .canonical_reason()
                .unwrap_or("the request failed")
                .to_lowercase(),
            false => text.chars().take(300).collect(),
        };
        Self::Refused {
            status,
            code: format!("HTTP {}", status.as_u16()),
            message,
            request_id,
            hint,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(status: u16, id: Option<&str>, body: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        Error::from_answer(status, id.map(str::to_owned), "", body).to_string()
    }

    #[test]
    fn the_envelope_is_shown_with_code_and_request_id() {
        let body =
            r#"{"error":{"code":"NOT_FOUND","type":"NOT_FOUND","message":"no pipeline a.b.c"}}"#;
        assert_eq!(
            shown(404, Some("01-ab"), body),
            "no pipeline a.b.c (NOT_FOUND, request id 01-ab)"
        );
        assert_eq!(shown(404, None, body), "no pipeline a.b.c (NOT_FOUND)");
    }

    #[test]
    fn foreign_bodies_are_cut_and_named_by_their_status() {
        assert_eq!(
            shown(502, None, "<h1>Bad\n  Gateway</h1>"),
            "<h1>Bad Gateway</h1> (HTTP 502)"
        );
        assert_eq!(shown(503, None, ""), "service unavailable (HTTP 503)");
        let iceberg = r#"{"error":{"message":"no","type":"NotAuthorized","code":401}}"#;
        assert_eq!(shown(401, None, iceberg), "no (HTTP 401)");
        assert!(shown(500, None, &"x".repeat(5000)).len() < 400);
    }
}
