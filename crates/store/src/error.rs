//! What can go wrong, in words that a caller can act on.

use rat_types::Kind;

/// A failed operation of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The named thing does not exist, or was deleted meanwhile.
    #[error("{what} {key} does not exist")]
    NotFound {
        /// Sort of thing, for example `pipeline`.
        what: &'static str,
        /// Its name or id.
        key: String,
    },
    /// Choose another name, or change the existing thing.
    #[error("{what} {key} already exists")]
    AlreadyExists {
        /// Sort of thing.
        what: &'static str,
        /// Its name or id.
        key: String,
    },
    /// Remove what is named first.
    #[error("{what} {key} is still used by {by}")]
    InUse {
        /// Sort of thing.
        what: &'static str,
        /// Its name or id.
        key: String,
        /// What uses it, for example `2 pipelines`.
        by: String,
    },
    /// Somebody else gave it away, or it was made anew, meanwhile.
    #[error("the owner of {what} {key} has changed meanwhile")]
    OwnerChanged {
        /// Sort of thing.
        what: &'static str,
        /// Its name or id.
        key: String,
    },
    /// The namespace `default` always exists.
    #[error("namespace {name} cannot be deleted")]
    Protected {
        /// The namespace.
        name: String,
    },
    /// The value cannot be stored; the rule says what a valid one looks like.
    #[error("invalid {what} {value:?}: {rule}")]
    Invalid {
        /// What the value is, for example `file path`.
        what: &'static str,
        /// The refused value, cut at 160 characters.
        value: String,
        /// What a valid one looks like.
        rule: &'static str,
    },
    /// A record could not be turned into the JSON text that is stored.
    #[error("failed to encode {what} as JSON")]
    Encode {
        /// What was encoded.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The database refused or could not be reached.
    #[error(transparent)]
    Database(#[from] rat_sql::Error),
}

impl Error {
    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } => Kind::NotFound,
            Self::AlreadyExists { .. } => Kind::AlreadyExists,
            Self::InUse { .. } | Self::OwnerChanged { .. } => Kind::Conflict,
            Self::Protected { .. } => Kind::PermissionDenied,
            Self::Invalid { .. } => Kind::InvalidArgument,
            Self::Encode { .. } => Kind::Internal,
            Self::Database(source) => source.kind(),
        }
    }

    /// Stable code of this failure.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "NOT_FOUND",
            Self::AlreadyExists { .. } => "ALREADY_EXISTS",
            Self::InUse { .. } => "IN_USE",
            Self::OwnerChanged { .. } => "OWNER_CHANGED",
            Self::Protected { .. } => "NAMESPACE_PROTECTED",
            Self::Invalid { .. } => "INVALID_ARGUMENT",
            Self::Encode { .. } => "ENCODING_FAILED",
            Self::Database(source) => source.reason(),
        }
    }

    pub(crate) fn not_found(what: &'static str, key: impl ToString) -> Self {
        Self::NotFound {
            what,
            key: key.to_string(),
        }
    }

    pub(crate) fn exists(what: &'static str, key: impl ToString) -> Self {
        Self::AlreadyExists {
            what,
            key: key.to_string(),
        }
    }

    pub(crate) fn invalid(what: &'static str, value: &str, rule: &'static str) -> Self {
        Self::Invalid {
            what,
            value: value.chars().take(160).collect(),
            rule,
        }
    }
}

impl rat_sql::Transient for Error {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Database(source) if source.is_transient())
    }
}

/// Gives a violated constraint the name of the thing it protects.
pub(crate) trait Constraint<T> {
    /// A violated unique constraint means that `key` already exists.
    fn or_exists(self, what: &'static str, key: impl ToString) -> Result<T, Error>;
    /// A violated foreign key means that `key` does not exist.
    fn or_missing(self, what: &'static str, key: impl ToString) -> Result<T, Error>;
}

impl<T, E: Into<Error>> Constraint<T> for Result<T, E> {
    fn or_exists(self, what: &'static str, key: impl ToString) -> Result<T, Error> {
        self.map_err(|error| match error.into() {
            Error::Database(source) if source.is_unique_violation() => Error::exists(what, key),
            other => other,
        })
    }

    fn or_missing(self, what: &'static str, key: impl ToString) -> Result<T, Error> {
        self.map_err(|error| match error.into() {
            Error::Database(source) if source.is_foreign_key_violation() => {
                Error::not_found(what, key)
            }
            other => other,
        })
    }
}

/// Answers [`Error::NotFound`] when a statement that must change one row changed none.
pub(crate) fn must_change(rows: u64, what: &'static str, key: impl ToString) -> Result<(), Error> {
    if rows == 0 {
        Err(Error::not_found(what, key))
    } else {
        Ok(())
    }
}

/// `value` as JSON text.
pub(crate) fn encode<T: serde::Serialize + ?Sized>(
    what: &'static str,
    value: &T,
) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|source| Error::Encode { what, source })
}
