//! What can go wrong between a client and the lake.

use datafusion::error::DataFusionError;
use rat_iceberg::{snapshot, storage};
use rat_types::{Kind, TableIdent};

use crate::schema::SchemaError;

/// A table could not be loaded, read, written or committed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of the control plane is neither `unix:/path` nor `http://host:port`.
    #[error("{address:?} is not the address of a control plane")]
    Address {
        /// The refused text.
        address: String,
    },
    /// The HTTP client could not be set up.
    #[error("failed to set up the HTTP client")]
    Client {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// No table has this name, or the caller may not know that it exists.
    #[error("table {table} does not exist")]
    TableNotFound {
        /// The table.
        table: TableIdent,
    },
    /// Somebody else created the table a moment ago.
    #[error("table {table} exists already")]
    TableExists {
        /// The table.
        table: TableIdent,
    },
    /// The table has no such branch or snapshot (any more).
    #[error("table {table} has no {what}")]
    NotInTable {
        /// The table.
        table: TableIdent,
        /// For example `branch run-7` or `snapshot 12`.
        what: String,
    },
    /// Somebody else changed the table first. The commit was not applied; a newer attempt may be.
    #[error("table {table} was changed by somebody else: {message}")]
    Conflict {
        /// The table.
        table: TableIdent,
        /// The catalog's words.
        message: String,
    },
    /// The answer to a commit was lost and the table could not be asked about it. The files that
    /// were written stay, because the table may refer to them.
    #[error("it is unknown whether the commit to table {table} was applied")]
    CommitStateUnknown {
        /// The table.
        table: TableIdent,
        /// What the catalog answered, if it did.
        #[source]
        source: Box<Error>,
    },
    /// The token is missing, unknown or no longer valid.
    #[error("the catalog does not accept the caller: {message}")]
    Unauthenticated {
        /// The catalog's words.
        message: String,
    },
    /// The token is not good for this.
    #[error("the catalog refuses to {operation}: {message}")]
    Forbidden {
        /// What was asked.
        operation: String,
        /// The catalog's words.
        message: String,
    },
    /// The catalog finds the request wrong; repeating it will not help.
    #[error("the catalog could not {operation}: {message}")]
    Refused {
        /// What was asked.
        operation: String,
        /// The catalog's words.
        message: String,
    },
    /// The catalog said that it cannot answer now.
    #[error("the catalog cannot {operation} now: {message}")]
    Busy {
        /// What was asked.
        operation: String,
        /// The catalog's words.
        message: String,
    },
    /// The catalog was not reached, or did not answer in time.
    #[error("the catalog did not answer the request to {operation}")]
    Unavailable {
        /// What was asked.
        operation: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The catalog failed.
    #[error("the catalog failed to {operation} with status {status}: {message}")]
    Upstream {
        /// What was asked.
        operation: String,
        /// HTTP status.
        status: u16,
        /// The catalog's words, or the beginning of what it answered.
        message: String,
    },
    /// The catalog answered something that is not the protocol.
    #[error("the catalog's answer to the request to {operation} is not understood")]
    Answer {
        /// What was asked.
        operation: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The table uses something that RAT cannot read correctly, so it does not read it at all.
    #[error("table {table} cannot be read: it has {what}")]
    Unsupported {
        /// The table.
        table: TableIdent,
        /// For example `deletion vectors`.
        what: String,
    },
    /// The columns do not fit Iceberg or the table.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The snapshot could not be composed or read.
    #[error(transparent)]
    Snapshot(#[from] snapshot::Error),
    /// The query that was to be written failed; the fault is not the writer's.
    #[error("failed to compute the rows for table {table}")]
    Input {
        /// The table.
        table: TableIdent,
        /// The query's error.
        #[source]
        source: DataFusionError,
    },
    /// The metadata or the data files of the table are damaged, or the storage failed.
    #[error("failed to read table {table}")]
    Read {
        /// The table.
        table: TableIdent,
        /// Why.
        #[source]
        source: Box<iceberg::Error>,
    },
    /// Make room. What was written is removed again.
    #[error(
        "no space is left for table {table}: make room on the disk of the lake, then try again"
    )]
    StorageFull {
        /// The table.
        table: TableIdent,
    },
    /// The storage failed. What was written is removed again.
    #[error("failed to write data files of table {table}")]
    Write {
        /// The table.
        table: TableIdent,
        /// Why.
        #[source]
        source: Box<iceberg::Error>,
    },
}

impl Error {
    /// The sort of failure.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Address { .. } | Self::Refused { .. } | Self::Input { .. } => {
                Kind::InvalidArgument
            }
            Self::TableNotFound { .. } | Self::NotInTable { .. } => Kind::NotFound,
            Self::TableExists { .. } => Kind::AlreadyExists,
            Self::Conflict { .. } => Kind::Conflict,
            Self::Unauthenticated { .. } => Kind::Unauthenticated,
            Self::Forbidden { .. } => Kind::PermissionDenied,
            Self::Busy { .. } => Kind::Unavailable,
            Self::Unavailable { source, .. } if source.is_timeout() => Kind::DeadlineExceeded,
            Self::Unavailable { .. } => Kind::Unavailable,
            Self::Upstream { .. } | Self::Answer { .. } | Self::CommitStateUnknown { .. } => {
                Kind::Upstream
            }
            Self::Unsupported { .. } => Kind::NotImplemented,
            Self::Schema(error) => error.kind(),
            Self::Snapshot(error) => error.kind(),
            Self::StorageFull { .. } => Kind::ResourceExhausted,
            Self::Client { .. } | Self::Read { .. } | Self::Write { .. } => Kind::Internal,
        }
    }

    /// The stable name of the failure.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Address { .. } => "CONTROL_PLANE_ADDRESS",
            Self::Client { .. } => "CATALOG_CLIENT",
            Self::TableNotFound { .. } => "TABLE_NOT_FOUND",
            Self::TableExists { .. } => "TABLE_EXISTS",
            Self::NotInTable { .. } => "SNAPSHOT_NOT_FOUND",
            Self::Conflict { .. } => "CONFLICT",
            Self::CommitStateUnknown { .. } => "COMMIT_STATE_UNKNOWN",
            Self::Unauthenticated { .. } => "CATALOG_UNAUTHENTICATED",
            Self::Forbidden { .. } => "CATALOG_FORBIDDEN",
            Self::Refused { .. } => "CATALOG_REFUSED",
            Self::Busy { .. } | Self::Unavailable { .. } => "CATALOG_UNAVAILABLE",
            Self::Upstream { .. } | Self::Answer { .. } => "CATALOG_FAILED",
            Self::Unsupported { .. } => "TABLE_UNSUPPORTED",
            Self::Schema(error) => error.reason(),
            Self::Snapshot(error) => error.reason(),
            Self::Input { .. } => "INPUT_FAILED",
            Self::Read { .. } => "TABLE_UNREADABLE",
            Self::StorageFull { .. } => "STORAGE_FULL",
            Self::Write { .. } => "TABLE_NOT_WRITTEN",
        }
    }

    pub(crate) fn read(table: &TableIdent, source: iceberg::Error) -> Self {
        Self::Read {
            table: table.clone(),
            source: Box::new(source),
        }
    }

    pub(crate) fn write(table: &TableIdent, source: iceberg::Error) -> Self {
        let table = table.clone();
        if let Some(cause) = storage::cause(&source).filter(|_| storage::is_full(&source)) {
            tracing::error!(%table, error = %cause, "no space is left");
            return Self::StorageFull { table };
        }
        let source = Box::new(source);
        Self::Write { table, source }
    }

    pub(crate) fn composed(table: &TableIdent, error: snapshot::Error) -> Self {
        if error.kind() == Kind::ResourceExhausted {
            tracing::error!(%table, %error, "no space is left");
            let table = table.clone();
            return Self::StorageFull { table };
        }
        error.into()
    }

    /// Whether the same call may succeed in a moment, because nothing was wrong with it.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::Unavailable { source, .. } => !source.is_timeout(),
            _ => false,
        }
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn failed(kind: io::ErrorKind) -> iceberg::Error {
        let error = storage::Error::Io {
            operation: "write",
            path: "/srv/lake/a".into(),
            source: kind.into(),
        };
        error.into()
    }

    fn table() -> TableIdent {
        "shop.gold.t".parse().unwrap()
    }

    #[test]
    fn a_full_disk_is_seen_through_the_writer_of_parquet() {
        let written = |kind| {
            let error = parquet::errors::ParquetError::External(Box::new(failed(kind)));
            let error =
                iceberg::Error::new(iceberg::ErrorKind::Unexpected, "writing").with_source(error);
            Error::write(&table(), error)
        };
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let error = written(kind);
            assert_eq!(error.reason(), "STORAGE_FULL");
            assert_eq!(error.kind(), Kind::ResourceExhausted);
            assert!(!error.to_string().contains("srv"), "{error}");
        }
        let error = written(io::ErrorKind::PermissionDenied);
        assert_eq!(error.reason(), "TABLE_NOT_WRITTEN");
    }

    #[test]
    fn a_manifest_that_finds_no_room_is_told_as_a_full_disk() {
        let composed = |kind| {
            let error = snapshot::Error::WriteManifest {
                path: "file:///srv/lake/m.avro".to_owned(),
                source: Box::new(failed(kind)),
            };
            Error::composed(&table(), error)
        };
        let error = composed(io::ErrorKind::StorageFull);
        assert_eq!(error.reason(), "STORAGE_FULL");
        assert!(!error.to_string().contains("srv"), "{error}");
        let error = composed(io::ErrorKind::PermissionDenied);
        assert_eq!(error.reason(), "MANIFEST_NOT_WRITTEN");
    }
}
