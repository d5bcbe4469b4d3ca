//! What a database can refuse, and which of that is worth another try.

use std::path::PathBuf;
use std::time::Duration;

use rat_types::Kind;
use sqlx::postgres::PgDatabaseError;

/// Where an error came from, without the type of the driver.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What sort of refusal a failed statement met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A unique constraint or primary key.
    UniqueViolation,
    /// A foreign key.
    ForeignKeyViolation,
    /// A check or NOT NULL constraint.
    CheckViolation,
    /// A conflict with another transaction (serialization, deadlock, lock time-out, busy file):
    /// the same transaction may succeed when it begins anew.
    Transient,
    /// The database does not answer, refuses connections or has no connection left.
    Unavailable,
    /// The database stopped the statement at its time limit.
    Deadline,
    /// Anything else: a fault in the statement, a full disk, a damaged file.
    Other,
}

/// A failed database operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Correct the database URL. It is not shown, because it may hold a password.
    #[error("invalid database URL: {rule}")]
    Url {
        /// What a valid one looks like.
        rule: String,
    },
    /// The database cannot be opened: check the path's folder, or server, user and password.
    #[error("failed to open {database}")]
    Open {
        /// The URL without password.
        database: String,
        /// Sort of refusal.
        fault: Fault,
        /// Why.
        #[source]
        source: Source,
    },
    /// The file of an SQLite database, or the lock beside it, cannot be created.
    #[error("failed to create {path}")]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A query has another number of values than parameters: a fault in the program.
    #[error("{statement:?} needs {parameters} values and has {values}")]
    Binds {
        /// Beginning of the statement.
        statement: String,
        /// The highest parameter; it may be that one below it is missing.
        parameters: usize,
        /// Number of values.
        values: usize,
    },
    /// The database refused a statement.
    #[error("failed to execute {statement:?}")]
    Statement {
        /// Beginning of the statement, without values.
        statement: String,
        /// Sort of refusal.
        fault: Fault,
        /// Why.
        #[source]
        source: Source,
    },
    /// The database did not answer in time. Whether the statement took effect is unknown.
    #[error("no answer to {statement:?} within {after:?}")]
    Timeout {
        /// Beginning of the statement.
        statement: String,
        /// The limit.
        after: Duration,
    },
    /// A statement that must answer one row answered none.
    #[error("{statement:?} answered no row")]
    NoRow {
        /// Beginning of the statement.
        statement: String,
    },
    /// A column is missing or holds what it should not: the database was changed by hand, or by a
    /// newer program.
    #[error("failed to read column {column}")]
    Column {
        /// The column.
        column: String,
        /// Why.
        #[source]
        source: Source,
    },
    /// The migrations that the program carries are not numbered 0001, 0002, …
    #[error("migration {name} should have number {expected:04}")]
    MigrationNumber {
        /// Its name.
        name: &'static str,
        /// The number that it should have.
        expected: i64,
    },
    /// Another process holds the migration lock for too long.
    #[error("another process holds the migration lock for more than {after:?}")]
    MigrationLock {
        /// How long we waited.
        after: Duration,
    },
    /// The database does not have what migration `name` of this program made: a released file was
    /// edited, or the database belongs to something else.
    #[error("migration {name} was applied with other content")]
    MigrationChanged {
        /// Its name in the database.
        name: String,
    },
    /// A migration failed and was rolled back.
    #[error("failed to apply migration {name}")]
    Migration {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: Source,
    },
    /// The database was migrated by a newer program, and this one does not understand the result.
    /// Start the newer program. Exit code 78.
    #[error("the database has schema {database:04}, this program knows up to {program:04}")]
    SchemaTooNew {
        /// Schema of the database.
        database: i64,
        /// Newest schema that this program knows.
        program: i64,
    },
}

