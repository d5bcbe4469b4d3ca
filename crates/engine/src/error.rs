//! Why SQL could not be planned or executed.

use rat_types::Kind;

/// A failure of the engine. Messages are for the author of the SQL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service that is needed does not answer.
    #[error("{0}")]
    Unavailable(String),
}

impl Error {
    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unavailable(_) => Kind::Unavailable,
        }
    }

    /// Stable code.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "CATALOG_UNAVAILABLE",
        }
    }
}
