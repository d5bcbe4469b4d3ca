//! Why SQL could not be planned or executed.
//!
//! One enum for runs, tests and queries, because the same statement can fail in the same ways in
//! each of them. Messages are written for the author of the SQL.

mod message;

use std::time::Duration;

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use rat_pipeline::{Problems, RenderError, TooComplex};
use rat_types::{Kind, RunFailure, TableIdent};

use self::message::{first_line, out_of_memory, place, regular_expression};
use crate::constants::ValueTooLarge;
use crate::lake;
use crate::panic::Panic;

/// A failure of the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pipeline's files are wrong.
    #[error(transparent)]
    Pipeline(#[from] Problems),
    /// A template does not render.
    #[error(transparent)]
    Template(#[from] RenderError),
    /// The SQL does not parse, or does not fit the tables that it names.
    #[error("{message}")]
    Sql {
        /// What the planner says.
        message: String,
    },
    /// The statement would take too long to plan.
    #[error(transparent)]
    TooComplex(#[from] TooComplex),
    /// The statement does something else than read.
    #[error("only a query is allowed here ({allowed}), not {statement}")]
    NotAQuery {
        /// What it is.
        statement: String,
        /// What it might be.
        allowed: &'static str,
    },
    /// A table does not exist, or the caller may not know that it does.
    #[error("table {table} does not exist{hint}")]
    TableNotFound {
        /// As it was written.
        table: String,
        /// A comma and a guess at what was meant, or nothing.
        hint: String,
    },
    /// A pipeline reads a table that it does not declare, so its token does not cover it.
    #[error(
        "table {table} is read without ref(): write {{{{ ref('{table}') }}}}, so that RAT knows that this pipeline depends on it"
    )]
    TableNotReferenced {
        /// The table.
        table: TableIdent,
    },
    /// No landing file matches.
    #[error("no landing file matches {pattern}{hint}")]
    LandingFileNotFound {
        /// As it was written.
        pattern: String,
        /// What there is instead, or nothing.
        hint: String,
    },
    /// A landing file is not what the pipeline takes it for.
    #[error(transparent)]
    LandingFile(#[from] LandingFileError),
    /// A column of the result has a type that a table cannot have.
    #[error("{message}")]
    TypeUnsupported {
        /// Which column, and what to do.
        message: String,
    },
    /// The result does not fit the existing table.
    #[error("{message}")]
    SchemaIncompatible {
        /// Which column, and why.
        message: String,
    },
    /// The table has something that RAT does not write, such as partitions.
    #[error("{message}")]
    TableUnsupported {
        /// What it is.
        reason: &'static str,
        /// Which table, and what it has.
        message: String,
    },
    /// The data do not allow what the SQL asks for: a cast, a division.
    #[error("{message}")]
    Execution {
        /// What the executor says.
        message: String,
    },
    /// A value, or the values of a batch of rows, take more room than there is for them.
    #[error("{message}")]
    ValueTooLarge {
        /// What makes it, and how large it would be.
        message: String,
    },
    /// Tests of severity `error` failed.
    #[error("quality tests failed: {}", tests.join(", "))]
    QualityFailed {
        /// Their names.
        tests: Vec<String>,
    },
    /// Somebody else changed the same thing.
    #[error("{message}")]
    Conflict {
        /// What.
        message: String,
    },
    /// It took too long.
    #[error("{what} took longer than {}", seconds(*limit))]
    Timeout {
        /// What was going on.
        what: String,
        /// The limit.
        limit: Duration,
    },
    /// Somebody said so.
    #[error("cancelled")]
    Cancelled,
    /// The disk of the lake, or the one for spilling, is full.
    #[error("{message}")]
    StorageFull {
        /// Which thing had no room, and what to do.
        message: String,
    },
    /// The memory limit.
    #[error("{message}")]
    OutOfMemory {
        /// Who asked for how much.
        message: String,
    },
    /// The catalog does not answer.
    #[error("{message}")]
    Unavailable {
        /// Who, and why.
        message: String,
    },
    /// The catalog refuses the token.
    #[error("{message}")]
    PermissionDenied {
        /// What was refused.
        message: String,
    },
    /// A fault of ours.
    #[error("{message}")]
    Internal {
        /// Detail for whoever mends it.
        message: String,
    },
}

/// What is wrong with a landing file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {message}", self.place())]
pub struct LandingFileError {
    /// Zone and path.
    pub file: String,
    /// Line, from 1, where it is known.
    pub line: Option<u64>,
    /// What is wrong.
    pub message: String,
    /// The file is not the one that the run was submitted with.
    pub changed: bool,
}

impl LandingFileError {
    fn place(&self) -> String {
        self.line
            .map(|line| format!(", line {line}"))
            .unwrap_or_default()
    }
}

fn seconds(limit: Duration) -> String {
    if limit.subsec_nanos() == 0 {
        format!("{} s", limit.as_secs())
    } else {
        format!("{:.3} s", limit.as_secs_f64())
    }
}

impl Error {
    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Pipeline(problems) => problems.kind(),
            Self::Template(error) => error.kind(),
            Self::TooComplex(error) => error.kind(),
            Self::Sql { .. }
            | Self::NotAQuery { .. }
            | Self::TableNotReferenced { .. }
            | Self::LandingFile(LandingFileError { changed: false, .. })
            | Self::TypeUnsupported { .. }
            | Self::SchemaIncompatible { .. }
            | Self::TableUnsupported { .. }
            | Self::Execution { .. }
            | Self::ValueTooLarge { .. }
            | Self::QualityFailed { .. } => Kind::InvalidArgument,
            Self::TableNotFound { .. } | Self::LandingFileNotFound { .. } => Kind::NotFound,
            Self::Conflict { .. } | Self::LandingFile(LandingFileError { changed: true, .. }) => {
                Kind::Conflict
            }
            Self::Timeout { .. } => Kind::DeadlineExceeded,
            Self::Cancelled => Kind::Cancelled,
            Self::OutOfMemory { .. } | Self::StorageFull { .. } => Kind::ResourceExhausted,
            Self::Unavailable { .. } => Kind::Unavailable,
            Self::PermissionDenied { .. } => Kind::PermissionDenied,
            Self::Internal { .. } => Kind::Internal,
        }
    }

    /// Stable code.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Pipeline(problems) => problems.reason(),
            Self::Template(error) => error.reason(),
            Self::TooComplex(error) => error.reason(),
            Self::Sql { .. } => "SQL_INVALID",
            Self::NotAQuery { .. } => "SQL_NOT_READ_ONLY",
            Self::TableNotFound { .. } => "TABLE_NOT_FOUND",
            Self::TableNotReferenced { .. } => "TABLE_NOT_REFERENCED",
            Self::LandingFileNotFound { .. } => "LANDING_FILE_NOT_FOUND",
            Self::LandingFile(error) if error.changed => "LANDING_FILE_CHANGED",
            Self::LandingFile(_) => "LANDING_FILE_INVALID",
            Self::TypeUnsupported { .. } => "TYPE_UNSUPPORTED",
            Self::SchemaIncompatible { .. } => "SCHEMA_INCOMPATIBLE",
            Self::TableUnsupported { reason, .. } => reason,
            Self::Execution { .. } => "EXECUTION_FAILED",
            Self::ValueTooLarge { .. } => "VALUE_TOO_LARGE",
            Self::QualityFailed { .. } => "QUALITY_FAILED",
            Self::Conflict { .. } => "CONFLICT",
            Self::Timeout { .. } => "TIMEOUT",
            Self::Cancelled => "CANCELLED",
            Self::OutOfMemory { .. } => "OUT_OF_MEMORY",
            Self::StorageFull { .. } => "STORAGE_FULL",
            Self::Unavailable { .. } => "CATALOG_UNAVAILABLE",
            Self::PermissionDenied { .. } => "PERMISSION_DENIED",
            Self::Internal { .. } => "INTERNAL",
        }
    }

    /// The failure as a run reports it.
    pub fn to_failure(&self) -> RunFailure {
        RunFailure::new(self.reason(), self.to_string())
    }

    pub(crate) fn sql(message: impl Into<String>) -> Self {
        Self::Sql {
            message: message.into(),
        }
    }

    /// A place in a rendered statement is none in its author's file.
    pub(crate) fn in_rendered(mut self) -> Self {
        if let Self::Sql { message } = &mut self
            && message.contains(" (line ")
            && message.ends_with(')')
        {
            message.pop();
            message.push_str(" of the rendered SQL)");
        }
        self
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::Internal {
            message: message.into(),
        }
    }
}