impl Error {
    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Url { .. } => Kind::InvalidArgument,
            Self::Open { fault, .. } | Self::Statement { fault, .. } => fault.kind(),
            Self::Timeout { .. } => Kind::DeadlineExceeded,
            Self::MigrationLock { .. } => Kind::Unavailable,
            Self::Create { .. }
            | Self::Binds { .. }
            | Self::NoRow { .. }
            | Self::Column { .. }
            | Self::MigrationNumber { .. }
            | Self::MigrationChanged { .. }
            | Self::Migration { .. }
            | Self::SchemaTooNew { .. } => Kind::Internal,
        }
    }

    /// Stable code of this failure.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Url { .. } => "DATABASE_URL_INVALID",
            Self::Open { .. } => "DATABASE_OPEN_FAILED",
            Self::Create { .. } => "DATABASE_CREATE_FAILED",
            Self::Binds { .. } => "DATABASE_BIND_MISMATCH",
            Self::Statement { fault, .. } => fault.reason(),
            Self::Timeout { .. } => "DATABASE_TIMEOUT",
            Self::NoRow { .. } => "DATABASE_NO_ROW",
            Self::Column { .. } => "DATABASE_VALUE_INVALID",
            Self::MigrationNumber { .. } => "MIGRATION_NUMBER_INVALID",
            Self::MigrationLock { .. } => "MIGRATION_LOCKED",
            Self::MigrationChanged { .. } => "MIGRATION_CHANGED",
            Self::Migration { .. } => "MIGRATION_FAILED",
            Self::SchemaTooNew { .. } => "SCHEMA_TOO_NEW",
        }
    }

    /// What refused a statement; `None` where it was not the database.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Open { fault, .. } | Self::Statement { fault, .. } => Some(*fault),
            _ => None,
        }
    }

    /// Whether a unique constraint or primary key was violated.
    pub fn is_unique_violation(&self) -> bool {
        self.fault() == Some(Fault::UniqueViolation)
    }

    /// Whether a foreign key was violated.
    pub fn is_foreign_key_violation(&self) -> bool {
        self.fault() == Some(Fault::ForeignKeyViolation)
    }

    pub(crate) fn statement(text: &str, source: sqlx::Error) -> Self {
        Self::Statement {
            statement: beginning(text),
            fault: Fault::of(&source),
            source: cause(source),
        }
    }

    pub(crate) fn column(column: &str, source: impl Into<Source>) -> Self {
        Self::Column {
            column: column.to_owned(),
            source: source.into(),
        }
    }
}

impl Fault {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => Self::of_database(error.as_ref()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable,
            _ => Self::Other,
        }
    }

    fn of_database(error: &dyn sqlx::error::DatabaseError) -> Self {
        use sqlx::error::ErrorKind;
        match error.kind() {
            ErrorKind::UniqueViolation => return Self::UniqueViolation,
            ErrorKind::ForeignKeyViolation => return Self::ForeignKeyViolation,
            ErrorKind::NotNullViolation | ErrorKind::CheckViolation => return Self::CheckViolation,
            _ => {}
        }
        let code = error.code().unwrap_or_default();
        // PostgreSQL's codes have five characters. SQLite's are numbers whose low byte is the
        // primary code: 5 busy, 6 locked; 14 cannot open.
        if code.len() == 5 && error.try_downcast_ref::<PgDatabaseError>().is_some() {
            return Self::of_postgres(&code);
        }
        match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5 | 6) => Self::Transient,
            Ok(14) => Self::Unavailable,
            _ => Self::Other,
        }
    }

    fn of_postgres(code: &str) -> Self {
        match code {
            // serialization_failure, deadlock_detected, lock_not_available
            "40001" | "40P01" | "55P03" => Self::Transient,
            // query_canceled: the statement's time limit
            "57014" => Self::Deadline,
            // too_many_connections; shutting down, crashed, starting up; dropped or idle session
            "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => Self::Unavailable,
            // connection exceptions; invalid user or password
            _ if code.starts_with("08") || code.starts_with("28") => Self::Unavailable,
            _ => Self::Other,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::UniqueViolation => Kind::AlreadyExists,
            Self::ForeignKeyViolation => Kind::Conflict,
            Self::CheckViolation => Kind::InvalidArgument,
            Self::Transient | Self::Unavailable => Kind::Unavailable,
            Self::Deadline => Kind::DeadlineExceeded,
            Self::Other => Kind::Internal,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::UniqueViolation => "UNIQUE_VIOLATION",
            Self::ForeignKeyViolation => "FOREIGN_KEY_VIOLATION",
            Self::CheckViolation => "CHECK_VIOLATION",
            Self::Transient => "DATABASE_BUSY",
            Self::Unavailable => "DATABASE_UNAVAILABLE",
            Self::Deadline => "DATABASE_TIMEOUT",
            Self::Other => "DATABASE_FAILED",
        }
    }
}

/// What the driver wraps: its own error only repeats that, behind words like "error communicating
/// with database".
pub(crate) fn cause(error: sqlx::Error) -> Source {
    match error {
        sqlx::Error::Io(error) => Box::new(error),
        // The driver adds a line of PostgreSQL's own source.
        sqlx::Error::Database(error) => match error.try_downcast::<PgDatabaseError>() {
            Ok(error) => format!("{} ({})", error.message(), error.code()).into(),
            Err(error) => error.into_error(),
        },
        sqlx::Error::Tls(error) | sqlx::Error::Configuration(error) => error,
        error => Box::new(error),
    }
}

/// The beginning of a statement on one line, for messages: enough to find it in the source.
pub(crate) fn beginning(text: &str) -> String {
    const LENGTH: usize = 80;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_cut_at_a_character_and_put_on_one_line() {
        assert_eq!(beginning("SELECT 1\n   FROM  x"), "SELECT 1 FROM x");
        let long = "ß".repeat(100);
        assert_eq!(beginning(&long), format!("{}…", "ß".repeat(80)));
    }
}
