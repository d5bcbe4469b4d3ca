//! What the catalog refuses, and why.

use std::sync::Arc;

use rat_iceberg::storage::is_full;
use rat_types::{InvalidName, Kind, TableIdent};

use crate::{Denial, ExternalError};

/// A refused or failed operation of the catalog.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Create the namespace first, or look for it under its right name.
    #[error("namespace {namespace} does not exist")]
    NoSuchNamespace {
        /// The name, levels joined by dots.
        namespace: String,
    },
    /// There is no such table, or only another run's unpublished one.
    #[error("table {table} does not exist")]
    NoSuchTable {
        /// The name, levels joined by dots.
        table: String,
    },
    /// The catalog has exactly one warehouse.
    #[error("warehouse {warehouse:?} does not exist: this catalog has one, called \"rat\"")]
    NoSuchWarehouse {
        /// The name asked for.
        warehouse: String,
    },
    /// Nothing was changed.
    #[error("namespace {namespace} exists already")]
    NamespaceExists {
        /// The name, levels joined by dots.
        namespace: String,
    },
    /// Nothing was changed.
    #[error("table {table} exists already")]
    TableExists {
        /// The table.
        table: TableIdent,
    },
    /// Remove what is in the namespace first.
    #[error("namespace {namespace} is not empty: {by}")]
    NamespaceNotEmpty {
        /// The name, levels joined by dots.
        namespace: String,
        /// What is in it.
        by: String,
    },
    /// The table is not in the state that the commit was made for: load it again and retry.
    #[error("commit to table {table} failed: {message}")]
    CommitFailed {
        /// The table.
        table: TableIdent,
        /// What is not as it should be.
        message: String,
    },
    /// The database or the external catalog did not answer in the moment of the commit: load the
    /// table to see.
    #[error("it is not known whether the commit to table {table} succeeded")]
    CommitStateUnknown {
        /// The table.
        table: TableIdent,
        /// What went wrong.
        #[source]
        source: Box<Error>,
    },
    /// The files stay until the run has ended.
    #[error("the files of table {table} are in use by a run that creates it")]
    TableInUse {
        /// The table.
        table: TableIdent,
    },
    /// Whoever is served at this place was not established.
    #[error("no credentials were presented")]
    Unauthenticated,
    /// The caller's scope does not reach this far.
    #[error("{message}")]
    Forbidden {
        /// What is not allowed, to whom.
        message: String,
    },
    /// Ask the owner for a grant.
    #[error("{}", denial.message)]
    Denied {
        /// What was denied.
        denial: Box<Denial>,
    },
    /// For this caller, something that they may not read is not there.
    #[error("{what} {name} does not exist, or you may not read it")]
    Hidden {
        /// `table` or `namespace`.
        what: &'static str,
        /// Its name, levels joined by dots.
        name: String,
        /// What was denied.
        denial: Box<Denial>,
    },
    /// Nobody is there to say who may do what: later it will work.
    #[error("access control is not available: {message}")]
    AccessUnavailable {
        /// Who is not there, and why.
        message: String,
    },
    /// A name that no namespace or table can have.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The request does not mean anything that the catalog can do.
    #[error("{message}")]
    Invalid {
        /// What is wrong with it.
        message: String,
    },
    /// A property is both to be set and to be removed.
    #[error("property {key:?} is both updated and removed")]
    Contradiction {
        /// The property.
        key: String,
    },
    /// Send less at once.
    #[error("the request body is longer than {limit} bytes")]
    BodyTooLarge {
        /// The limit.
        limit: usize,
    },
    /// Part of the specification that this catalog does not offer.
    #[error("{operation} is not supported by this catalog")]
    Unsupported {
        /// Its name.
        operation: &'static str,
    },
    /// There is no such route.
    #[error("there is nothing at {path}")]
    NoSuchRoute {
        /// The path.
        path: String,
    },
    /// There is such a route, for other methods.
    #[error("{method} is not possible at {path}")]
    MethodNotAllowed {
        /// The method.
        method: String,
        /// The path.
        path: String,
    },
    /// Too many commits to one table are waiting; later it will work.
    #[error("table {table} is busy")]
    Busy {
        /// The table.
        table: TableIdent,
    },
    /// The lake's folder cannot be used as it is configured.
    #[error(transparent)]
    Location(#[from] rat_iceberg::storage::LocationError),
    /// A file of the table is missing or damaged, or the disk is full.
    #[error("failed to {operation} {location}")]
    Storage {
        /// What was attempted.
        operation: &'static str,
        /// On which file or folder.
        location: String,
        /// Why not.
        #[source]
        source: Arc<iceberg::Error>,
    },
    /// A snapshot cannot be read or composed.
    #[error("failed to {operation} of table {table}")]
    Snapshot {
        /// What was attempted.
        operation: &'static str,
        /// The table.
        table: TableIdent,
        /// Why not.
        #[source]
        source: rat_iceberg::snapshot::Error,
    },
    /// The metadata file is not what the catalog wrote.
    #[error("the metadata of table {table} is damaged: {message}")]
    Damaged {
        /// The table.
        table: TableIdent,
        /// What is wrong with it.
        message: String,
    },
    /// The external catalog refused, failed or did not answer.
    #[error("failed to {operation} in the external catalog")]
    External {
        /// What was attempted.
        operation: String,
        /// Why not.
        #[source]
        source: ExternalError,
    },
    /// The platform database refused or failed.
    #[error(transparent)]
    Store(rat_store::Error),
}