/// What DataFusion reports, sorted into what it means for the author of the SQL.
impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        if let Some(error) = landing_file(&error) {
            return Self::LandingFile(error.clone());
        }
        let place = place(&error);
        let root = error.find_root();
        let message = root.message();
        if let Some(message) = regular_expression(&message) {
            return Self::Execution { message };
        }
        let message = format!("{}{place}", first_line(&message));
        match root {
            DataFusionError::External(cause) => external(cause.as_ref()),
            DataFusionError::ResourcesExhausted(_) => Self::OutOfMemory {
                message: out_of_memory(&message),
            },
            DataFusionError::SQL(parser, _) => Self::Sql {
                message: parser.to_string(),
            },
            DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Configuration(_) => Self::Sql { message },
            DataFusionError::Execution(_) => Self::Execution { message },
            // Functions report arguments that they did not expect as faults of their own. Ours are
            // never told this way.
            DataFusionError::Internal(_) => Self::Execution {
                message: format!("the engine cannot do this: {message}"),
            },
            DataFusionError::ArrowError(cause, _) => arrow(cause, message),
            DataFusionError::IoError(cause) if cause.kind() == std::io::ErrorKind::StorageFull => {
                Self::StorageFull {
                    message: "no space is left on the disk to which large queries spill".to_owned(),
                }
            }
            // The variants depend on features that other crates may turn on.
            _ => Self::Internal { message },
        }
    }
}

/// What our readers of landing files said, which other readers may have wrapped.
pub(crate) fn landing_file<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a LandingFileError> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref())
}

fn external(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> Error {
    if let Some(ValueTooLarge(message)) = cause.downcast_ref() {
        let message = message.clone();
        return Error::ValueTooLarge { message };
    }
    if let Some(message) = regular_expression(&cause.to_string()) {
        return Error::Execution { message };
    }
    match cause.downcast_ref::<Panic>() {
        Some(panic) => panic.clone().into(),
        None => lake::from_external(cause).unwrap_or_else(|| Error::internal(chain(cause))),
    }
}

fn arrow(cause: &ArrowError, message: String) -> Error {
    match cause {
        ArrowError::CastError(_)
        | ArrowError::ParseError(_)
        | ArrowError::ComputeError(_)
        | ArrowError::DivideByZero
        | ArrowError::ArithmeticOverflow(_)
        | ArrowError::InvalidArgumentError(_)
        | ArrowError::NotYetImplemented(_)
        | ArrowError::DictionaryKeyOverflowError
        | ArrowError::OffsetOverflowError(_) => Error::Execution { message },
        ArrowError::ExternalError(cause) => external(cause.as_ref()),
        ArrowError::MemoryError(_) => Error::OutOfMemory { message },
        _ => Error::Internal { message },
    }
}

/// An error and its causes, on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
