//! Why an external catalog did not do what was asked.

use rat_types::Kind;

/// What went wrong between ratd and the external catalog. No text names an address or a token.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// TLS cannot be set up, or a certificate is damaged.
    #[error("its connection cannot be prepared")]
    Client {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The file of certificates is another one.
    #[error("there is no certificate (PEM) in the file of its authorities")]
    NoCertificate,
    /// The address or the warehouse is another one: what is there answers, and does not know it.
    #[error("there is no catalog at its address, or it has not this warehouse")]
    NoCatalog {
        /// What is there instead.
        #[source]
        source: Box<ExternalError>,
    },
    /// Nothing was sent.
    #[error("it cannot be reached")]
    Unreachable {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The request was sent, and nobody knows what became of it.
    #[error("it did not answer in time or broke off")]
    Unanswered {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It answers something that is no table.
    #[error("its answer is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// Whatever it has said of its tables, there would be more: it goes round in circles.
    #[error("its list of tables has no end after {pages} pages")]
    Endless {
        /// Pages that were read.
        pages: usize,
    },
    /// It answers, and says no or has a fault of its own.
    #[error("it answers {status}: {message}")]
    Status {
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// It does not speak the Iceberg REST protocol as we know it.
    #[error("its answer is not understood")]
    Malformed {
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// No request was made with what it wants in front of every path.
    #[error("it asks for the prefix {prefix:?}, which is no path")]
    Prefix {
        /// What it wants.
        prefix: String,
    },
    /// Nobody vouches for ratd: check the client's id and secret.
    #[error("no token was given for it")]
    Token {
        /// Why not.
        #[source]
        source: Box<ExternalError>,
    },
}

impl ExternalError {
    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Client { .. } | Self::NoCertificate => Kind::InvalidArgument,
            Self::Unreachable { .. } | Self::Unanswered { .. } => Kind::Unavailable,
            Self::TooLong { .. }
            | Self::Endless { .. }
            | Self::Malformed { .. }
            | Self::Prefix { .. }
            | Self::NoCatalog { .. } => Kind::Upstream,
            Self::Status { status, .. } => match status {
                400 | 406 | 422 => Kind::InvalidArgument,
                403 => Kind::PermissionDenied,
                404 => Kind::NotFound,
                409 => Kind::Conflict,
                413 => Kind::PayloadTooLarge,
                501 => Kind::NotImplemented,
                429 | 500..=599 => Kind::Unavailable,
                // Ours to mend, not our callers': 401 above all.
                _ => Kind::Upstream,
            },
            Self::Token { source } => match source.kind() {
                Kind::Unavailable => Kind::Unavailable,
                _ => Kind::Upstream,
            },
        }
    }

    /// Stable name of the failure.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Client { .. }
            | Self::NoCertificate
            | Self::NoCatalog { .. }
            | Self::Prefix { .. } => "EXTERNAL_CATALOG_CONFIGURATION",
            Self::Unreachable { .. } | Self::Unanswered { .. } => "EXTERNAL_CATALOG_UNAVAILABLE",
            Self::TooLong { .. } | Self::Endless { .. } | Self::Malformed { .. } => {
                "EXTERNAL_CATALOG_ANSWER"
            }
            Self::Status {
                status: 429 | 500..=599,
                ..
            } => "EXTERNAL_CATALOG_UNAVAILABLE",
            Self::Status { .. } => "EXTERNAL_CATALOG_REFUSED",
            Self::Token { .. } => "EXTERNAL_CATALOG_TOKEN",
        }
    }

    /// Whether what was asked for may have happened all the same.
    pub(super) fn is_unsettled(&self) -> bool {
        match self {
            Self::Unanswered { .. } | Self::TooLong { .. } | Self::Malformed { .. } => true,
            // The specification: only 503 says for sure that nothing was done.
            Self::Status { status, .. } => matches!(status, 500 | 502 | 504),
            Self::Client { .. }
            | Self::NoCertificate
            | Self::NoCatalog { .. }
            | Self::Unreachable { .. }
            | Self::Endless { .. }
            | Self::Prefix { .. }
            | Self::Token { .. } => false,
        }
    }

    /// The HTTP status, if there was one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl From<reqwest::Error> for ExternalError {
    fn from(source: reqwest::Error) -> Self {
        let source = source.without_url();
        // A connection that was never made carried no request; everything else may have.
        if source.is_connect() || source.is_builder() {
            Self::Unreachable { source }
        } else {
            Self::Unanswered { source }
        }
    }
}