impl Error {
    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSuchNamespace { .. }
            | Self::NoSuchTable { .. }
            | Self::NoSuchWarehouse { .. }
            | Self::NoSuchRoute { .. }
            | Self::Hidden { .. } => Kind::NotFound,
            Self::NamespaceExists { .. } | Self::TableExists { .. } => Kind::AlreadyExists,
            Self::NamespaceNotEmpty { .. }
            | Self::CommitFailed { .. }
            | Self::TableInUse { .. } => Kind::Conflict,
            Self::CommitStateUnknown { .. } | Self::Damaged { .. } => Kind::Internal,
            Self::Unauthenticated => Kind::Unauthenticated,
            Self::Forbidden { .. } | Self::Denied { .. } => Kind::PermissionDenied,
            Self::AccessUnavailable { .. } => Kind::Unavailable,
            Self::Name(_)
            | Self::Invalid { .. }
            | Self::Contradiction { .. }
            | Self::MethodNotAllowed { .. } => Kind::InvalidArgument,
            Self::BodyTooLarge { .. } => Kind::PayloadTooLarge,
            Self::Unsupported { .. } => Kind::NotImplemented,
            Self::Busy { .. } => Kind::Unavailable,
            Self::Location(error) => error.kind(),
            Self::Storage { source, .. } => storage_kind(source),
            Self::Snapshot { source, .. } => source.kind(),
            Self::External { source, .. } => source.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    /// Whether a file of the table is missing or damaged, so that asking again is of no use.
    pub fn is_permanent(&self) -> bool {
        use rat_iceberg::snapshot::Error as Cause;
        match self {
            Self::Damaged { .. } => true,
            Self::Storage { source, .. } => is_damage(source),
            Self::Snapshot { source, .. } => match source {
                Cause::UnknownSpec { .. } => true,
                Cause::ReadManifestList { source, .. } | Cause::ReadManifest { source, .. } => {
                    is_damage(source)
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Stable name of the failure.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoSuchNamespace { .. } => "NAMESPACE_NOT_FOUND",
            Self::NoSuchTable { .. } => "TABLE_NOT_FOUND",
            Self::NoSuchWarehouse { .. } => "WAREHOUSE_NOT_FOUND",
            Self::NoSuchRoute { .. } => "ROUTE_NOT_FOUND",
            Self::NamespaceExists { .. } => "NAMESPACE_EXISTS",
            Self::TableExists { .. } => "TABLE_EXISTS",
            Self::NamespaceNotEmpty { .. } => "NAMESPACE_NOT_EMPTY",
            Self::CommitFailed { .. } => "COMMIT_FAILED",
            Self::CommitStateUnknown { .. } => "COMMIT_STATE_UNKNOWN",
            Self::TableInUse { .. } => "TABLE_IN_USE",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden { .. } => "CATALOG_FORBIDDEN",
            Self::Denied { .. } => "ACCESS_DENIED",
            Self::Hidden { what, .. } => match *what {
                "table" => "TABLE_NOT_FOUND",
                _ => "NAMESPACE_NOT_FOUND",
            },
            Self::AccessUnavailable { .. } => "ACCESS_CONTROL_UNAVAILABLE",
            Self::Name(_) => "INVALID_NAME",
            Self::Invalid { .. } => "CATALOG_REQUEST_INVALID",
            Self::Contradiction { .. } => "PROPERTY_CONTRADICTION",
            Self::MethodNotAllowed { .. } => "METHOD_NOT_ALLOWED",
            Self::BodyTooLarge { .. } => "BODY_TOO_LARGE",
            Self::Unsupported { .. } => "CATALOG_UNSUPPORTED",
            Self::Busy { .. } => "TABLE_BUSY",
            Self::Location(error) => error.reason(),
            Self::Storage { source, .. } if is_full(source) => "STORAGE_FULL",
            Self::Storage { .. } => "TABLE_STORAGE",
            Self::Snapshot { source, .. } => source.reason(),
            Self::Damaged { .. } => "TABLE_DAMAGED",
            Self::External { source, .. } => source.reason(),
            Self::Store(error) => error.reason(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid {
            message: message.into(),
        }
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::Forbidden {
            message: message.into(),
        }
    }

    /// What was not allowed, if that is what happened.
    pub(crate) fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Denied { denial } | Self::Hidden { denial, .. } => Some(denial),
            _ => None,
        }
    }

    pub(crate) fn no_table(table: &TableIdent) -> Self {
        Self::NoSuchTable {
            table: table.to_string(),
        }
    }

    pub(crate) fn commit_failed(table: &TableIdent, message: impl Into<String>) -> Self {
        Self::CommitFailed {
            table: table.clone(),
            message: message.into(),
        }
    }

    pub(crate) fn unknown(table: &TableIdent, source: Self) -> Self {
        Self::CommitStateUnknown {
            table: table.clone(),
            source: Box::new(source),
        }
    }

    pub(crate) fn storage<E: Into<Arc<iceberg::Error>>>(
        operation: &'static str,
        location: &str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Storage {
            operation,
            location: location.to_owned(),
            source: source.into(),
        }
    }

    /// A change that the table's metadata does not bear: a lost race, or nonsense.
    pub(crate) fn refused(table: &TableIdent, what: &str, error: &iceberg::Error) -> Self {
        match error.kind() {
            iceberg::ErrorKind::CatalogCommitConflicts => {
                Self::commit_failed(table, error.message())
            }
            _ => Self::invalid(format!("{what}: {}", error.message())),
        }
    }
}

fn storage_kind(error: &iceberg::Error) -> Kind {
    match rat_iceberg::storage::cause(error).map(rat_iceberg::storage::Error::kind) {
        Some(kind @ (Kind::ResourceExhausted | Kind::PayloadTooLarge)) => kind,
        // A file that the catalog itself names has to be there.
        _ => Kind::Internal,
    }
}

/// Whether a file is not there, or was read and makes no sense; anything else may pass.
fn is_damage(error: &iceberg::Error) -> bool {
    match rat_iceberg::storage::cause(error).map(rat_iceberg::storage::Error::kind) {
        Some(kind) => matches!(kind, Kind::NotFound | Kind::InvalidArgument),
        None => true,
    }
}

impl From<rat_store::Error> for Error {
    fn from(error: rat_store::Error) -> Self {
        Self::Store(error)
    }
}
